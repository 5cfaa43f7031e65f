"""How an ePSF build converges: held-out stars, a row an iteration, pixel-phase diagrams before and after."""

import logging

import numpy as np
from astropy.table import Table

from jwst_hpastrom.epsf.build.trust import kept_phase_error
from jwst_hpastrom.geometry import robust_sigma

__all__ = ["HeldOut", "phase_diagram", "report_row"]

log = logging.getLogger("stpipe.hpastrom.epsf")

EVERY = 10  # one of so many stars is held out
ENOUGH = 300  # measurements of held-out stars whose scatter tells a hundredth
CLIP = 9.0  # squared errors: positions farther off count as much
WORTH = 0.003  # of the squared scatter: a smaller gain is not worth an iteration
FLOOR = 0.0005  # pixels: what other errors leave of positions, so that some bright stars do not decide alone


class HeldOut:
    """Stars that tell nothing to an ePSF, so that their positions tell whether it still becomes better.

    The ePSF's own change cannot tell: positions, clipping and noise move it for ever by a thousandth of its
    peak (this project's choice).

    Parameters
    ----------
    star : ndarray of int, shape (n,)
        Star of each measurement; negative for none.

    Attributes
    ----------
    mask : ndarray of bool, shape (n,)
        Measurements of held-out stars: one star of ten, or none where that were too few.
    """

    def __init__(self, star):
        self.mask = (star >= 0) & (star % EVERY == 0)
        if self.mask.sum() < ENOUGH:
            self.mask[:] = False
        self.last = None

    def stopped(self, predicted, err):
        """Whether positions scatter hardly less over the dithers than at the last call.

        Parameters
        ----------
        predicted : `~jwst_hpastrom.epsf.build.positions.Predictions`

        err : ndarray, shape (n,)
            Position errors, pixels.

        Returns
        -------
        bool
            True where the gain is below its standard error, or below 0.3 % of the squared scatter; False
            where there is nothing to tell it by.
        """
        squares = (predicted.dx**2 + predicted.dy**2) / (2 * (err**2 + FLOOR**2))
        now, self.last, last = squares[self.mask], squares[self.mask], self.last
        if last is None:
            return False
        known = np.isfinite(now + last)
        if known.sum() < 0.5 * ENOUGH:
            return False
        now, last = (np.minimum(s[known], CLIP * max(np.median(s[known]), 1.0)) for s in (now, last))
        gain, error = float((last - now).mean()), float((last - now).std() / np.sqrt(now.size))
        log.info(
            "squared scatter of held-out stars: %.4f of the errors', less by %.2g +- %.1g",
            now.mean(),
            gain,
            error,
        )
        return bool(gain < max(error, WORTH * now.mean()))


def _phase_amplitude(position, offset, ok):
    """Amplitude (half the range) of the first two harmonics of an offset against pixel phase."""
    k = ok & np.isfinite(offset)
    if k.sum() < 50:
        return np.nan
    t = 2 * np.pi * position[k]
    clipped = np.clip(offset[k], *(np.median(offset[k]) + np.array([-4, 4]) * robust_sigma(offset[k])))
    design = np.stack([np.ones_like(t), np.sin(t), np.cos(t), np.sin(2 * t), np.cos(2 * t)], 1)
    c = np.linalg.lstsq(design, clipped, rcond=None)[0]
    p = np.linspace(0, 2 * np.pi, 100)
    return float(
        0.5 * np.ptp(c[1] * np.sin(p) + c[2] * np.cos(p) + c[3] * np.sin(2 * p) + c[4] * np.cos(2 * p))
    )


def phase_diagram(first, last, use, bins=20):
    """Numbers of stars and median offsets against pixel phase, in the first and the last iteration.

    Parameters
    ----------
    first, last : tuple
        (x, y, `~jwst_hpastrom.epsf.build.positions.Predictions`) of the iteration.

    use : ndarray of bool
        Stars to count.

    bins : int
        Bins of pixel phase.

    Returns
    -------
    `~astropy.table.Table`
        phase (bin centers); n_x_first, dx_first, and so on.
    """
    edges = np.linspace(-0.5, 0.5, bins + 1)
    out = {"phase": 0.5 * (edges[1:] + edges[:-1])}
    for name, (x, y, predicted) in (("first", first), ("last", last)):
        for axis, p, offset in (("x", x, predicted.dx), ("y", y, predicted.dy)):
            k = use & np.isfinite(p)
            b = np.clip(np.digitize(p[k] - np.round(p[k]), edges) - 1, 0, bins - 1)
            d = offset[k]
            groups = [d[(b == n) & np.isfinite(d)] for n in range(bins)]
            out[f"n_{axis}_{name}"] = np.bincount(b, minlength=bins)
            out[f"d{axis}_{name}"] = [np.median(g) if g.size else np.nan for g in groups]
    return Table(out)


def report_row(run, predicted, samples, moves):
    """Return the row of the convergence table for one iteration, as a dict.

    ``moves`` are those of the model and of the positions.
    """
    library, use = run.library, run.use
    middle = len(library.data) // 2
    n = library.data.shape[-1] // 2
    offsets = {"x": predicted.dx, "y": predicted.dy}
    shown = {axis: _phase_amplitude(getattr(run.stars, axis), offsets[axis], use) for axis in "xy"}
    return {
        "iteration": run.it + 1,
        "grid": library.x.size,
        "positions": "fitted" if run.it >= run.last_fitted else "averaged",
        "n_stars": int(use.sum()),
        "n_averaged": int((use & predicted.averaged).sum()),
        "n_samples": int(samples.used),
        "clipped": samples.dropped / max(samples.used + samples.dropped, 1),
        "model_change": float(moves[0]),
        "position_change": moves[1],
        "central_value": float(library.data[middle, n, n]),
        "x_rms": predicted.rms[0],
        "y_rms": predicted.rms[1],
        **{f"{axis}_phase": shown[axis] for axis in "xy"},
        **{f"{axis}_phase_error": kept_phase_error(run, offsets[axis], axis, shown[axis]) for axis in "xy"},
        "n_borrowed": int(library.borrowed.sum()),
        "brighter_fatter": library.brighter_fatter,
    }
