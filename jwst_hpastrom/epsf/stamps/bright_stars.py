"""The bright stars of all exposures that ePSFs are built from: stamps, fits, positions, samples."""

from collections import deque
from dataclasses import replace

import numpy as np
from astropy.table import Table

from jwst_hpastrom.epsf.brighter_fatter import alone, shift_from_stamps, stars_tell
from jwst_hpastrom.epsf.stamps.drifts import Drifts, drift_in_stamps, field_in_stamps
from jwst_hpastrom.epsf.stamps.frames import charge_of
from jwst_hpastrom.epsf.stamps.neighbors import cut_again, plain_stamps, refresh_stamps
from jwst_hpastrom.epsf.stamps.samples import Samples, collect_samples, fit_in_stamps
from jwst_hpastrom.epsf.wavefront import MODES, solve_field
from jwst_hpastrom.numerics import robust_sigma, sigma_about_zero
from jwst_hpastrom.storage import in_memory

__all__ = ["BrightStars", "Job"]

#: bytes of memory for each bright star of an exposure, each entry of its catalog (560 and 60 were measured),
#: and each pixel of a frame that a process works on
STAR, ENTRY, PIXEL = 800.0, 100.0, 150.0
MODEL_ERRORS = (0.15, 0.05)  # share of a star's light: one model, and the grid (this project's choice)
AHEAD = 2  # tasks a worker that are worked at, or wait: their arrays are in memory
MISFIT = 5.0  # sigmas: stars that fit the model worse than others of their flux are left out


class Job:
    """The executor, or none: one function over all exposures."""

    def __init__(self, executor):
        self.executor = executor
        self.ahead = AHEAD * max(getattr(executor, "_max_workers", AHEAD), 1)
        self.elsewhere = getattr(executor, "elsewhere", False)  # workers may see no file of a store

    def map(self, function, *sequences, **kwargs):
        """Yield the results in order; only so many are worked at, or wait, at a time."""
        waiting = deque()
        for args in zip(*sequences, strict=True):
            if self.executor is None:
                yield function(*args, **kwargs)
                continue
            args = map(in_memory, args) if self.elsewhere else args
            waiting.append(self.executor.submit(function, *args, **kwargs))
            if len(waiting) >= self.ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def make_room(frames, store):
    """Have the store leave the memory that the stars of all exposures, and the work on frames, take.

    Raises
    ------
    ParameterError
        That is not there.
    """
    need = sum(STAR * f.bright.size + ENTRY * f.x.size for f in frames)
    need += PIXEL * max(np.prod(f.shape) for f in frames) * max(store.workers, 1)
    stars = sum(f.bright.size for f in frames)
    store.spare(need, f"{stars} bright stars of {len(frames)} exposures in {1 + store.workers} processes")


def on_frame(function, frame, shift, *args, **kwargs):
    """Call a function on a frame that is in a store."""
    return function(frame.whole(shift), *args, **kwargs)


def on_stamps(function, stamps, *args):
    """Call a function on stamps that are in a store."""
    return function(stamps(), *args)


def _stars_tell(stamps, charge, *args):
    return stars_tell(stamps(), *args, charge_of(charge))


class BrightStars:
    """All bright stars of all exposures, as flat arrays, and the exposures they are in.

    Parameters
    ----------
    frames : list of `~jwst_hpastrom.epsf.stamps.frames.Frame`
        Their images are in the store.

    store : `~jwst_hpastrom.storage.Store`
        Takes the stamps.
    """

    def __init__(self, frames, store):
        self.frames, self.store, self.stamps = frames, store, [None] * len(frames)
        self.exposure = np.repeat(np.arange(len(frames)), [f.bright.size for f in frames])
        self.x, self.y, self.flux = (
            np.concatenate([getattr(f, name)[f.bright] for f in frames]) for name in ("x", "y", "flux")
        )
        self.err = np.full(self.x.size, 0.05)
        self.x_err, self.y_err = self.err.copy(), self.err.copy()
        self.at = (self.x.copy(), self.y.copy(), self.flux.copy())  # where the samples are taken
        self.ok = np.ones(self.x.size, bool)
        self.misfit = np.full(self.x.size, np.nan)
        self.cut_with = None  # library that the stamps were cut with, and the drifts
        self.drifts = None  # of the exposures' wavefronts about their mean
        self.brighter_fatter = 0.0  # pixels per DN, undone in the frames

    def __getstate__(self):
        """Leave out the pixels; `reopen` brings them back."""
        frames = [replace(f, pixels=None, charge=None) for f in self.frames]
        return self.__dict__ | {"frames": frames, "stamps": None, "store": None}

    def again(self):
        """Return the same stars, with the same stamps, that can be fitted and placed without these."""
        new = object.__new__(type(self))  # `copy` would leave the pixels out
        new.__dict__.update(self.__dict__, ok=self.ok.copy())
        return new

    def reopen(self, job, frames, store):
        """Take the pixels of frames opened anew, and cut the stamps again."""
        self.store, self.stamps = store, [None] * len(frames)
        for mine, frame in zip(self.frames, frames, strict=True):
            mine.pixels, mine.charge = frame.pixels, frame.charge
        self.cut(job)

    def cut(self, job):
        """Cut stamps with the catalog and the sky as they are."""
        if self.cut_with is None:
            found = self._on_frames(job, plain_stamps)
        else:
            library, drifts = self.cut_with
            found = self._on_frames(job, cut_again, self._each(library, drifts))
        for k, stamps in enumerate(found):
            self._put_away(k, stamps)

    def _on_frames(self, job, function, *sequences, **kwargs):
        n = len(self.frames)
        shifts = [self.brighter_fatter] * n
        return job.map(on_frame, [function] * n, self.frames, shifts, *sequences, **kwargs)

    def _on_stamps(self, job, function, *sequences):
        return job.map(on_stamps, [function] * len(self.stamps), self.stamps, *sequences)

    def _put_away(self, k, stamps):
        self.stamps[k] = self.store.keep(stamps, instead=self.stamps[k])

    def undo_charge(self, shift):
        """Correct the frames for a shift of the boundaries by charge; stamps are to be cut anew."""
        self.brighter_fatter = shift

    def learn_charge(self, job, library, star, use):
        """Return the boundaries' shift that the residuals of bright stars show, and its error."""
        slopes, charges = [f.slope for f in self.frames], [f.charge for f in self.frames]
        free = np.concatenate([alone(f.x, f.y, f.flux, f.bright.size) for f in self.frames])
        at = self.split(self.x, self.y, self.flux, use & self.ok & free)
        parts = job.map(_stars_tell, self.stamps, charges, self._each(library), *at, slopes)
        return shift_from_stamps(*(np.concatenate(p) for p in zip(*parts, strict=True)), star)

    def _each(self, library, drifts=None):
        """Yield the library of each exposure."""
        drifts = drifts or self.drifts
        for k in range(len(self.frames)):
            yield library if drifts is None else drifts.of(k, library)

    def follow(self, job, library, modes):
        """Measure the exposures' wavefronts anew; return the mean drift from the library, nm."""
        old = np.zeros((len(self.frames), MODES)) if self.drifts is None else self.drifts.nm
        at = self.split(self.x, self.y, self.flux, self.ok)
        slopes = [f.slope for f in self.frames]
        each = self._each(library)
        found = self._on_stamps(job, drift_in_stamps, each, [modes] * len(slopes), *at, slopes, old)
        nm = np.array([d.nm for d in found])
        mean = nm.mean(0)
        self.drifts = Drifts(modes, nm - mean)
        return mean

    def over_field(self, job, library, modes, *, likely=False):
        """Return the wavefront's change from the library over the field, nm, (3, modes), and the blur's.

        Of all exposures together, each about its own drift. ``likely`` is before charge is undone.
        """
        at = self.split(self.x, self.y, self.flux, self.ok)
        slopes, charges = [f.slope for f in self.frames], [f.charge if likely else None for f in self.frames]
        how = [modes] * len(slopes), *at, slopes, charges
        each = self._on_stamps(job, field_in_stamps, self._each(library), *how)
        sums = (sum(part) for part in zip(*each, strict=True))
        return solve_field(*sums, modes.optics.field_errors, likely=likely)

    def split(self, *arrays):
        bounds = np.cumsum([f.bright.size for f in self.frames])[:-1]
        return [np.split(a, bounds) for a in arrays]

    def refresh(self, job, library, *, detect, mesh):
        """Measure all stars, neighbors too, and the sky with the current model; cut new stamps."""
        error = MODEL_ERRORS[len(library.data) > 1]
        how = {"detect": detect, "passes": 1 if detect else 2, "mesh": mesh, "model_error": error}
        done = self._on_frames(job, refresh_stamps, self._each(library), **how)
        for k, (catalog, stamps) in enumerate(done):
            frame = self.frames[k]
            frame.x, frame.y, frame.flux, frame.half_box, frame.radius, frame.sky = catalog
            frame.bright = np.arange(frame.bright.size)
            self._put_away(k, stamps)
        make_room(self.frames, self.store)
        self.cut_with = library, self.drifts

    def fit(self, job, library):
        """Fit all bright stars in their stamps."""
        slopes = [f.slope for f in self.frames]
        at = self.split(*self.at)
        out = np.concatenate(list(self._on_stamps(job, fit_in_stamps, self._each(library), *at, slopes)))
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
        at = self.split(*self.at, use)
        parts = self._on_stamps(job, collect_samples, self._each(library), *at, slopes, [limit] * n)
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
