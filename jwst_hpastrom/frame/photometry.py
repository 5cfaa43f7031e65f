"""Photometric zero points of the exposures, and mean magnitudes."""

import logging

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from jwst_hpastrom.geometry import GroupMean, group_means, robust_sigma
from jwst_hpastrom.geometry.wrong_pairs import larger_kind
from jwst_hpastrom.numerics import rows_by_group, shortest_half
from jwst_hpastrom.numerics.likely_values import FEWEST, likely_values

__all__ = ["mean_magnitudes", "zero_points"]

log = logging.getLogger("stpipe.hpastrom.frame")

PER_MAG = 2.5 / np.log(10)
#: mag: error of a measurement that its noise does not hold. Flat fields are known to no better than a few
#: thousandths, and only exposures as deep as each other can show it: else one would outweigh all others
FLAT = 1e-3
#: mag: how well the flux calibration compares exposures without a star in common, of detectors far apart say
CALIBRATION = 0.02
#: stars of an exposure up to which all choices of good ones are weighed, and clipping limits within which
#: kinds are told apart
MANY, FAR_KINDS = 100, 2.0
MODERATE = (8.0, 60.0)  # S/N in which the variance is linear in the flux: flat-field errors do not count yet


def mean_magnitudes(star, mag, mag_var, n_stars, *, exposure=None, sigma=3.0):
    """Magnitude of each star's clipped mean flux.

    Means of magnitudes are too faint, and weights from each measurement's own error favor those that
    fluctuated: both bias faint stars by some (N/S)². So fluxes are averaged, and each variance is carried
    along its exposure's law (a level, and a slope with flux) to the flux that the star has on average.

    Parameters
    ----------
    star : ndarray of int, shape (n,)
        Star of each measurement; negative for none.

    mag, mag_var : ndarray, shape (n,)
        Magnitudes and their variances.

    n_stars : int

    exposure : ndarray of int, shape (n,), optional
        Exposure of each measurement; one where not given.

    sigma : float
        Clipping limit.

    Returns
    -------
    `~jwst_hpastrom.geometry.GroupMean`
        In magnitudes.
    """
    star = np.asarray(star, np.int64)
    exposure = np.zeros(star.size, np.int64) if exposure is None else exposure
    known = np.isfinite(mag_var) & (mag_var > 0)
    typical = np.nanmedian(mag_var[known]) if known.any() else 1e-4
    flux = 10 ** (-0.4 * np.asarray(mag, float))
    var = np.where(known, mag_var, typical) * (flux / PER_MAG) ** 2
    first = group_means(star, flux, 1.0 / var, n_stars, sigma=sigma, keep=(kept := np.zeros(star.size, bool)))
    number = np.maximum(first.n_used, 1)
    plain = np.bincount(star[kept], flux[kept], n_stars) / number
    level = np.where(star >= 0, plain[star], flux)
    # no more of a variance rises with the flux than there is of it
    slope = np.minimum(_slopes(exposure, flux, var), var / flux)
    model = np.maximum(var + slope * (level - flux), 0.25 * var)
    weight = 1.0 / (model + (FLAT * level / PER_MAG) ** 2)
    out = group_means(star, flux, weight, n_stars, sigma=sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = PER_MAG / out.mean
        mean = -2.5 * np.log10(out.mean)
    return GroupMean(mean, out.rms * scale, out.formal * scale, out.n_found, out.n_used)


def _slopes(exposure, flux, var):
    """Variance per flux of each measurement's exposure, from its stars of moderate S/N."""
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = flux / np.sqrt(var)
    moderate = (snr > MODERATE[0]) & (snr < MODERATE[1])
    slopes = np.zeros(flux.size)
    for mine in rows_by_group(exposure, int(exposure.max(initial=-1)) + 1):
        rows = mine[moderate[mine]]
        if rows.size >= 20:
            low, high = np.array_split(rows[np.argsort(flux[rows], kind="stable")], 2)
            rise = np.median(var[high]) - np.median(var[low])
            slopes[mine] = max(rise / (np.median(flux[high]) - np.median(flux[low])), 0.0)
    return slopes


def zero_points(m, star, n_stars, central, *, iterations=4, sigma=4.0):
    """Find what to add to each exposure's magnitudes to bring them to those of the central exposure.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int
        Star of each detection; negative for none.

    n_stars : int

    central : int
        Exposure that keeps its magnitudes.

    iterations : int
        Of solving and clipping.

    sigma : float
        Clipping limit, of the residuals in units of their errors.

    Returns
    -------
    zero : ndarray, shape (n_exposures,)
        Magnitudes to add.

    covariance : ndarray, shape (n_exposures, n_exposures)
        Theirs; the central exposure's is zero. All exposures and stars are solved for at
        once, so that chains of little overlap hold. Exposures that no chain connects to the central one (the
        other module of NIRCam) keep their calibration, and err by `CALIBRATION` together.
    """
    zero = np.zeros(m.n_exposures)
    count = np.bincount(star[star >= 0], minlength=n_stars)
    use = (star >= 0) & (count[star] > 1) & m.reference
    if not use.any():
        use = star >= 0
    error_of = np.sqrt(np.where(np.isfinite(m.mag_var), m.mag_var, 0.0))
    if use.sum() > 50 * m.n_exposures:  # the better half of each is more than enough
        for rows in rows_by_group(np.where(use, m.exposure, -1), m.n_exposures):
            use[rows] = error_of[rows] <= np.median(error_of[rows]) if rows.size else False
    rows = np.flatnonzero(use & np.isfinite(m.mag))
    several = np.bincount(star[rows], minlength=n_stars)[star[rows]] > 1
    rows = rows[several] if several.any() else rows  # what is alone agrees with itself and says nothing
    typical = np.median(error_of[rows][error_of[rows] > 0]) if (error_of[rows] > 0).any() else 0.01
    variance = np.where(error_of > 0, error_of, typical)[rows] ** 2 + 1e-6
    mag, exposure, who = m.mag[rows], m.exposure[rows], star[rows]
    keep, unknown = np.ones(rows.size, bool), np.zeros(m.n_exposures)
    for _ in range(iterations):
        w = keep / variance
        # the stars' means are eliminated: what is left is a matrix of exposures
        total = np.maximum(np.bincount(who, w, n_stars), 1e-300)
        design = csr_array((w, (who, exposure)), shape=(n_stars, m.n_exposures))
        share = design.multiply(1.0 / total[:, None])
        normal = np.diag(np.bincount(exposure, w, m.n_exposures)) - (design.T @ share).toarray()
        right = design.T @ (np.bincount(who, w * mag, n_stars) / total)
        right = right - np.bincount(exposure, w * mag, m.n_exposures)
        groups = connected_components(normal < 0, directed=False)[1]
        zero, inverse = _solve(normal, right, groups, central)
        zeroed = mag + zero[exposure]
        off = (zeroed - (np.bincount(who, w * zeroed, n_stars) / total)[who]) / np.sqrt(variance)
        telling = keep & (np.bincount(who[keep], minlength=n_stars)[who] > 1)
        scale = max(robust_sigma(off[telling]) if telling.any() else 0.0, 1e-9)
        last, open_last, keep = keep, unknown, np.abs(off - np.median(off[keep])) <= sigma * scale
        with_others = np.bincount(who[last], minlength=n_stars)[who] > last
        own = np.where(last, 1 - w / total[who], 1 + 1 / (variance * total[who]))
        near = with_others & (np.abs(off) <= FAR_KINDS * sigma * scale)
        other, unknown = _other_kind(off / np.sqrt(np.maximum(own, 1e-3)), near, exposure, m.n_exposures)
        number = np.maximum(np.bincount(exposure, near, m.n_exposures), 1)
        unknown *= np.bincount(exposure, variance * near, m.n_exposures) / number
        keep &= ~other
    dof = max(last.sum() - np.unique(who[last]).size - m.n_exposures + 1, 1)
    if (apart := groups != groups[central]).any():
        log.warning(
            "%d of %d exposures have no star in common with the central one: their magnitudes rest on "
            "the flux calibration, %.2f mag", apart.sum(), apart.size, CALIBRATION,
        )  # fmt: skip
    between = apart[:, None] & (groups[:, None] == groups)
    inverse *= np.sum(off[last] ** 2) / dof
    return zero, inverse + CALIBRATION**2 * between + _unsure(open_last, apart, central)


def _unsure(unknown, apart, central):
    """Covariance by what is unknown of who is wrong: of each exposure, the central one's of all."""
    out = np.diag(unknown) + unknown[central]
    out[central] = out[:, central] = 0.0
    out[np.ix_(apart, ~apart)] = out[np.ix_(~apart, apart)] = 0.0
    return out


def _other_kind(off, near, exposure, n_exposures):
    """Return which measurements are of a smaller kind of their exposure's, that clipping does not part.

    ``off``: residuals in their errors; a star's mean has a part of its wrong measurement, and hides it. Also
    the variance, in the same units, of each exposure's mean by what is unknown of who is wrong.
    """
    out, unknown = np.zeros(off.size, bool), np.zeros(n_exposures)
    for k in range(n_exposures):
        rows = np.flatnonzero(near & (exposure == k))
        if rows.size < FEWEST:
            continue
        z = off[rows]
        if rows.size > MANY:
            middle, size = shortest_half(z)
            larger, _ = larger_kind(z[None], np.abs(z - middle) <= 2.5 * size, 1e-9)
            if larger is not None:
                out[rows[~larger]] = True
                continue
        some = np.sort(z)[:: -(-rows.size // MANY)]  # whatever the order of the rows
        likely = likely_values(some)
        good = some[likely.best]
        # the others of many may reach farther than the good ones of some
        low = np.max(some[some < good.min()], initial=-np.inf)
        high = np.min(some[some > good.max()], initial=np.inf)
        out[rows[(z <= low) | (z >= high)]] = True
        mean = likely.mean - good.mean()
        unknown[k] = likely.probability @ mean**2
    return out, unknown


def _solve(normal, right, groups, central):
    """Zero points and the inverse of their normal matrix, group by group of exposures with common stars.

    Nothing compares the groups but the calibration: on average they have the central one's zero points.
    """
    zero, inverse = np.zeros(right.size), np.zeros(normal.shape)
    mine = groups == groups[central]
    others = mine & (np.arange(right.size) != central)
    part = np.ix_(others, others)
    inverse[part] = np.linalg.pinv(normal[part], hermitian=True)
    zero[others] = inverse[part] @ right[others]
    for g in np.unique(groups[~mine]):
        own = np.flatnonzero(groups == g)
        part = np.ix_(own, own)
        # one equation more: no change of their mean
        mean = np.full((own.size, own.size), max(np.trace(normal[part]), 1.0) / own.size**2)
        inverse[part] = np.linalg.inv(normal[part] + mean) - 1.0 / np.sum(mean)
        zero[own] = inverse[part] @ right[own] + np.mean(zero[mine])
    return zero, inverse
