"""Whether a built library can be trusted: pixel-phase errors that it left, and those nobody could see."""

import logging

import numpy as np

from jwst_hpastrom.epsf.build.smoothing import TAPER
from jwst_hpastrom.errors import DegenerateSolutionError
from jwst_hpastrom.geometry import robust_sigma

__all__ = [
    "kept_phase_error", "one_phase", "phase_error", "pixel_phases", "refuse_one_phase", "trusted",
    "warn_of_few", "warn_of_phases", "well_sampled",
]  # fmt: skip

log = logging.getLogger("stpipe.hpastrom.epsf")

IN_ONE = "no star in two exposures"
PHASE_LIMIT = 0.03  # pixels: three times the error of published libraries (L23 Fig. 1, 3)
PHASE_SLACK = 0.003  # pixels: error of the amplitudes of some hundred stars
PHASE_GOAL = 0.004  # pixels: what positions of 0.01 px can bear, and twice what noise shows
FEWEST_PHASES = 2.5  # two hide an error's harmonic: builds of two exposures are off by 3 to 8 mpx
FEW = 20  # stars: libraries of 15 were 0.002 to 0.010 px off, of 25 0.0005
HARMONICS = 6  # so many that no two phases a seventh of a pixel apart or more look like three
SEEN = 3  # harmonics that the pixel-phase errors of ePSFs have
ONE_PHASE = 0.9  # length of the mean phase vector; phases that scatter by 0.07 pixel
SURELY_ONE = 0.95  # after some iterations, which move the phases by less than the difference
TINY = 1e-9  # pixels
GATHERED = 3.0  # times the length that so many random phases have together


def phase_error(row):
    """Amplitude of the positions' pixel-phase error in an iteration; NaN where too few are averaged."""
    return float(np.hypot(row["x_phase"], row["y_phase"]))


def well_sampled(band_limit):
    """Whether pixels are fine enough for an ePSF's waves, so that no error of it follows the pixel phase.

    Errors of positions that repeat with every pixel change an ePSF by waves of whole cycles per pixel more or
    less than its own. Where those are beyond all that `smooth_update` lets through, up to `TAPER` times the
    band limit, none stays, however few pixel phases the dithers show.

    Parameters
    ----------
    band_limit : float or None
        See `~jwst_hpastrom.epsf.build.diffraction.band_limit`; none is known of None and 0.
    """
    return bool(band_limit) and 1 - band_limit >= TAPER * band_limit


def pixel_phases(run, axis):
    """How well a typical star's exposures cover the pixel phases of an axis.

    Parameters
    ----------
    run : `~jwst_hpastrom.epsf.build.iterations.Run`
        Of it, measurements' positions (``stars``, pixels), their stars (``star``, negative for none), and
        whether they count (``use``).

    axis : {"x", "y"}

    Returns
    -------
    number : float
        Phases that a star is seen at: one over the mean of the squared lengths of the mean phase vectors
        of the first six harmonics, about N for N phases at random, at most 2.5 for two. Zero
        where no star is in two exposures.

    share : float
        Length of the first harmonic's: the part of a pixel-phase error that a star's mean follows.
    """
    number, lengths = _phase_lengths(run, axis)
    return number, lengths[0]


def _phase_lengths(run, axis):
    """Return the number of phases, and the lengths of a typical star's mean phase vectors by harmonic."""
    rows = np.flatnonzero(run.use & (run.star >= 0))
    star = run.star[rows]
    n = np.bincount(star)
    if not (n > 1).any():
        return 0.0, [1.0] * HARMONICS
    wave, count = np.exp(2j * np.pi * getattr(run.stars, axis)[rows]), np.maximum(n, 1)
    waves = np.cumprod([wave] * HARMONICS, axis=0)
    lengths = [np.abs(np.bincount(star, w.real) + 1j * np.bincount(star, w.imag)) for w in waves]
    lengths = np.array(lengths)[:, n > 1] / count[n > 1]
    return float(1 / np.median(np.mean(lengths**2, axis=0))), [float(np.median(part)) for part in lengths]


def _gathered(run, axis):
    """Whether different stars are at one pixel phase: what dithers make of each lies anywhere."""
    rows = np.flatnonzero(run.use & (run.star >= 0))
    length = np.abs(np.mean(np.exp(2j * np.pi * getattr(run.stars, axis)[rows])))
    return bool(length * np.sqrt(np.unique(run.star[rows]).size) > GATHERED)


def _at_one_phase(run, axis):
    """Say what is at one pixel phase."""
    if _gathered(run, axis):
        return f"sources at one pixel phase in {axis}, wherever they are (galaxies? noise?)"
    return f"each star at one pixel phase in {axis} in all exposures"


def one_phase(run, limit=ONE_PHASE):
    """Say why nothing tells the ePSF from positions; None where something does.

    Parameters
    ----------
    run : `~jwst_hpastrom.epsf.build.iterations.Run`
    limit : float
        Length of a mean phase vector that is that of one phase.
    """
    for axis in "xy":
        number, share = pixel_phases(run, axis)
        if not number:
            return IN_ONE
        if share > limit and not run.fine:
            return _at_one_phase(run, axis)
    return None


def refuse_one_phase(run, frames):
    """Raise where it is beyond doubt after some iterations without a given library: see `trusted`."""
    if undetermined := one_phase(run, SURELY_ONE):
        _refuse(undetermined, frames)


def _refuse(undetermined, frames):
    raise DegenerateSolutionError(
        undetermined, "stars in dithers by fractions of a pixel, to tell the ePSF from their positions",
        "give a library (epsf_file), or one to adapt (start_epsf)",
        frames[0].name if len(frames) == 1 else None,
    )  # fmt: skip


def kept_phase_error(run, offset, axis, shown):
    """Standard error of positions by the pixel-phase error that the ePSF keeps, pixels.

    What the residuals show of it falls from iteration to iteration by the length of the mean phase vector
    (the longest one of the first three harmonics), so that what is left is the sum of a geometric series.
    With it comes the noise of the offsets in two harmonics, which the build takes for phase errors. Of
    a difference from a model of the optics it is also no more than such a difference makes. NaN where dithers
    show too few phases to tell.

    Parameters
    ----------
    run, axis
        As in `pixel_phases`; where pixels are `well_sampled` (``run.fine``) nothing is hidden.

    offset : ndarray, shape (n,)
        Measured less mean position, pixels.

    shown : float
        Amplitude of the offsets against pixel phase, pixels.
    """
    number, lengths = (np.inf, [0.0]) if run.fine else _phase_lengths(run, axis)
    share = max(lengths[:SEEN])
    rows = np.flatnonzero(run.use & (run.star >= 0) & np.isfinite(offset))
    spare = rows.size - np.unique(run.star[rows]).size
    if number < FEWEST_PHASES or share > ONE_PHASE or spare < 1:
        return np.nan
    scatter = robust_sigma(offset[rows]) * np.sqrt(rows.size / spare)
    noise = 2 * scatter / np.sqrt(rows.size * (1 - share**2))  # four coefficients
    free, known = np.hypot(shown / (1 - share), noise), np.inf
    if run.difference is not None:
        known = run.difference.phase_errors["xy".index(axis)]
    return float(1 / np.hypot(1 / max(free, TINY), 1 / max(known, TINY)))


def warn_of_phases(run):
    """Warn where dithers show the stars at few pixel phases, so that errors are in all exposures alike.

    Averages over exposures follow the pixel-phase error of their ePSF by the length of the mean phase vector;
    only the rest of it shows in the residuals (`kept_phase_error`). Of two phases some harmonic always hides.
    """
    for axis in "xy":
        number, share = pixel_phases(run, axis)
        shown, kept = run.rows[-1][f"{axis}_phase"], run.rows[-1][f"{axis}_phase_error"]
        if kept > PHASE_GOAL:
            log.warning(
                "positions in %s may keep pixel-phase errors of up to %.4f px: residuals show %.4f px, "
                "the dithers' pixel phases hide %.0f %%; more dithers, more stars or a given ePSF help",
                axis, kept, shown, 100 * share,
            )  # fmt: skip
        elif number < FEWEST_PHASES or not np.isfinite(kept):  # one harmonic may be hidden all the same
            most = f"ten times the residuals' {shown:.4f} px" if np.isfinite(shown) else "0.003 to 0.008 px"
            log.warning(
                "each star is seen at about %.1f pixel phases in %s: errors that these have in common do not "
                "show, and may be %s; more dithers or a given ePSF help",
                number, axis, most,
            )  # fmt: skip


def warn_of_few(star, use):
    """Warn where a library is built from a handful of stars, whatever its residuals say."""
    n = np.unique(star[use & (star >= 0)]).size
    if n < FEW:
        log.warning(
            "the ePSF is built from %d stars, which may leave positions 0.01 px off, as a library of another "
            "date would; more stars, or a given library to adapt (start_epsf), help", n,
        )  # fmt: skip


def trusted(run, frames, undetermined=None, start=None):
    """Return the last library, or the best one where it became worse; raise where none is of use.

    A library that is given is kept where nothing tells that the new one is better.
    """
    name = frames[0].name if len(frames) == 1 else None
    last = phase_error(run.rows[-1])
    if start is not None and (undetermined or last > PHASE_LIMIT):
        log.warning(
            "the given library is kept, but for a wavefront that was followed: %s, and nothing tells a "
            "better one from a worse",
            undetermined or f"a pixel-phase error of {last:.3f} px",
        )
        return start
    if undetermined:
        _refuse(undetermined, frames)
    if not np.isfinite(last):
        log.warning(
            "too few stars are in several exposures: nothing tells whether positions measured with this ePSF "
            "are free of pixel-phase errors"
        )
        return run.library
    if run.least_phase > PHASE_LIMIT:
        raise DegenerateSolutionError(
            f"a pixel-phase error of {run.least_phase:.3f} px after {len(run.rows)} iterations",
            f"less than {PHASE_LIMIT} px",
            "the exposures do not determine their ePSF: fit them with a given library",
            name,
        )
    if last > 2 * run.least_phase + PHASE_SLACK:
        log.warning(
            "the build diverged: pixel-phase error %.4f px at the end, %.4f in the best one, which is kept",
            last,
            run.least_phase,
        )
        return run.best
    return run.library
