"""Which list of several epochs has a wrong time: what the stars' motions say of all times together."""

import numpy as np

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms

__all__ = ["list_times"]

#: fewest stars and measurements of each that tell
LEAST, EPOCHS = 30, 3
#: shifts of a list's time that are tried, in units of the baseline: fine about none
SHIFTS = np.r_[-np.geomspace(4.0, 0.01, 24), 0.0, np.geomspace(0.01, 4.0, 24)]
#: squared dispersion of the motions over the spread that is measured, and factors on squared errors
DISPERSIONS, FACTORS = np.r_[np.geomspace(1e-3, 1.0, 8), 1.5], np.geomspace(0.1, 10.0, 17)
#: widths beyond which a motion, and multiples of the typical chi-square beyond which a star, takes no part
FAST, WILD = 5.0, 9.0
#: logarithm of the likelihood by which a list's time must be better for the next one to be sought, 4.5 sigma
SEEN = 10.0
#: degree of the polynomials over the field that each list's transformation may be off by; stars a term
MOST_DEGREE, STARS_PER_TERM = 3, 15
#: stars that tell as well as more would, those of smallest errors
ENOUGH = 1500


def list_times(epochs, position, error, fits, usable):
    """Years by which each list is later than it says, from how motions fit the times of all.

    Parameters
    ----------
    epochs : ndarray, shape (n_epochs,)

    position, error : ndarray, shape (2, n, n_epochs)
        mas.

    fits : `~jwst_hpastrom.motion.star_fits.models.MotionFits`

    usable : ndarray of bool, shape (n, n_epochs)

    Returns
    -------
    time, sigma : ndarray, shape (n_epochs,)
        NaN where stars are too few, or no time would be better.

    Notes
    -----
    A star's displacements are its motion times the epochs' times; motions are normal about the field's, with
    a dispersion that is sought, and errors right up to a factor that is sought. Where a time is wrong, the
    displacements lie along another vector of times: no star's own motion is needed, so that a dispersion of
    the size of the errors tells as well as a larger one. What lists' transformations may be off by, a
    polynomial over the field, is left out. Three epochs only tell that one time is wrong, not which.
    """
    n_epochs = len(epochs)
    time, sigma = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
    if n_epochs < EPOCHS:
        return time, sigma
    data = [_displacements(epochs, position[a], error[a], fits, usable) for a in (0, 1)]
    if min(len(y) for y, _ in data) < LEAST:
        return time, sigma
    if _likelihood(data, epochs) - _likelihood(data, epochs, DISPERSIONS[:1]) < SEEN:
        return time, sigma  # no motions beyond the errors
    known, baseline = np.zeros(n_epochs), float(np.ptp(epochs))
    left = list(range(n_epochs))
    for _ in range(max((n_epochs - 1) // 2, 1)):
        found = {k: _best(data, epochs + known, k, baseline) for k in left}
        k = max(found, key=lambda i: found[i][2])
        if found[k][2] < SEEN:
            break
        time[k], sigma[k] = found[k][:2]
        known[k] = time[k]
        left.remove(k)
    if n_epochs > EPOCHS or len(left) == n_epochs:  # of three, one put right leaves nothing to tell
        for k in left:
            time[k], sigma[k] = _best(data, epochs + known, k, baseline)[:2]
    return time, sigma


def _displacements(epochs, position, error, fits, usable):
    """Displacements of the stars that tell, about each list's mean, and inverse variances; (m, n_epochs)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(usable & np.isfinite(position) & (error > 0), error**-2.0, 0.0)
    rows = np.flatnonzero((fits.model >= 0) & ((weight > 0).sum(1) >= EPOCHS))
    if rows.size < LEAST:
        return _no_stars(epochs)
    # lines through all epochs: fits have left out, or doubt, the list that is wrong
    motion, spread = _lines(epochs, position[rows], weight[rows])[1:]
    best = np.argsort(spread)[:ENOUGH]
    rows, motion = rows[best], motion[best]
    weight = weight[rows]
    seen = weight > 0
    moving = motion - np.median(motion)
    residual = _lines(epochs, position[rows], weight)[0]
    residual = np.where(seen, residual - np.nanmedian(np.where(seen, residual, np.nan), axis=0), 0.0)
    chi2 = np.sum(residual**2 * weight, 1) / np.maximum(seen.sum(1) - 2, 1)
    good = (chi2 < WILD * np.median(chi2)) & (np.abs(moving) < FAST * robust_sigma(moving))
    y = (residual + moving[:, None] * (epochs - np.mean(epochs)))[good]
    weight, seen = weight[good], seen[good]
    place = fits.position[rows[good]]
    place = (place - place.mean(0)) / np.abs(place - place.mean(0)).max()
    degree = MOST_DEGREE if len(y) > STARS_PER_TERM * len(polynomial_terms(MOST_DEGREE)) else 1
    terms = polynomial_basis(*place.T, polynomial_terms(degree))
    for k in range(len(epochs)):
        here = seen[:, k]
        y[here, k] -= terms[here] @ np.linalg.lstsq(terms[here], y[here, k], rcond=None)[0]
    return np.where(seen, y, 0.0), weight


def _lines(epochs, position, weight):
    """Residuals of weighted lines in time, their slopes and the slopes' errors."""
    y, total = np.where(weight > 0, position, 0.0), weight.sum(1)[:, None]
    dt = epochs - weight @ epochs[:, None] / total
    y = y - np.sum(weight * y, 1)[:, None] / total
    power = np.maximum(np.sum(weight * dt**2, 1), 1e-300)
    slope = np.sum(weight * dt * y, 1) / power
    return y - slope[:, None] * dt, slope, power**-0.5


def _no_stars(epochs):
    return np.zeros((0, len(epochs))), np.zeros((0, len(epochs)))


def _likelihood(data, times, dispersions=DISPERSIONS):
    """Logarithm of the likelihood of all displacements at given times, best dispersion and error factor."""
    total = 0.0
    for y, w in data:
        t = times - times.mean()
        a, b, c = w.sum(1), w @ t, w @ t**2
        p, q, r = np.sum(w * y, 1), (w * y) @ t, np.sum(w * y**2, 1)
        c, q, r = c - b**2 / a, q - b * p / a, np.maximum(r - p**2 / a, 0.0)
        n = (w > 0).sum(1) - 1
        spread = np.median((q / np.maximum(c, 1e-300)) ** 2) / 0.455  # of a normal distribution
        v = (dispersions * spread)[:, None, None]
        f = FACTORS[None, :, None]
        chi2 = r / f - (q / f) ** 2 / (c / f + 1 / v)
        total += np.max(-0.5 * np.sum(chi2 + n * np.log(f) + np.log1p(v * c / f), axis=-1))
    return float(total)


def _best(data, epochs, k, baseline):
    """Shift of list k's time that is most likely, its error, and the gain in likelihood."""
    unit = np.eye(len(epochs))[k]
    none = _likelihood(data, epochs)
    coarse = [_likelihood(data, epochs + s * baseline * unit) for s in SHIFTS]
    i = int(np.argmax(coarse))
    shift, step = SHIFTS[i], max(abs(SHIFTS[i]) * 0.2, 0.01)
    for _ in range(12):  # parabolas through three points
        values = [_likelihood(data, epochs + (shift + d) * baseline * unit) for d in (-step, 0.0, step)]
        bend = values[0] - 2 * values[1] + values[2]
        if not bend < 0:
            return np.nan, np.nan, 0.0
        move = 0.5 * step * (values[0] - values[2]) / bend
        shift += float(np.clip(move, -step, step))
        if abs(move) < 0.1 * step:
            break
        step = max(step / 2, 1e-3)
    gain = max(values[1] - none, 1e-6)
    return shift * baseline, abs(shift) * baseline / np.sqrt(2 * gain), gain
