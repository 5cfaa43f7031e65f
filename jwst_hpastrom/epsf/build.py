"""Build a grid of effective PSFs from dithered exposures (L23 section 3, Methods §1)."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table
from tqdm import tqdm

from jwst_hpastrom.epsf.convergence import phase_diagram, report_row
from jwst_hpastrom.epsf.frames import open_frame
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.neighbours import plain_stamps, refresh_stamps
from jwst_hpastrom.epsf.positions import Averager, cross_identify, plane_polynomial
from jwst_hpastrom.epsf.samples import (
    RINGS,
    Samples,
    collect_samples,
    fit_in_stamps,
    hat_weights,
    mean_residuals,
    sample_scatter,
)
from jwst_hpastrom.epsf.smoothing import recentre, smooth_update
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import robust_sigma

__all__ = ["BuildResult", "build_library"]

log = logging.getLogger("stpipe.hpastrom.epsf")

HALF_WIDTH = 12.5  # pixels
MODEL_ERRORS = (0.15, 0.05)  # share of a star's light: one model, and the grid (this project's choice)


@dataclass(frozen=True)
class BuildResult:
    """What `build_library` returns.

    Attributes
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    convergence : `~astropy.table.Table`
        One row an iteration.

    stars : `~astropy.table.Table`
        Every measurement of the last iteration: exposure, star, x, y (fitted), flux, x_err, y_err, dx, dy
        (fitted less predicted by the exposures' mean), used.

    phases : `~astropy.table.Table`
        Pixel-phase diagram (L23 Fig. 1, 3) before and after: phase (bin centres), and for the first and the
        last iteration the number of stars and the median of dx and dy at that phase of x and y.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels of each exposure to the builder's master frame.
    """

    library: EPSFLibrary
    convergence: Table
    stars: Table
    phases: Table
    transforms: list


def build_library(
    images,
    to_plane,
    *,
    correction=None,
    n_iterations=20,
    grid=5,
    n_global=8,
    n_fitted=3,
    min_sn=100.0,
    isolation=7.0,
    max_stars=4000,
    min_exposures=3,
    min_cell_stars=5.0,
    clip=3.5,
    mesh=64,
    oversampling=4,
    band_limit=None,
    executor=None,
    progress=False,
):
    """Build effective PSFs from dithered exposures (L23 section 3).

    Bright isolated stars start at their photocentres; they are cross-identified, averaged over the exposures
    by six-parameter transformations and carried back to each exposure. The pixels around them, less a smooth
    mesh sky and the models of all other stars found, sample the ePSF; the clipped weighted means of the
    residuals about the interpolated model are smoothed and added to it; it is centred and normalised, and
    all stars are fitted anew.

    Parameters
    ----------
    images : sequence of `~jwst_hpastrom.epsf.image.Image` or of callables returning one
        The exposures.

    to_plane : sequence of callable
        Per exposure, (x, y) -> approximate tangent-plane coordinates in pixels, good to about an arcsecond.

    correction : `~jwst_hpastrom.geometry.Mapping`, optional
        Raw to corrected pixels; without it, the polynomial part of ``to_plane`` and a polynomial of the
        builder's own. What is fixed to the detector and left over is learnt as a local mean of the residuals
        either way.

    n_iterations : int
        Iterations at most.

    grid : int
        Field positions along each axis, corners of the detector included.

    n_global : int
        First iterations, with one model for the whole detector (this project's choice).

    n_fitted : int
        Last iterations, with the fitted positions instead of the averaged ones (this project's choice).

    min_sn : float
        Smallest signal-to-noise ratio of a star to build from (this project's choice).

    isolation : float
        A star to build from has no neighbour of more than half its flux within this radius, pixels.

    max_stars : int
        Stars an exposure to build from, at most; the brightest.

    min_exposures : int
        Fewest exposures for an averaged position.

    min_cell_stars : float
        Field positions with fewer stars (sum of bilinear weights) borrow from the others and are flagged.

    clip : float
        Clipping of samples, in units of their scatter at that radius.

    mesh : int
        Size of the sky boxes, pixels.

    oversampling : int
        Samples per pixel.

    band_limit : float, optional
        Highest spatial frequency of the ePSFs, cycles per pixel; that of the filter in the Step, which 0
        switches off. Noise beyond it is taken out of every update (this project's choice).

    executor : `concurrent.futures.Executor`, optional
        Works on the exposures in parallel; the result is the same without.

    progress : bool
        Show a progress bar.

    Returns
    -------
    `BuildResult`

    Raises
    ------
    NotEnoughStarsError
        Fewer than 20 stars to build from.
    """
    images, to_plane = list(images), list(to_plane)
    if not images or len(images) != len(to_plane):
        raise ParameterError(
            f"{len(images)} images, {len(to_plane)} plane functions", "as many of each, 1 or more"
        )
    if n_iterations < 2 or grid < 1 or oversampling < 1:
        raise ParameterError(
            f"n_iterations={n_iterations}, grid={grid}, oversampling={oversampling}", "at least 2, 1 and 1"
        )
    job = _Job(executor)
    options = {"min_sn": min_sn, "isolation": isolation, "max_stars": max_stars, "mesh": mesh}
    frames = job.map(open_frame, images, **options)
    count = [f.bright.size for f in frames]
    log.info("stars to build from: %s", count)
    if sum(count) < 20:
        raise NotEnoughStarsError(
            f"{sum(count)} bright isolated stars in {len(frames)} exposures",
            "20",
            "lower min_sn or isolation",
            frames[0].name if len(frames) == 1 else None,
        )
    shape = frames[0].data.shape
    stamps = job.map(plain_stamps, frames)
    state = _State(frames, stamps)
    planes = [t(f.x[f.bright], f.y[f.bright]) for f, t in zip(frames, to_plane, strict=True)]
    mags = [-2.5 * np.log10(np.maximum(f.flux[f.bright], 1e-30)) for f in frames]
    star = np.concatenate(cross_identify(planes, mags))
    base = plane_polynomial(to_plane[int(np.argmax(count))], shape) if correction is None else correction
    averager = Averager(
        state.exposure,
        star,
        state.x,
        state.y,
        shape,
        base=base,
        learn_polynomial=correction is None,
        min_exposures=min_exposures,
    )
    n = 2 * int(HALF_WIDTH * oversampling) + 1
    centre = ((np.array(shape[::-1]) - 1) / 2).tolist()
    library = EPSFLibrary(np.zeros((1, n, n)), [centre[0]], [centre[1]], oversampling)
    n_global = min(n_global, n_iterations - 1)
    refresh_at = _refresh_plan(n_iterations, n_global, n_fitted)
    limit, rows = np.full(RINGS, np.inf), []
    bar = tqdm(range(n_iterations), desc="ePSF", disable=not progress, unit="iteration")
    it, last_fitted = 0, n_iterations - n_fitted
    while it < n_iterations:
        if it == n_global and grid > 1:
            nodes = [np.linspace(0, s - 1, grid) for s in shape[::-1]]
            library = replace(
                library, data=np.repeat(library.data, grid * grid, 0), x=nodes[0], y=nodes[1], borrowed=None
            )
        if it > 0:
            if it in refresh_at:
                state.refresh(job, library, detect=it in refresh_at[1:], mesh=mesh)
            state.fit(job, library)
        predicted = averager.update(
            state.x, state.y, state.flux, state.err, rounds=5 if it == 0 else 2, learn=it > 0
        )
        if it == 0:
            first = (state.x, state.y, predicted)
        fitted = it >= last_fitted
        moved = state.place(predicted, fitted)
        use = state.usable(predicted)
        if use.sum() < 20:
            raise NotEnoughStarsError(
                f"{use.sum()} stars left to build from", "20", "lower min_sn or isolation"
            )
        samples = state.sample(job, library, use, limit)
        new = _improve(library, samples, state, use, min_cell_stars if it >= n_global else 0.0, band_limit)
        change = np.abs(new.data - library.data).max() / new.data.max()
        if it > 0:
            limit = clip * sample_scatter(samples.histogram)
        library = new
        rows.append(report_row(it, fitted, library, state, use, predicted, samples, change, moved))
        log.info("iteration %d: model moved by %.2g of its peak, positions by %.2g px", it + 1, change, moved)
        bar.update()
        it += 1
        if change < 1e-4 and moved < 1e-3 and n_global < it:
            if it > last_fitted:
                break
            last_fitted, n_iterations = it, it + n_fitted
    bar.close()
    state.fit(job, library)
    predicted = averager.update(state.x, state.y, state.flux, state.err)
    meta = {"n_exposures": len(frames), "n_stars": int(use.sum()), "n_iterations": len(rows)}
    return BuildResult(
        replace(library, meta=meta),
        Table(rows),
        state.table(star, predicted, use),
        phase_diagram(first, (state.x, state.y, predicted), use),
        predicted.transforms,
    )


def _refresh_plan(n_iterations, n_global, n_fitted):
    """Iterations in which neighbours and sky are measured again."""
    plan = {2, 4, n_global, n_global + 1 + (n_iterations - n_fitted - n_global) // 2, n_iterations - n_fitted}
    return sorted(p for p in plan if 0 < p < n_iterations) or [1]


class _Job:
    """The executor, or none: one function over all exposures."""

    def __init__(self, executor):
        self.executor = executor

    def map(self, function, *sequences, **kwargs):
        if self.executor is None:
            return [function(*args, **kwargs) for args in zip(*sequences, strict=True)]
        futures = [self.executor.submit(function, *args, **kwargs) for args in zip(*sequences, strict=True)]
        return [f.result() for f in futures]


class _State:
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

    def split(self, *arrays):
        bounds = np.cumsum([f.bright.size for f in self.frames])[:-1]
        return [np.split(a, bounds) for a in arrays]

    def refresh(self, job, library, *, detect, mesh):
        """Measure all stars, neighbours too, and the sky with the current model; cut new stamps."""
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
        for frame, ((x, y, flux, half, sky), _) in zip(self.frames, done, strict=True):
            frame.x, frame.y, frame.flux, frame.half_box, frame.sky = x, y, flux, half, sky
            frame.bright = np.arange(frame.bright.size)
        self.stamps = [s for _, s in done]

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
        return float(1.4826 * np.median(moves)) if moves.size else 0.0

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
                use[part[m > np.median(m) + 5 * robust_sigma(m)]] = False
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


def _improve(library, samples, state, use, min_cell_stars, band_limit):
    """Add the smoothed mean residuals to the model; centre and normalise it."""
    update = mean_residuals(samples, 0.02, library.oversampling)
    data = library.data + smooth_update(update, library.oversampling, band_limit=band_limit or None)
    borrowed = np.zeros(len(data), bool)
    if len(data) > 1:
        data, borrowed = _borrow(data, library, state, use, min_cell_stars)
    data, _ = recentre(data, library.oversampling)
    return replace(library, data=data, borrowed=borrowed).normalised()


def _borrow(data, library, state, use, min_cell_stars):
    """Replace ePSFs with too few stars by a mean of the others, weighted by 1/distance²."""
    stars = hat_weights((library.x, library.y), state.at[0][use], state.at[1][use]).sum(0)
    thin = stars < min_cell_stars
    if thin.all():
        raise NotEnoughStarsError(
            f"at most {stars.max():.1f} stars at a field position", f"{min_cell_stars}", "use a smaller grid"
        )
    x, y = np.tile(library.x, library.y.size), np.repeat(library.y, library.x.size)
    for k in np.flatnonzero(thin):
        w = np.where(thin, 0.0, 1.0 / ((x - x[k]) ** 2 + (y - y[k]) ** 2 + 1.0))
        data[k] = np.tensordot(w / w.sum(), data, 1)
    return data, thin
