"""Build a grid of effective PSFs from dithered exposures (L23 section 3, Methods §1)."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.table import Table
from tqdm.auto import tqdm

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.epsf.bends import Bends, find_bends, spread, twice_as_fine, variation_gain
from jwst_hpastrom.epsf.bright_stars import BrightStars, Job
from jwst_hpastrom.epsf.brighter_fatter import SURE
from jwst_hpastrom.epsf.convergence import phase_diagram, report_row
from jwst_hpastrom.epsf.fixed_sources import leave_out_fixed_sources
from jwst_hpastrom.epsf.frames import open_frame
from jwst_hpastrom.epsf.given import as_image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.neighbors import plain_stamps
from jwst_hpastrom.epsf.positions import Averager, cross_identify, plane_polynomial
from jwst_hpastrom.epsf.samples import RINGS, hat_weights, mean_residuals, sample_scatter
from jwst_hpastrom.epsf.smoothing import recenter, smooth_update
from jwst_hpastrom.epsf.start import Difference
from jwst_hpastrom.errors import DegenerateSolutionError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.ranges import in_range

__all__ = ["BuildResult", "build_library"]

log = logging.getLogger("stpipe.hpastrom.epsf")

HALF_WIDTH = 12.5  # pixels
SETTLING = 3  # iterations of the grid before the curvature between its points is judged
PHASE_LIMIT = 0.03  # pixels: three times the error of published libraries (L23 Fig. 1, 3)
PHASE_SLACK = 0.003  # pixels: error of the amplitudes of some hundred stars
PHASE_GOAL = 0.004  # pixels: what positions of 0.01 px can bear, and twice what noise shows
ONE_PHASE = 0.9  # length of the mean phase vector; phases that scatter by 0.07 pixel
GIVEN_PHASE_ERROR = 0.005  # pixels: of a library of another date
JUDGED_AT = (0, 3, 7)  # iterations in which the difference from a given library is judged anew
RIDGE = 0.02  # weight of a residual of zero, in units of the mean weight at that radius


@dataclass(frozen=True)
class BuildResult(Displayed):
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
        Pixel-phase diagram (L23 Fig. 1, 3) before and after: phase (bin centers), and for the first and the
        last iteration the number of stars and the median of dx and dy at that phase of x and y.

    transforms : list of `~jwst_hpastrom.geometry.LinearTransform`
        Corrected pixels of each exposure to the builder's master frame.

    hot_pixels : ndarray of int, shape (n, 2)
        Rows and columns of pixels that shine at every pointing, though not flagged (see
        `~jwst_hpastrom.epsf.fixed_sources.leave_out_fixed_sources`).
    """

    library: EPSFLibrary
    convergence: Table
    stars: Table
    phases: Table
    transforms: list
    hot_pixels: np.ndarray

    def __repr__(self):
        return f"<{type(self).__name__}: {self.library!r} after {len(self.convergence)} iterations>"

    def plot(self, ax=None, *, difference=False):
        """Draw the library, see `jwst_hpastrom.plot.epsf_grid`."""
        return self.library.plot(ax, difference=difference)


def _opens_later(image):
    """Whether it is a function that reads the image, in the process that needs it."""
    return callable(image) and not hasattr(image, "data")


@in_range
def build_library(
    images,
    to_plane,
    *,
    correction=None,
    start=None,
    n_iterations=20,
    grid=5,
    choose_grid=True,
    refine=True,
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
    brighter_fatter=None,
    checkpoint=None,
    executor=None,
    progress=False,
):
    """Build effective PSFs from dithered exposures (L23 section 3).

    Bright isolated stars start at their photocenters; they are cross-identified, averaged over the exposures
    by six-parameter transformations and carried back to each exposure. The pixels around them, less a smooth
    mesh sky and the models of all other stars found, sample the ePSF; the clipped weighted means of the
    residuals about the interpolated model are smoothed and added to it; it is centered and normalized, and
    all stars are fitted anew.

    Parameters
    ----------
    images : sequence of object
        The exposures: `~jwst_hpastrom.epsf.Image`, exposures, data models, NDData or CCDData (see
        `~jwst_hpastrom.epsf.as_image`), or callables returning an Image.

    to_plane : sequence of callable
        Per exposure, (x, y) -> approximate tangent-plane coordinates in pixels, good to about an arcsecond.

    correction : `~jwst_hpastrom.geometry.Mapping`, optional
        Raw to corrected pixels; without it, the polynomial part of ``to_plane`` and a polynomial of the
        builder's own. What is fixed to the detector and left over is learned as a local mean of the residuals
        either way.

    start : `~jwst_hpastrom.epsf.library.EPSFLibrary`, optional
        A library of the same detector and filter, as of another date, to start from. Its field positions are
        kept, and only its difference from the exposures' ePSF is learned, as far as the stars can tell it
        from noise (see `~jwst_hpastrom.epsf.start.Difference`); ``grid``, ``choose_grid``, ``refine`` and
        ``min_cell_stars`` are not used.

    n_iterations : int
        Iterations at most.

    grid : int
        Field positions along each axis, corners of the detector included, at most.

    choose_grid : bool
        Use 3, 2 or 1 positions along each axis instead where the stars do not pay for more: where what two
        halves of them disagree on outweighs what they agree on (this project's choice).

    refine : bool
        Add field positions halfway between those of the grid, if split-half tests of the stars show that
        the ePSF has curvature between them (this project's choice): 2 * grid - 1 positions along each
        axis, then.

    n_global : int
        First iterations, with one model for the whole detector (this project's choice).

    n_fitted : int
        Last iterations, with the fitted positions instead of the averaged ones (this project's choice).

    min_sn : float
        Smallest signal-to-noise ratio of a star to build from (this project's choice).

    isolation : float
        A star to build from has no neighbor of more than half its flux within this radius, pixels.

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

    brighter_fatter : float, optional
        Shift of the boundary between two pixels, pixels per DN of charge difference (see
        `jwst_hpastrom.epsf.brighter_fatter`); learned from the stars, where they pay for it, if not given. 0
        switches it off.

    checkpoint : object, optional
        With ``save(state)``, called after each iteration, and ``load()``, which gives the last state saved
        or None (see `~jwst_hpastrom.io.checkpoint.Checkpoint`): the build goes on from there.

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

    DegenerateSolutionError
        Positions keep pixel-phase errors of more than 0.03 pixels.
    """
    images = [i if _opens_later(i) else as_image(i) for i in images]
    to_plane = list(to_plane)
    if not images or len(images) != len(to_plane):
        raise ParameterError(
            f"{len(images)} images, {len(to_plane)} plane functions", "as many of each, 1 or more"
        )
    if min(n_iterations - 1, grid, oversampling, mesh) < 1:
        raise ParameterError(
            f"n_iterations={n_iterations}, grid={grid}, oversampling={oversampling}, mesh={mesh}",
            "at least 2, 1, 1 and 1",
        )
    job = Job(executor)
    options = {"min_sn": min_sn, "isolation": isolation, "max_stars": max_stars, "mesh": mesh}
    frames = job.map(open_frame, images, **options)
    hot, left_out = leave_out_fixed_sources(frames, to_plane)
    if left_out:
        log.info(
            "%d bright sources that no other dither confirms are not built from; %d hot pixels",
            left_out,
            len(hot),
        )
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
    n_global = min(n_global, n_iterations - 1)
    if start is not None:
        grid, refine, choose_grid, n_global = 1, False, False, 0
    bends_at = n_global + SETTLING if refine and grid > 1 else -1
    refresh_at = _refresh_plan(n_iterations, n_global, n_fitted)
    run = checkpoint.load() if checkpoint else None
    if run is None:
        run = _start(job, frames, to_plane, correction, min_exposures, oversampling)
        if start is not None:
            run.difference = Difference(start, band_limit)
            run.library, run.averager.phase_error = run.difference.start, GIVEN_PHASE_ERROR
        given = start.brighter_fatter if start is not None and brighter_fatter is None else brighter_fatter
        run.stars.undo_charge(given or 0.0)
        run.n_iterations, run.last_fitted = n_iterations, n_iterations - n_fitted
    else:
        log.info("%d iterations are done", run.it)
        run.stars.reopen(job, frames)
    stars, averager = run.stars, run.averager
    bar = tqdm(
        total=run.n_iterations,
        initial=run.it,
        desc="ePSF",
        disable=None if progress else True,
        unit="iteration",
    )
    while not run.done:
        it, library = run.it, run.library
        if it == n_global and grid > 1:
            library = spread(library, grid, shape)
        if it > 0 or start is not None:
            if it in refresh_at or it == 0:
                if it in refresh_at[1:] and brighter_fatter is None:
                    _learn_charge(job, run)
                stars.refresh(job, library, detect=it in refresh_at[1:], mesh=mesh)
            stars.fit(job, library)
        predicted = averager.update(
            stars.x, stars.y, stars.flux, stars.err, rounds=5 if it == 0 else 2, learn=it > 0
        )
        if it == 0:
            run.first = (stars.x, stars.y, predicted)
        fitted = it >= run.last_fitted
        moved = stars.place(predicted, fitted)
        use = stars.usable(predicted)
        if use.sum() < 20:
            raise NotEnoughStarsError(
                f"{use.sum()} stars left to build from", "20", "lower min_sn or isolation"
            )
        if it == n_global and grid > 1 and choose_grid:
            library = _field_positions(job, use, run, library, shape, band_limit)
        if it == bends_at < run.last_fitted and library.x.size == grid and not library.borrowed.any():
            fine = twice_as_fine(library)
            run.bends = find_bends(run.halves(job, fine, use), library, fine, RIDGE, band_limit)
            if run.bends:
                library = fine
        samples = stars.sample(job, library, use, run.limit)
        if run.difference is None:
            new = _improve(
                library, samples, stars, use, min_cell_stars if it >= n_global else 0.0, band_limit, run.bends
            )
        else:
            if it in JUDGED_AT:  # clipped about the given library before the first update, too
                run.limit = clip * sample_scatter(samples.histogram)
                run.difference.judge(run.halves(job, library, use), use.sum() / len(frames))
                samples = stars.sample(job, library, use, run.limit)
            new = run.difference.improve(library, samples)
        new = replace(new, brighter_fatter=stars.brighter_fatter)
        change = np.abs(new.data - library.data).max() / new.data.max()
        if it > 0:
            run.limit = clip * sample_scatter(samples.histogram)
        run.library, run.use = new, use
        run.rows.append(report_row(it, fitted, new, stars, use, predicted, samples, change, moved))
        phase = _phase_error(run.rows[-1])
        if it > 0 and not phase >= run.least_phase:  # NaN, where nothing is averaged, is no judge
            run.least_phase, run.best = phase, new
        log.info("iteration %d: model moved by %.2g of its peak, positions by %.2g px", it + 1, change, moved)
        bar.update()
        run.it += 1
        run.done = run.it >= run.n_iterations
        if change < 1e-4 and moved < 1e-3 and max(n_global, bends_at + 1) < run.it:
            if run.it > run.last_fitted:
                run.done = True
            else:
                run.last_fitted, run.n_iterations = run.it, run.it + n_fitted
        if checkpoint:
            checkpoint.save(run)
    bar.close()
    undetermined = _warn_of_phases(stars, run.star, run.use, run.rows[-1])
    run.library = _trusted(run, frames, undetermined, start)
    stars.fit(job, run.library)
    predicted = averager.update(stars.x, stars.y, stars.flux, stars.err)
    meta = {"n_exposures": len(frames), "n_stars": int(run.use.sum()), "n_iterations": len(run.rows)}
    return BuildResult(
        replace(run.library, meta=meta),
        Table(run.rows),
        stars.table(run.star, predicted, run.use),
        phase_diagram(run.first, (stars.x, stars.y, predicted), run.use),
        predicted.transforms,
        hot,
    )


def _learn_charge(job, run):
    """Learn what charge does from the residuals, and undo it where it is beyond doubt."""
    more, error = run.stars.learn_charge(job, run.library, run.star, run.use)
    total = run.stars.brighter_fatter + more
    sure = total > SURE * error
    run.stars.undo_charge(total if sure else 0.0)
    log.info(
        "brighter-fatter effect: boundaries move by %.2g +- %.1g px per 10,000 DN%s",
        1e4 * total, 1e4 * error, "" if sure else "; not corrected",
    )  # fmt: skip


def _phase_error(row):
    """Amplitude of the positions' pixel-phase error in an iteration; NaN where too few are averaged."""
    return float(np.hypot(row["x_phase"], row["y_phase"]))


def _warn_of_phases(stars, star, use, row):
    """Warn where dithers show the stars at few pixel phases, so that errors are in all exposures alike.

    Averages over exposures follow the pixel-phase error of their ePSF by the length of the mean phase vector;
    only the rest of it shows in the residuals. Returns why nothing tells ePSF and positions apart, or None.
    """
    rows = np.flatnonzero(use & (star >= 0))
    n = np.bincount(star[rows])
    for axis, p in (("x", stars.x), ("y", stars.y)):
        turn = np.exp(2j * np.pi * p[rows])
        length = np.abs(np.bincount(star[rows], turn.real) + 1j * np.bincount(star[rows], turn.imag))
        if not (n > 1).any():
            return "no star in two exposures"
        share = float(np.median(length[n > 1] / n[n > 1]))
        if share > ONE_PHASE:
            return f"each star at one pixel phase in {axis} in all exposures"
        if row[f"{axis}_phase"] / (1 - share) > PHASE_GOAL:
            log.warning(
                "positions in %s may keep pixel-phase errors of up to %.4f px: residuals show %.4f px, "
                "the dithers' pixel phases hide %.0f %%; more dithers, more stars or a given ePSF help",
                axis, row[f"{axis}_phase"] / (1 - share), row[f"{axis}_phase"], 100 * share,
            )  # fmt: skip
    return None


def _trusted(run, frames, undetermined=None, start=None):
    """Return the last library, or the best one where it became worse; raise where none is of use.

    A library that is given is kept where nothing tells that the new one is better.
    """
    name = frames[0].name if len(frames) == 1 else None
    last = _phase_error(run.rows[-1])
    if start is not None and (undetermined or last > PHASE_LIMIT):
        log.warning(
            "the given library is kept as it is: %s, and nothing tells a better one from a worse",
            undetermined or f"a pixel-phase error of {last:.3f} px",
        )
        return start
    if undetermined:
        raise DegenerateSolutionError(
            undetermined, "dithers by fractions of a pixel, to tell the ePSF from the stars' positions",
            "give a library (epsf_file), or one to adapt (start_epsf)", name,
        )  # fmt: skip
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


def _field_positions(job, use, run, library, shape, band_limit):
    """Return the library at as many field positions as the stars pay for, at most those it has."""
    gains = {1: 0.0}
    for side in sorted({2, 3, library.x.size}):
        if side <= library.x.size:
            trial = spread(library, side, shape)
            gains[side] = variation_gain(run.halves(job, trial, use), trial, RIDGE, band_limit)
    side = max(gains, key=gains.get)
    found = ", ".join(f"{s} x {s}: {1e6 * g:.3g}" for s, g in gains.items())
    log.info("variance that field positions explain, 1e-6 of the squared peak: %s; taken: %d", found, side)
    return library if side == library.x.size else spread(library, side, shape)


@dataclass
class _Run:
    """All that an iteration leaves to the next one."""

    stars: BrightStars
    averager: Averager
    star: np.ndarray
    library: EPSFLibrary
    limit: np.ndarray
    n_iterations: int = 0
    last_fitted: int = 0
    it: int = 0
    done: bool = False
    bends: Bends = None
    first: tuple = None
    use: np.ndarray = None
    rows: list = field(default_factory=list)
    least_phase: float = np.inf
    best: EPSFLibrary = None
    difference: Difference = None

    def halves(self, job, library, use):
        """Return the samples of two halves of the stars, each star in one of them in all exposures."""
        odd = self.star % 2 == 1
        return [self.stars.sample(job, library, use & half, self.limit) for half in (odd, ~odd)]


def _start(job, frames, to_plane, correction, min_exposures, oversampling):
    """Identify the bright stars in all exposures, around an empty model."""
    shape = frames[0].data.shape
    stars = BrightStars(frames, job.map(plain_stamps, frames))
    planes = [t(f.x[f.bright], f.y[f.bright]) for f, t in zip(frames, to_plane, strict=True)]
    mags = [-2.5 * np.log10(np.maximum(f.flux[f.bright], 1e-30)) for f in frames]
    star = np.concatenate(cross_identify(planes, mags))
    most = int(np.argmax([f.bright.size for f in frames]))
    averager = Averager(
        stars.exposure,
        star,
        stars.x,
        stars.y,
        shape,
        base=plane_polynomial(to_plane[most], shape) if correction is None else correction,
        learn_polynomial=correction is None,
        min_exposures=min_exposures,
    )
    n = 2 * int(HALF_WIDTH * oversampling) + 1
    middle = [(s - 1) / 2 for s in shape[::-1]]
    library = EPSFLibrary(np.zeros((1, n, n)), [middle[0]], [middle[1]], oversampling)
    return _Run(stars, averager, star, library, np.full(RINGS, np.inf))


def _refresh_plan(n_iterations, n_global, n_fitted):
    """Iterations in which neighbors and sky are measured again."""
    plan = {2, 4, n_global, n_global + 1 + (n_iterations - n_fitted - n_global) // 2, n_iterations - n_fitted}
    return sorted(p for p in plan if 0 < p < n_iterations) or [1]


def _improve(library, samples, bright, use, min_cell_stars, band_limit, bends):
    """Add the smoothed mean residuals to the model; center and normalize it."""
    update = mean_residuals(samples, RIDGE, library.oversampling, bends or None, library.data)
    data = library.data + smooth_update(update, library.oversampling, band_limit=band_limit or None)
    borrowed = np.zeros(len(data), bool)
    if len(data) > 1 and not bends:
        data, borrowed = _borrow(data, library, bright, use, min_cell_stars)
    data, _ = recenter(data, library.oversampling)
    return replace(library, data=data, borrowed=borrowed).normalized()


def _borrow(data, library, bright, use, min_cell_stars):
    """Replace ePSFs with too few stars by a mean of the others, weighted by 1/distance²."""
    stars = hat_weights((library.x, library.y), bright.at[0][use], bright.at[1][use]).sum(0)
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
