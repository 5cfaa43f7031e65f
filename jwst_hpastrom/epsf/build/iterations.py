"""The iterations of a build: what one leaves to the next, and the stages of each (L23 section 3)."""

import logging
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from jwst_hpastrom.epsf.brighter_fatter import SURE
from jwst_hpastrom.epsf.build.bends import Bends, find_bends, spread, twice_as_fine
from jwst_hpastrom.epsf.build.config import BuildConfig
from jwst_hpastrom.epsf.build.convergence import HeldOut, report_row
from jwst_hpastrom.epsf.build.field_positions import borrow, field_positions
from jwst_hpastrom.epsf.build.from_optics import learn_from_optics
from jwst_hpastrom.epsf.build.positions import Averager, cross_identify, plane_polynomial
from jwst_hpastrom.epsf.build.smoothing import recenter, smooth_update
from jwst_hpastrom.epsf.build.start import RIDGE, Difference
from jwst_hpastrom.epsf.build.trust import phase_error
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.stamps.bright_stars import BrightStars
from jwst_hpastrom.epsf.stamps.samples import RINGS, Samples, mean_residuals, sample_scatter
from jwst_hpastrom.epsf.wavefront import MODES, Modes, modes_of
from jwst_hpastrom.errors import NotEnoughStarsError

__all__ = ["Run", "begin", "iterate"]

log = logging.getLogger("stpipe.hpastrom.epsf")

HALF_WIDTH = 12.5  # pixels
GIVEN_PHASE_ERROR = 0.005  # pixels: of a library of another date
FEWEST_STARS = 20  # measurements to build from
FIELD_ROUNDS = 3  # that its change over the field is measured
ENOUGH = 5000  # measurements that tell one model while it moves by more than their noise
LEARNED = 3  # last iterations of one model that all of them make
FOREIGN = 0.2  # of the light within a pixel: 30 nm of wavefront make 0.15 at most, other wide bands 0.2-0.6
GIVEN_ROUNDS = 2  # a given library may be so far off that its derivatives change on the way


@dataclass
class Run:
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
    bends: Bends | None = None
    first: tuple | None = None
    use: np.ndarray | None = None
    rows: list = field(default_factory=list)
    least_phase: float = np.inf
    best: EPSFLibrary | None = None
    difference: Difference | None = None
    modes: Modes | None = None
    made_for: dict | None = None
    fine: bool = False  # pixels are `~jwst_hpastrom.epsf.build.trust.well_sampled`
    refreshes: list = field(default_factory=list)
    held: HeldOut = field(default_factory=lambda: HeldOut(np.empty(0, int)))
    followed: EPSFLibrary | None = None  # the given library with the exposures' wavefront
    given_off: float = 0.0  # difference from a given library at first sight, share of its light

    @property
    def shape(self):
        """Rows and columns of the exposures."""
        return self.stars.frames[0].shape

    def without(self, correction):
        """Return the run as it is saved: the correction, large as it may be, is given again with the rest."""
        averager = copy(self.averager)
        averager.base = averager.base if correction is None else None
        return replace(self, averager=averager)

    def halves(self, job, library, use):
        """Return the samples of two halves of the stars, each star in one of them in all exposures."""
        odd = self.star % 2 == 1
        return [self.stars.sample(job, library, use & half, self.limit) for half in (odd, ~odd)]


def begin(job, frames, to_plane, correction, given, config: BuildConfig, store) -> Run:
    """Return the state before the first iteration, around an empty or a given library."""
    run = _identify(frames, to_plane, correction, config, store)
    charge = config.brighter_fatter
    if given is None and not run.held.mask.any():
        config = config.without_judge()
    if given is not None:
        run.difference = Difference(given, config.band_limit)
        run.library, run.averager.phase_error = run.difference.start, GIVEN_PHASE_ERROR
        charge = given.brighter_fatter if charge is None else charge
    run.stars.undo_charge(charge or 0.0)
    run.stars.cut(job)
    run.n_iterations, run.last_fitted = config.n_iterations, config.n_iterations - config.n_fitted
    run.refreshes = config.refresh_at
    return run


def _identify(frames, to_plane, correction, config, store):
    """Identify the bright stars in all exposures, around an empty model."""
    shape = frames[0].shape
    stars = BrightStars(frames, store)
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
        min_exposures=config.min_exposures,
    )
    n = 2 * int(HALF_WIDTH * config.oversampling) + 1
    middle = [(s - 1) / 2 for s in shape[::-1]]
    library = EPSFLibrary(np.zeros((1, n, n)), [middle[0]], [middle[1]], config.oversampling)
    return Run(stars, averager, star, library, np.full(RINGS, np.inf), held=HeldOut(star))


def iterate(job, run: Run, config: BuildConfig) -> None:
    """Do one iteration: fit the stars, predict their positions, improve the model, judge the result."""
    library = _fit(job, run, config)
    predicted = run.averager.update(
        run.stars.x,
        run.stars.y,
        run.stars.flux,
        run.stars.err,
        rounds=5 if run.it == 0 else 2,
        learn=run.it > 0,
    )
    stopped = run.held.stopped(predicted, run.stars.err)
    if run.it == 0:
        run.first = (run.stars.x, run.stars.y, predicted)
    moved = run.stars.place(predicted, run.it >= run.last_fitted)
    use = run.stars.usable(predicted)
    if use.sum() < FEWEST_STARS:
        raise NotEnoughStarsError(
            f"{use.sum()} stars left to build from", f"{FEWEST_STARS}", "lower min_sn or isolation"
        )
    library = _choose_positions(job, run, library, use, config)
    new, samples = _learn(job, run, library, use, config)
    change = np.abs(new.data - library.data).max() / new.data.max()
    if run.it > 0:
        run.limit = config.clip * sample_scatter(samples.histogram)
    run.library, run.use = new, use
    run.rows.append(report_row(run, predicted, samples, (change, moved)))
    log.info("iteration %d: model moved by %.2g of its peak, positions by %.2g px", run.it + 1, change, moved)
    _judge(run, stopped or (change < 1e-4 and moved < 1e-3), config)


def _fit(job, run, config):
    """Fit the bright stars with the library, in stamps cut anew where it is time; return the library."""
    it, library, stars = run.it, run.library, run.stars
    if it == config.n_global and config.grid > 1:
        library = spread(library, config.grid, run.shape)
    if it > 0 or run.difference is not None:
        due = bool(run.refreshes) and it >= run.refreshes[0]
        if due or it == 0:
            again = due and len(run.refreshes) < len(config.refresh_at)
            run.refreshes = run.refreshes[due:]
            if again and config.brighter_fatter is None:
                _learn_charge(job, run)
            stars.refresh(job, library, detect=again, mesh=config.mesh)
        stars.fit(job, library)
        if it in config.followed_at or (it == 0 and config.follow_wavefront):
            library = _follow(job, run, library, config)
    return library


def _follow(job, run, library, config):
    """Let the library follow the exposures' wavefronts about their mean; a given one first the mean."""
    stars, given = run.stars, run.it == 0
    if given or run.it in config.retrieved_at:
        run.modes = modes_of(replace(library, meta=dict(run.made_for or library.meta)))
    if not given:
        library = learn_from_optics(job, run, library, config)
    if run.modes is None or (len(stars.frames) == 1 and not given):
        return library
    if given:
        library = _follow_given(job, run, library, config)
    else:
        stars.follow(job, library, run.modes)
        stars.fit(job, library)
    drift = np.sqrt(np.square(stars.drifts.nm).sum(1).mean())
    log.info("wavefronts of the exposures: %.2f nm RMS about their mean", drift)
    return library


def _follow_given(job, run, library, config):
    """Let a given library follow the exposures' mean wavefront, and its change over the field.

    With these go the detector's blur and the band where they differ beyond doubt. Each round asks the
    derivatives of the optics that the one before has found.
    """
    stars, change, first = run.stars, np.zeros((3, MODES)), run.modes.optics
    for k in range(GIVEN_ROUNDS + FIELD_ROUNDS):
        nm, blur = np.zeros((3, MODES)), np.zeros(run.modes.optics.field_errors.size)
        if k < GIVEN_ROUNDS:
            nm[0] = stars.follow(job, library, run.modes)
        else:
            nm, blur = stars.over_field(job, library, run.modes, likely=True)
            blur = blur * (k > GIVEN_ROUNDS)  # a wavefront that is not there yet looks like one
        now = run.modes.moved(nm, blur)
        library, run.modes = run.modes.changed_to(now, library), now
        change = change + nm
        run.difference = Difference(library, config.band_limit)
        library = run.difference.start
        stars.fit(job, library)
    run.followed, moved, last = library, np.sqrt(np.square(change).sum(-1)), run.modes.optics
    log.info(
        "the given ePSF's wavefront is changed in the middle and over the field by %s nm RMS, diffusion by "
        "%.4f pixel, coupling by %.4f, wavelength by %.2f %%, width of the band by %.0f %%",
        moved.round(1), last.diffusion - first.diffusion, last.coupling - first.coupling,
        100 * (last.wavelength / first.wavelength - 1), 100 * (last.width / first.width - 1),
    )  # fmt: skip
    return library


def _choose_positions(job, run, library, use, config):
    """Return the library at fewer field positions, or at more, where the stars tell that it should be."""
    if run.it == config.n_global and config.grid > 1 and config.choose_grid:
        library, run.difference = field_positions(job, use, run, library, config)
    judged = run.it == config.bends_at < run.last_fitted and (run.difference is None or run.difference.own)
    if judged and library.x.size == config.grid and not library.borrowed.any():
        fine = twice_as_fine(library)
        run.bends = find_bends(run.halves(job, fine, use), library, fine, RIDGE, config.band_limit)
        if run.bends:
            library, run.difference = fine, None
    return library


def _sampled(run, use, config):
    """Stars to take samples of: every so many, in turn, while one model moves by more than the noise.

    Of the grid, all but those held out, until positions are fitted.
    """
    if config.n_global <= run.it < run.last_fitted:
        return use & ~run.held.mask
    step = max(use.sum() // ENOUGH, 1) if run.it < config.n_global - LEARNED else 1
    return use & (np.arange(use.size) % step == run.it % step)


def _learn(job, run, library, use, config):
    """Return the model improved by the residuals of the stars' pixels, and their samples."""
    stars, it = run.stars, run.it
    samples = stars.sample(job, library, _sampled(run, use, config), run.limit)
    if run.difference is None:
        min_cell_stars = config.min_cell_stars if it >= config.n_global else 0.0
        new = _improve(library, samples, stars, use, min_cell_stars, config.band_limit, run.bends)
    else:
        if it in run.difference.judged_at:  # clipped about the given library before the first update, too
            run.limit = config.clip * sample_scatter(samples.histogram)
            halves = run.halves(job, library, use)
            run.difference.judge(halves, use.sum() / len(stars.frames))
            if it == 0:
                run.given_off = run.difference.off
            if it == 0 and run.given_off > FOREIGN:
                log.warning(
                    "the given ePSF differs from that of the exposures by %.0f %% of its light, as one of "
                    "another filter would; a tenth of that may stay, which a build without it avoids",
                    100 * run.given_off,
                )
            samples = Samples.of_all(halves)
            stars.misfit = samples.misfit
        new = run.difference.improve(library, samples)
    return replace(new, brighter_fatter=stars.brighter_fatter), samples


def _judge(run, settled, config):
    """Keep the best library; end the build, or the averaging of positions, where nothing becomes better."""
    phase = phase_error(run.rows[-1])
    if run.it > 0 and not phase >= run.least_phase:  # NaN, where nothing is averaged, is no judge
        run.least_phase, run.best = phase, run.library
    later = config.bends_at, config.n_global, *(run.difference.judged_at if run.difference else ())
    decided = run.it > max(later if run.modes is None else (*later, *config.optics_at))
    run.it += 1
    run.done = run.it >= run.n_iterations
    if not settled or not decided or run.done:
        return
    if run.it > run.last_fitted:
        run.done = True
    elif run.refreshes:  # neighbors and sky once more, which may help further
        run.refreshes = [run.it]
    else:
        run.last_fitted, run.n_iterations = run.it, run.it + config.n_fitted


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


def _improve(library, samples, bright, use, min_cell_stars, band_limit, bends):
    """Add the smoothed mean residuals to the model; center and normalize it."""
    update = mean_residuals(samples, RIDGE, library.oversampling, bends or None, library.data)
    data = library.data + smooth_update(update, library.oversampling, band_limit=band_limit or None)
    borrowed = np.zeros(len(data), bool)
    if len(data) > 1 and not bends:
        data, borrowed = borrow(data, library, bright, use, min_cell_stars)
    data, _ = recenter(data, library.oversampling)
    return replace(library, data=data, borrowed=borrowed).normalized()
