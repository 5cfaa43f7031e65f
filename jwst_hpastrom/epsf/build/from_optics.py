"""Learning an ePSF as its difference from a model of the optics, where stars' positions are better for it.

Errors of an ePSF that follow the stars' pixel phases hide in their positions, and what is free to vary over
the field takes up noise; optics do neither. A model is wrong by what it does not know: that is learned from
the stars as a Wiener estimate about it (`~jwst_hpastrom.epsf.build.start.Difference`), in which many stars
leave little of the model. Whether positions are better with the one or the other is asked of stars that have
told neither (this project's choice).
"""

import copy
import logging
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from jwst_hpastrom.epsf.build.bends import spread
from jwst_hpastrom.epsf.build.convergence import CLIP, FLOOR
from jwst_hpastrom.epsf.build.positions import TELL_DISTORTION
from jwst_hpastrom.epsf.build.smoothing import recenter, smooth_update
from jwst_hpastrom.epsf.build.start import JUDGED_AT, RIDGE, Difference
from jwst_hpastrom.epsf.stamps.samples import Samples, mean_residuals, sample_scatter

__all__ = ["better_than_given", "in_one_unit", "learn_from_optics", "positions_gain"]

log = logging.getLogger("stpipe.hpastrom.epsf")

OPTICS_ROUNDS = 3  # at most, that the model is fitted to the stars: its derivatives change on the way
SETTLED = 1.0  # nm RMS: smaller changes of the wavefront end that
ROUNDS = 3  # of positions and difference: the frame has to follow what another ePSF calls the center
ROUGH = 0.01  # accuracy of the difference in rounds before the last, which goes on from it
SIDE = 3  # field positions along each axis of optics that vary, where the ePSF had one
PLAIN = 0.05  # of the light: a difference that pixels show beyond doubt, though few stars' positions do not
SURE = 3.0  # standard errors by which positions must be better to leave a given library
#: of the errors' squares, by which free field positions must be better than the model: the trial favors them,
#: whose noise the stars' averages follow in all exposures alike, by 0.004 to 0.006 where positions err by
#: 1.05 to 2 times as much with them (three dense fields of known truth)
HIDDEN = 0.02
#: of the squares of stars that have told the ePSF, and of those that have not: half the stars leave twice the
#: noise of all, which the former hide and the latter show
SHARES = 0.25, 0.75
MEDIAN_SQUARE = 0.455  # of standard normal deviates


def learn_from_optics(job, run, library, config):
    """Return the library to go on with: the given one, or what the stars make of a model of the optics.

    Parameters
    ----------
    job : `~jwst_hpastrom.epsf.stamps.bright_stars.Job`

    run : `~jwst_hpastrom.epsf.build.iterations.Run`
        Fitted with the library. Goes on with the model's positions and difference unless those are worse by
        `SURE` standard errors, and than free field positions by `HIDDEN`; in place of a given library, and of
        free field positions where no dithers tell, only where they are better by one.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    config : `~jwst_hpastrom.epsf.build.config.BuildConfig`

    Returns
    -------
    `~jwst_hpastrom.epsf.library.EPSFLibrary`
    """
    given = run.difference is not None and not run.difference.own
    free = run.difference is None and run.library.x.size > 1
    if run.modes is None or run.it != config.optics_at[free]:
        return library
    now, new = _trial(run), _trial(run)
    for _ in range(ROUNDS):
        use = _average(now)
    halves = now.halves(job, library, use)
    before = _held_out(job, now, [_of_half(now, library, h, config) for h in halves])
    learned, by_halves = _learned(job, new, library, config)
    after = _held_out(job, new, by_halves)
    gain, error = positions_gain(*in_one_unit(before, after), run.star % 2 == 1)
    better = _is_better(gain, error, given, free)
    log.info(
        "positions with what is learned from the model of the optics: squared scatter over the dithers less "
        "by %.3g +- %.2g of the errors' squares; taken: %s",
        gain, error, "the difference from the model" if better else "the ePSF without it",
    )  # fmt: skip
    if not better:
        return library
    run.__dict__.update(new.__dict__)
    run.stars.fit(job, learned)
    return learned


def _is_better(gain, error, given, free):
    """Whether to go on with the model, from the `positions_gain` of a trial."""
    if given or (free and error == 0):  # no dithers, no evidence: free positions stay, which stars paid for
        return gain > error
    return gain >= -max(SURE * error, HIDDEN * free)


def better_than_given(job, run, config):
    """Return the library learned, or the given one as it follows the wavefront where few stars gain nothing.

    Few stars do not tell the distortion, whose errors in the averaged positions both halves of them have in
    common: the difference must make positions of stars that have not told it better beyond doubt.

    Parameters
    ----------
    job, run, config
        As of `learn_from_optics`, after the last iteration.

    Returns
    -------
    `~jwst_hpastrom.epsf.library.EPSFLibrary`
    """
    start = run.difference.start
    few = run.rows[-1]["n_averaged"] <= TELL_DISTORTION
    if not few or run.given_off > PLAIN or not run.difference.power.any():
        return run.library
    old, new = _trial(run), _trial(run)
    for trial, library in ((old, start), (new, run.library)):
        for _ in range(ROUNDS):
            trial.stars.fit(job, library)
            use = _average(trial)
    by_halves = [_of_half(new, run.library, h, config) for h in new.halves(job, run.library, use)]
    before, after = (_held_out(job, t, each) for t, each in ((old, [start] * 2), (new, by_halves)))
    gain, error = positions_gain(*in_one_unit(before, after), run.star % 2 == 1)
    kept = error > 0 and gain <= SURE * error
    log.info(
        "positions with the difference learned: squared scatter over the dithers less by %.3g +- %.2g of the "
        "errors' squares; taken: the ePSF %s it",
        gain, error, "without" if kept else "with",
    )  # fmt: skip
    return start if kept else run.library


def in_one_unit(before, after):
    """Squared offsets over their variances, with one variance for both libraries.

    A sharper ePSF states smaller errors: offsets that have nothing to do with it, as of distortion that
    averages do not follow, must not count against it. The variance is raised by what positions scatter beyond
    their errors with the better library: else the brightest stars, whose offsets are the distortion's, drown
    what the ePSF does (this project's choice).

    Parameters
    ----------
    before, after : ndarray, shape (2, 2, 2, n)
        Squared offsets and squared errors, as told by the odd stars (first) and by the even ones, along x and
        y, pixels.

    Returns
    -------
    before, after : ndarray, shape (2, 2, n)
        As `positions_gain` takes them.
    """
    variance = np.mean([before[1], after[1]], axis=(0, 1))
    squares = before[0], after[0]
    more = [min(_excess(s[:, axis].mean(0), variance[axis]) for s in squares) for axis in (0, 1)]
    variance = variance + np.array(more)[:, None]
    return squares[0] / variance, squares[1] / variance


def _excess(squares, variance):
    """Variance beyond the stated one that squares show, their largest ones apart."""
    known = np.isfinite(squares + variance)
    squares, variance = squares[known], variance[known]

    def beyond(more):
        return np.median(squares / (variance + more)) - MEDIAN_SQUARE

    if not known.any() or beyond(0.0) <= 0:
        return 0.0
    return brentq(beyond, 0.0, 4 * squares.max(), rtol=1e-3, xtol=1e-12)


def positions_gain(before, after, odd):
    """By how much less positions scatter over the dithers, in units of their squared errors.

    Parameters
    ----------
    before, after : ndarray, shape (2, 2, n)
        Squares of positions less their means over the dithers, of the errors' squares, along x and y: with
        the one library and the other, as told by the odd stars (first) and by the even ones.

    odd : ndarray of bool, shape (n,)
        Stars that each measurement is of.

    Returns
    -------
    gain : float
        Mean over measurements and axes, as expected of libraries that all stars have told; positive where
        the second library is better.

    error : float
        Its standard error: noise that both have in common is not in it.
    """
    both = np.array([before, after])
    known = np.isfinite(both).all((0, 1, 2))
    if known.sum() < 2:
        return 0.0, 0.0
    both, odd = both[..., known], odd[known]
    both = np.minimum(both, CLIP * max(np.median(both) / MEDIAN_SQUARE, 1.0))
    told, not_told = (np.where(one, both[:, 0], both[:, 1]) for one in (odd, ~odd))
    expected = (SHARES[0] * told + SHARES[1] * not_told).mean(1)
    less = expected[0] - expected[1]
    return float(less.mean()), float(less.std() / np.sqrt(less.size))


def _trial(run):
    """Return a run that can be changed without changing this one."""
    new = copy.copy(run)
    new.stars, new.averager = run.stars.again(), copy.copy(run.averager)
    return new


def _average(run):
    """Place the stars where their averages are; return those that fit."""
    stars = run.stars
    predicted = run.averager.update(stars.x, stars.y, stars.flux, stars.err)
    stars.place(predicted, False)
    return stars.usable(predicted)


def _of_half(run, library, samples, config):
    """Return the library as half of the stars tell it."""
    if run.difference is not None:
        return copy.copy(run.difference).improve(library, samples)
    update = mean_residuals(
        samples, RIDGE, library.oversampling, run.bends or None, library.data, damped=False
    )
    update = smooth_update(update, library.oversampling, band_limit=config.band_limit or None)
    data, _ = recenter(library.data + update, library.oversampling)
    return replace(library, data=data).normalized()


def _held_out(job, run, libraries):
    """Squared offsets and errors of `in_one_unit` with the libraries of both halves of the stars."""
    out, stars = [], run.stars
    for library in libraries:
        stars.fit(job, library)
        found = copy.copy(run.averager).update(stars.x, stars.y, stars.flux, stars.err, learn=False)
        errors = np.square([stars.x_err, stars.y_err]) + FLOOR**2
        out.append((np.square([found.dx, found.dy]), errors))
    return np.array(out).swapaxes(0, 1)


def _learned(job, run, library, config):
    """Fit the model's wavefront to the stars, and learn the difference from it, from all and from halves."""
    library, run.modes = _over_field(run.modes, library, run.shape)
    library, change = run.modes.model(library), 0.0
    for _ in range(OPTICS_ROUNDS):  # the stars tell the optics better than the library that they made
        run.stars.fit(job, library)
        if run.stars.drifts is None:
            run.stars.follow(job, library, run.modes)
            run.stars.fit(job, library)
        nm, blur = run.stars.over_field(job, library, run.modes)
        change, run.modes = change + nm, run.modes.moved(nm, blur)
        library = run.modes.model(library)
        if np.linalg.norm(nm) < SETTLED:
            break
    moved = np.sqrt(np.square(change).sum(-1))
    log.info("the optics' wavefront, in the middle and over the field: %s nm RMS more", moved.round(1))
    later = tuple(run.it + k for k in JUDGED_AT[1:])
    run.difference = Difference(library, config.band_limit, judged_at=later, of_optics=True)
    library = run.difference.start
    for k in range(ROUNDS):
        run.stars.fit(job, library)
        use = _average(run)
        if k == 0:
            run.limit = config.clip * sample_scatter(run.stars.sample(job, library, use, run.limit).histogram)
        halves = run.halves(job, library, use)
        if k == 0:
            run.difference.judge(halves, use.sum() / len(run.stars.frames))
        if k < ROUNDS - 1:
            library = run.difference.improve(library, Samples.of_all(halves), ROUGH)
    by_halves = [_of_half(run, library, h, config) for h in halves]
    return run.difference.improve(library, Samples.of_all(halves)), by_halves


def _over_field(modes, library, shape):
    """Return library and derivatives at several field positions, where they were at one."""
    if library.x.size > 1:
        return library, modes
    library = spread(library, SIDE, shape)
    ends = np.array([p[[0, -1]] for p in (library.x, library.y)])
    wave = modes.wavefront
    nm = np.stack([wave.at(library.x.mean(), library.y.mean()), *np.zeros((2, wave.nm.shape[1]))])
    wave = replace(wave, nm=nm, middle=ends.mean(1), span=0.5 * np.ptp(ends, axis=1))
    return library, replace(modes, wavefront=wave, x=ends[0], y=ends[1])
