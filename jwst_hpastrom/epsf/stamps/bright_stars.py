"""The bright stars of all exposures that ePSFs are built from: stamps, fits, positions, samples."""

from dataclasses import replace

import numpy as np
from astropy.table import Table

from jwst_hpastrom.epsf.brighter_fatter import shift_from_stamps, stars_tell, undone
from jwst_hpastrom.epsf.stamps.neighbors import cut_again, plain_stamps, refresh_stamps
from jwst_hpastrom.epsf.stamps.samples import Samples, collect_samples, fit_in_stamps
from jwst_hpastrom.numerics import robust_sigma, sigma_about_zero

__all__ = ["BrightStars", "Job"]

MODEL_ERRORS = (0.15, 0.05)  # share of a star's light: one model, and the grid (this project's choice)
MISFIT = 5.0  # sigmas: stars that fit the model worse than others of their flux are left out


class Job:
    """The executor, or none: one function over all exposures."""

    def __init__(self, executor):
        self.executor = executor

    def map(self, function, *sequences, **kwargs):
        if self.executor is None:
            return [function(*args, **kwargs) for args in zip(*sequences, strict=True)]
        futures = [self.executor.submit(function, *args, **kwargs) for args in zip(*sequences, strict=True)]
        return [f.result() for f in futures]


class BrightStars:
    """All bright stars of all exposures, as flat arrays, and the exposures they are in."""

    def __init__(self, frames, stamps):
        self.frames, self.stamps = frames, stamps
        self.exposure = np.repeat(np.arange(len(frames)), [f.bright.size for f in frames])
        self.x, self.y, self.flux = (
            np.concatenate([getattr(f, name)[f.bright] for f in frames]) for name in ("x", "y", "flux")
        )
        self.err = np.full(self.x.size, 0.05)
        self.x_err, self.y_err = self.err.copy(), self.err.copy()
        self.at = (self.x.copy(), self.y.copy(), self.flux.copy())  # where the samples are taken
        self.ok = np.ones(self.x.size, bool)
        self.misfit = np.full(self.x.size, np.nan)
        self.cut_with = None  # library that the stamps were cut with
        self.brighter_fatter = 0.0  # pixels per DN, undone in the frames
        self._keep_raw()

    def _keep_raw(self):
        self.raw = [(f.data, f.charge) for f in self.frames]
        for f in self.frames:
            f.charge = None  # workers do not need it

    def __getstate__(self):
        """Leave out the pixels; `reopen` brings them back."""
        frames = [replace(f, data=None, bad=None, saturated=None) for f in self.frames]
        return self.__dict__ | {"frames": frames, "stamps": None, "raw": None}

    def reopen(self, job, frames):
        """Take the pixels of frames opened anew, and cut the stamps again."""
        for mine, frame in zip(self.frames, frames, strict=True):
            mine.data, mine.bad, mine.saturated = frame.data, frame.bad, frame.saturated
            mine.charge = frame.charge
        self._keep_raw()
        self.undo_charge(self.brighter_fatter)
        if self.cut_with is None:
            self.stamps = job.map(plain_stamps, self.frames)
        else:
            self.stamps = job.map(cut_again, self.frames, [self.cut_with] * len(self.frames))

    def undo_charge(self, shift):
        """Correct the frames for a shift of the boundaries by charge; stamps are to be cut anew."""
        self.brighter_fatter = shift
        for f, (raw, charge) in zip(self.frames, self.raw, strict=True):
            f.data = raw if charge is None or not shift else undone(raw, charge, f.bad, shift)

    def learn_charge(self, job, library, star, use):
        """Return the boundaries' shift that the residuals of bright stars show, and its error."""
        slopes, charges = [f.slope for f in self.frames], [charge for _, charge in self.raw]
        at = self.split(self.x, self.y, self.flux, use & self.ok)
        parts = job.map(stars_tell, self.stamps, [library] * len(slopes), *at, slopes, charges)
        return shift_from_stamps(*(np.concatenate(p) for p in zip(*parts, strict=True)), star)

    def split(self, *arrays):
        bounds = np.cumsum([f.bright.size for f in self.frames])[:-1]
        return [np.split(a, bounds) for a in arrays]

    def refresh(self, job, library, *, detect, mesh):
        """Measure all stars, neighbors too, and the sky with the current model; cut new stamps."""
        error = MODEL_ERRORS[len(library.data) > 1]
        done = job.map(
            refresh_stamps,
            self.frames,
            [library] * len(self.frames),
            detect=detect,
            passes=1 if detect else 2,
            mesh=mesh,
            model_error=error,
        )
        for frame, (catalog, _) in zip(self.frames, done, strict=True):
            frame.x, frame.y, frame.flux, frame.half_box, frame.radius, frame.sky = catalog
            frame.bright = np.arange(frame.bright.size)
        self.stamps, self.cut_with = [s for _, s in done], library

    def fit(self, job, library):
        """Fit all bright stars in their stamps."""
        slopes = [f.slope for f in self.frames]
        out = np.concatenate(
            job.map(fit_in_stamps, self.stamps, [library] * len(slopes), *self.split(*self.at), slopes)
        )
        self.ok = np.isfinite(out[:, 4]) & (out[:, 11] > 0) & (out[:, 2] > 0) & (out[:, 9] >= 15)
        self.x, self.y, self.flux = (np.where(self.ok, out[:, k], np.nan) for k in range(3))
        self.x_err, self.y_err = (np.sqrt(np.where(self.ok, out[:, k], np.nan)) for k in (4, 5))
        self.err = np.sqrt(0.5 * (self.x_err**2 + self.y_err**2))

    def place(self, predicted, fitted):
        """Choose the positions and fluxes of the samples; return the RMS move."""
        x, y = (self.x, self.y) if fitted else (predicted.x, predicted.y)
        old = self.at
        good = np.isfinite(x + y + predicted.flux) & (predicted.flux > 0)
        self.ok &= good
        self.at = tuple(np.where(good, new, o) for new, o in zip((x, y, predicted.flux), old, strict=True))
        moves = np.hypot(self.at[0] - old[0], self.at[1] - old[1])[self.ok]
        return float(sigma_about_zero(moves)) if moves.size else 0.0

    def usable(self, predicted):
        """Stars that fit: converged, where the other exposures have them, no misfit for their magnitude."""
        use = self.ok.copy()
        spread = max(*np.nan_to_num(predicted.rms), 1e-3)
        off = np.hypot(predicted.dx, predicted.dy)
        use &= ~(off > 4 * np.sqrt(spread**2 + np.nan_to_num(self.err) ** 2))
        ratio = np.abs(self.flux / self.at[2] - 1)
        use &= ~(predicted.averaged & (ratio > 5 * max(robust_sigma(ratio[use]), 0.02)))
        known = np.flatnonzero(use & np.isfinite(self.misfit))
        if known.size > 200:
            parts = np.array_split(
                known[np.argsort(self.at[2][known], kind="stable")], min(known.size // 100, 30)
            )
            for part in parts:
                m = self.misfit[part]
                use[part[m > np.median(m) + MISFIT * robust_sigma(m)]] = False
        return use

    def sample(self, job, library, use, limit):
        """Grid the samples of all exposures."""
        n = len(self.frames)
        slopes = [f.slope for f in self.frames]
        parts = job.map(
            collect_samples, self.stamps, [library] * n, *self.split(*self.at, use), slopes, [limit] * n
        )
        samples = Samples.total(parts)
        self.misfit = samples.misfit
        return samples

    def table(self, star, predicted, use):
        """All measurements as a table."""
        return Table(
            {
                "exposure": self.exposure,
                "star": star,
                "x": self.x,
                "y": self.y,
                "flux": self.flux,
                "x_err": self.x_err,
                "y_err": self.y_err,
                "dx": predicted.dx,
                "dy": predicted.dy,
                "used": use,
            }
        )
