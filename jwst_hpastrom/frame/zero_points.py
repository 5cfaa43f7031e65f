"""Photometric zero points of the exposures."""

import logging
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.geometry.wrong_pairs import larger_kind
from jwst_hpastrom.numerics import rows_by_group, shortest_half
from jwst_hpastrom.numerics.choices import mixture_moments
from jwst_hpastrom.numerics.likely_values import FEWEST, likely_values, scatter

__all__ = ["zero_points"]

log = logging.getLogger("stpipe.hpastrom.frame")

#: mag: how well the flux calibration compares exposures without a star in common, of detectors far apart say
CALIBRATION = 0.02
#: stars of an exposure up to which all choices of good ones are weighed, and clipping limits within which
#: kinds are told apart
MANY, FAR_KINDS = 100, 2.0
#: sweeps over all exposures before and while draws count, and the share of a zero point's variance by who is
#: wrong below which the likeliest choice stands for all
FIRST, DRAWS, CLEAR = 3, 30, 0.02


def zero_points(m, star, n_stars, central, *, iterations=4, sigma=4.0, names=None, calibrated=None):
    """Find what to add to each exposure's magnitudes to bring them to those of the central exposure.

    All exposures and stars are solved for at once, so that chains of little overlap hold. Exposures that no
    chain connects to the central one (the other module of NIRCam) keep their calibration, and err by
    `CALIBRATION` together. Which of some hundred stars of an exposure are wrong is drawn by its probability,
    exposure after exposure (Gibbs sampling): zero points and covariance are those of all draws.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int
        Star of each detection; negative for none.

    n_stars : int

    central : int
        Exposure that keeps its magnitudes.

    iterations : int
        Of solving and clipping many stars.

    sigma : float
        Clipping limit, of the residuals in units of their errors.

    names : list of str, optional
        Of the exposures, for warnings.

    calibrated : ndarray, shape (n_exposures,), optional
        Magnitudes to add by the flux calibration.

    Returns
    -------
    zero : ndarray, shape (n_exposures,)
        Magnitudes to add.

    covariance : ndarray, shape (n_exposures, n_exposures)
        Theirs; the central exposure's is zero.
    """
    calibrated = np.zeros(m.n_exposures) if calibrated is None else calibrated
    e = _Equations.of(m, star, n_stars, central, calibrated)
    of_each = np.bincount(e.exposure[e.shared(np.ones(e.mag.size, bool))], minlength=e.n_exposures)
    few, keep, open_ = of_each <= MANY, np.ones(e.mag.size, bool), np.zeros(e.n_exposures)
    for _ in range(iterations if not few.all() else 1):
        fit = e.solved(keep)
        last, open_last, (keep, open_) = keep, open_, _clipped(e, fit, keep, few, sigma)
    if (apart := fit.groups != fit.groups[central]).any():
        log.warning(
            "%d of %d exposures have no star in common with the central one: their magnitudes rest on "
            "the flux calibration, %.2f mag", apart.sum(), apart.size, CALIBRATION,
        )  # fmt: skip
    between = CALIBRATION**2 * (apart[:, None] & (fit.groups[:, None] == fit.groups))
    if not few.any():
        return fit.zero, fit.covariance(last) + between + _unsure(open_last, apart, central)
    zero, own, choices = _drawn(e, last, few)
    _tell(zero, own, choices, of_each, apart | (np.arange(apart.size) == central), names)
    return zero, own + choices + between + _unsure(np.where(few, 0.0, open_last), apart, central)


@dataclass(frozen=True, eq=False)
class _Equations:
    """Magnitudes of stars in several exposures; errors are ``variance`` but for a factor of all."""

    mag: np.ndarray
    variance: np.ndarray
    exposure: np.ndarray
    who: np.ndarray
    n_stars: int
    n_exposures: int
    central: int
    calibrated: np.ndarray

    @classmethod
    def of(cls, m, star, n_stars, central, calibrated):
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
        error_of = error_of[rows]
        typical = np.median(error_of[error_of > 0]) if (error_of > 0).any() else 0.01
        variance = np.where(error_of > 0, error_of, typical) ** 2 + 1e-6
        return cls(
            m.mag[rows], variance, m.exposure[rows], star[rows], n_stars, m.n_exposures, central, calibrated
        )

    def shared(self, keep):
        """Measurements whose star has others that are kept."""
        return np.bincount(self.who[keep], minlength=self.n_stars)[self.who] > keep

    def solved(self, keep):
        """Zero points of the measurements kept, and all residuals in units of their errors."""
        who, exposure, mag = self.who, self.exposure, self.mag
        w = keep / self.variance
        # the stars' means are eliminated: what is left is a matrix of exposures
        total = np.maximum(np.bincount(who, w, self.n_stars), 1e-300)
        design = csr_array((w, (who, exposure)), shape=(self.n_stars, self.n_exposures))
        share = design.multiply(1.0 / total[:, None])
        normal = np.diag(np.bincount(exposure, w, self.n_exposures)) - (design.T @ share).toarray()
        right = design.T @ (np.bincount(who, w * mag, self.n_stars) / total)
        right = right - np.bincount(exposure, w * mag, self.n_exposures)
        groups = connected_components(normal < 0, directed=False)[1]
        zero, inverse = _solve(normal, right, groups, self.central, self.calibrated)
        zeroed = mag + zero[exposure]
        off = (zeroed - (np.bincount(who, w * zeroed, self.n_stars) / total)[who]) / np.sqrt(self.variance)
        # variance of a residual, without its own part in the star's mean
        own = np.where(keep, 1 - w / total[who], 1 + 1 / (self.variance * total[who]))
        dof = max(keep.sum() - np.unique(who[keep]).size - self.n_exposures + groups.max() + 1, 1)
        return _Zeros(zero, inverse, groups, off, np.maximum(own, 1e-3), dof)

    def others(self, keep, zero, k):
        """Differences of an exposure's magnitudes to the means of the others, and their variances."""
        rows = np.flatnonzero((self.exposure == k) & self.shared(keep))
        w = np.where(keep & (self.exposure != k), 1.0 / self.variance, 0.0)
        total = np.maximum(np.bincount(self.who, w, self.n_stars), 1e-300)
        mean = np.bincount(self.who, w * (self.mag + zero[self.exposure]), self.n_stars) / total
        who = self.who[rows]
        return rows, self.mag[rows] + zero[k] - mean[who], self.variance[rows] + 1.0 / total[who]


class _Zeros(NamedTuple):
    """A solution: zero points, inverse of their normal matrix, exposures by what connects them, residuals."""

    zero: np.ndarray
    inverse: np.ndarray
    groups: np.ndarray
    off: np.ndarray
    own: np.ndarray
    dof: int

    def covariance(self, keep):
        """Covariance by the scatter of the measurements kept."""
        return self.inverse * np.sum(self.off[keep] ** 2) / self.dof


def _clipped(e, fit, keep, few, sigma):
    """Measurements of exposures with many stars that clipping and kinds leave; variances by who is wrong."""
    shared = e.shared(keep)
    telling = keep & shared
    scale = max(robust_sigma(fit.off[telling]) if telling.any() else 0.0, 1e-9)
    of_few = few[e.exposure]
    new = of_few | (np.abs(fit.off - np.median(fit.off[keep])) <= sigma * scale)
    near = ~of_few & shared & (np.abs(fit.off) <= FAR_KINDS * sigma * scale)
    other, unknown = _other_kind(fit.off / np.sqrt(fit.own), near, e.exposure, e.n_exposures)
    number = np.maximum(np.bincount(e.exposure, near, e.n_exposures), 1)
    unknown *= np.bincount(e.exposure, e.variance / fit.own * near, e.n_exposures) / number
    return new & ~other, unknown


def _drawn(e, keep, few):
    """Zero points over draws of wrong measurements in exposures with ``few`` stars, and two covariances.

    The second one is of what the draws differ by.
    """
    rng, fit, keep = np.random.default_rng(few.size), e.solved(keep), keep.copy()
    off = (fit.off / np.sqrt(fit.own))[e.shared(keep)]
    # no errors are believed that most measurements agree better than
    size = min(robust_sigma(off) * (1 + 2 / np.sqrt(off.size)), 1.0) if off.size > 1 else 1.0
    e = replace(e, variance=e.variance * max(size, 1e-9) ** 2)
    # of two exposures both see the same differences: who is wrong in one says all
    drawn = [k for k in np.flatnonzero(few) if e.n_exposures > 2 or k != e.central]
    zero, zeros, covariances, sure = fit.zero.copy(), [], [], set()
    for sweep in range(FIRST + DRAWS):
        for k in drawn:
            if k in sure:
                continue
            keep, zero, clear = _one_drawn(e, keep, zero, k, rng)
            if clear and sweep == FIRST - 1:
                sure.add(k)
        if sweep < FIRST:
            continue
        fit = e.solved(keep)
        zero = fit.zero.copy()
        zeros.append(zero)
        covariances.append(fit.inverse * scatter(fit.dof, np.sum(fit.off[keep] ** 2)))
        if len(sure) == len(drawn):
            break
    out, spread = np.mean(zeros, axis=0), np.zeros((few.size, few.size))
    if len(zeros) > 1:
        spread = np.cov(np.array(zeros).T) * (1 + 1 / len(zeros))
    return out, np.mean(covariances, axis=0), spread


def _one_drawn(e, keep, zero, k, rng):
    """Draw which measurements of an exposure are good; whether it matters little which draw it is."""
    rows, values, variance = e.others(keep, zero, k)
    keep, zero = keep.copy(), zero.copy()
    keep[e.exposure == k] = True  # without others they say nothing, and do no harm
    if rows.size < FEWEST:
        return keep, zero, True
    likely = likely_values(values, 1.0 / variance)
    p = likely.probability
    spread = mixture_moments(p, likely.mean, np.zeros(p.size))[1]
    clear = bool(spread < CLEAR * (p @ likely.variance))
    c = int(p.argmax()) if clear else int(np.searchsorted(np.cumsum(p), rng.uniform(0, p.sum())))
    good = likely.order[likely.first[c] : likely.last[c]]
    keep[rows] = False
    keep[rows[good]] = True
    zero[k] -= likely.mean[c]
    return keep, zero, clear


def _tell(zero, own, choices, of_each, known, names):
    """Warn of exposures whose zero points hang on which stars are wrong, or whose stars do not tell that."""
    names = names or [f"exposure {k + 1}" for k in range(zero.size)]
    variance, spread = np.diag(own), np.diag(choices)
    for k in np.flatnonzero(~known & (spread > variance)):
        log.warning(
            "%s: the stars in common with other exposures do not tell which of their magnitudes are wrong: "
            "zero point %.4f ± %.4f mag", names[k], zero[k], np.sqrt(variance[k] + spread[k]),
        )  # fmt: skip
    if (none := ~known & (of_each < FEWEST)).any():
        log.warning(
            "fewer than %d stars in common tell of no wrong magnitude: zero points of %s rest on all of them",
            FEWEST, ", ".join(names[k] for k in np.flatnonzero(none)),
        )  # fmt: skip


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


def _solve(normal, right, groups, central, calibrated):
    """Zero points and the inverse of their normal matrix, group by group of exposures with common stars.

    Nothing compares the groups but the calibration: on average they have the central one's zero points,
    but for what it says.
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
        zero[own] = inverse[part] @ right[own] + np.mean((zero - calibrated)[mine])
        zero[own] += np.mean(calibrated[own])
    return zero, inverse
