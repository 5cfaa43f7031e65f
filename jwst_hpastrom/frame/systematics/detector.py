"""Errors that belong to places of the detector, from the residuals of dithered stars."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from jwst_hpastrom.frame.systematics.spread import USUAL, Profile, Spread, chi2, shown_terms
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.instrument import FALL
from jwst_hpastrom.numerics import polynomial_basis, polynomial_terms, rows_by_group
from jwst_hpastrom.numerics.groups import quadratic_sums, without_linear

__all__ = ["DetectorErrors", "detector_errors", "same_places", "shared_weight"]

#: measurements that the detector's pattern is found from: more add nothing; and the fewest degrees of freedom
#: that it is looked for in, three for each of its coefficients
MOST, FEWEST = 60000, 27
#: detector pixels within which an error of the detector's is the same
CORRELATED = 16.0
#: times that stars' means and exposures' transformations, which are not orthogonal, are taken out in turn:
#: after three a quarter of a fourth-degree pattern is still missing from the means of wide dithers
ROUNDS = 10
#: terms of the polynomial pattern that dithers show; and of the one that they take for transformations
SHOWN, HIDDEN = polynomial_terms(4, lowest=3), polynomial_terms(2, lowest=2)


@dataclass(frozen=True, eq=False)
class DetectorErrors:
    """Position errors that stay at one place of the detector, as dithers show them; master pixels.

    Attributes
    ----------
    smooth : `Profile`
        Error of a star's mean by the smooth part (a polynomial), which dithers do not average.

    hidden : `Profile`
        The same by its quadratic terms, which dithers take for transformations: as large as the others; or
        what the exposures' strains do not show of them, the rest of which is in ``smooth``.

    local : ndarray, shape (2,)
        Error of one measurement by the part that neighboring stars share; exposures at other places of the
        detector are independent of it.

    spread : `Spread` or None
        Size of the polynomial's coefficients; None where it is not known.
    """

    smooth: Profile
    hidden: Profile
    local: np.ndarray
    spread: Spread | None

    @property
    def limit(self):
        """Whether no pattern at all would do as well: its size is then that of the noise it is sought in."""
        return self.spread is None or self.spread.noise_like

    @property
    def margin(self):
        """Upper limit over expectation of squares of what is not seen."""
        return 1.0 if self.spread is None else self.spread.margin

    @classmethod
    def unknown(cls):
        return cls(Profile.constant(np.nan), Profile.constant(0.0), np.zeros(2), None)


def _taken_means(columns, group):
    """Take the groups' means out of columns (n, k) in place; return them, (n_groups, k)."""
    count = np.bincount(group)
    means = np.stack([np.bincount(group, c) for c in columns.T], 1) / count[:, None]
    columns -= means[group]
    return means


def _most_telling(rows, variance, star):
    """Rows of the best measured stars, as many as make the mean's error smallest, where all count alike."""
    _, group, count = np.unique(star, return_inverse=True, return_counts=True)
    variance = (np.bincount(group, variance, minlength=count.size) / count)[group]
    order = np.argsort(variance, kind="stable")[:MOST]
    n = np.arange(1, order.size + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        best = np.argmax(n**2 / np.cumsum(variance[order])) + 1 if order.size else 0
    return np.sort(rows[order[:best]])


def _pattern_variance(z, variance):
    """Return what residuals of the better measured half scatter beyond their errors: fine structure."""
    half = variance <= np.median(variance)
    width = np.mean([robust_sigma(c[half]) ** 2 for c in z])
    return max(float(width - np.median(variance[half])), 0.0)


def _telling_residuals(m, star, averages, sigma):
    """Rows of the measurements that tell most, and residuals (2, n), those beyond ``sigma`` left out."""
    rows = np.flatnonzero(averages.used & m.reference & (star >= 0) & (averages.n_used[star] >= 2))
    z = np.stack([m.u[rows], m.v[rows]]) - averages.mean[star[rows]].T
    variance = 0.5 * (m.vu[rows] + m.vv[rows])
    if rows.size:
        variance = variance + _pattern_variance(z, variance)
    telling = _most_telling(np.arange(rows.size), variance, star[rows])
    rows, z = rows[telling], z[:, telling]
    width = np.array([robust_sigma(c) for c in z])[:, None]
    good = np.all(np.abs(z) <= sigma * np.maximum(width, 1e-12), axis=0)
    return rows[good], z[:, good]


def detector_errors(m, star, averages, together, *, believed=0.0, strains=None, sigma=4.0):
    """Estimate the errors that belong to places of the detector from the residuals of bright stars.

    A polynomial pattern e(x, y) of third and fourth degree shows in a star's residuals as e at one dither
    minus its mean over all; lower degrees look like the exposures' transformations and stay hidden. Their
    coefficients are taken to be of the size of those that are seen, or, of what a WCS lacks, to fall with
    the degree; `curvature_error` has what a catalog tells of them. What is left of the residuals is compared
    between stars that are neighbors in one exposure, and between exposures that have a star at the same
    place: noise is not common to them, an error of the ePSF or of the distortion is.

    Parameters
    ----------
    m : `~jwst_hpastrom.frame.measurements.Measurements`

    star : ndarray of int
        Star of each detection; negative for none.

    averages
        Means of the stars and the measurements used.

    together : ndarray of bool, shape (n_exposures, n_exposures)
        Which exposures have a star at the same place of the detector (`same_places`).

    believed : float
        RMS error, of either axis, that a pattern is documented to have before anything of it is seen.

    strains : `~jwst_hpastrom.frame.systematics.strains.Strains`, optional
        Of exposures that their WCS alone corrects: these show of the quadratic terms what they can.

    sigma : float
        Residuals beyond this are left out.

    Returns
    -------
    `DetectorErrors`
        Errors expected from what was seen, its noise included, about a linear map of the frame, whose error
        is the tie's; NaN where stars or dithers are too few.
    """
    rows, z = _telling_residuals(m, star, averages, sigma)
    x, y, exposure = m.x[rows], m.y[rows], m.exposure[rows]
    who, group = np.unique(star[rows], return_inverse=True)
    taken_out = who.size + 3 * np.unique(exposure).size
    if rows.size - taken_out < FEWEST:
        return DetectorErrors.unknown()
    half = 0.5 * max(np.ptp(x), np.ptp(y))
    p, q = (x - x.mean()) / half, (y - y.mean()) / half
    terms = _pattern(p, q, SHOWN, believed)
    shown, means = terms.copy(), np.zeros((who.size, terms.shape[1]))
    for _ in range(ROUNDS):
        means += _taken_means(shown, group)
        without_linear(shown.T, exposure, p, q)
    turn, found, noise, z = shown_terms(shown, z, chi2, taken_out)
    own = np.median(np.mean(averages.formal[star[rows]] ** 2, axis=1))
    size = believed / _unit_size(p, q, believed)
    prior = Spread.believed(size) if size**2 > own else Spread.unknown(USUAL * np.sqrt(own))
    spread = prior.given(found, noise)
    if not spread.told:
        return DetectorErrors.unknown()

    bends = None
    if strains is not None:
        slope = np.mean(chi2(z, taken_out + terms.shape[1])) / _sum_of_squares(p, q, exposure)
        bends = strains.bends((x.mean(), y.mean()), half, HIDDEN, _factor(2, believed), slope)
        spread = spread.given(bends.found, bends.variance)

    # errors of the stars' means, less the linear map that they make of the frame
    u, v = averages.mean[who].T
    line = np.stack([np.ones(who.size), u - u.mean(), v - v.mean()], 1)
    means = np.c_[means, _pattern(*_beyond_the_edges(line, group, exposure, p, q), HIDDEN, believed)]
    base = np.linalg.qr(line)[0]
    means -= base @ (base.T @ means)
    seen, bent = means[:, : terms.shape[1]] @ turn, means[:, terms.shape[1] :]
    smooth = spread.variances(seen, found, noise)
    if bends is None:
        hidden = np.repeat(spread.square * np.sum(bent**2, axis=1)[:, None], 2, axis=1)
    else:
        more, hidden = bends.squares(spread, bent)
        smooth = smooth + more
    local = np.sqrt(np.maximum(_of_neighbors(x, y, exposure, z), _of_repeats(group, exposure, z, together)))
    return DetectorErrors(Profile.of(u, v, smooth), Profile.of(u, v, hidden), local, spread)


def _pattern(p, q, terms, falls):
    """Values of the terms, of one size, or falling with the degree as a distortion's do."""
    return polynomial_basis(p, q, terms) * _factor(np.sum(terms, axis=1), falls)


def _factor(degree, falls):
    return FALL / degree if falls else 1.0


def _sum_of_squares(p, q, exposure):
    """Of either coordinate about the middle of the exposure's stars, the mean of all exposures."""
    count = np.bincount(exposure)
    within = [np.sum(c**2) - np.sum(np.bincount(exposure, c) ** 2 / np.maximum(count, 1)) for c in (p, q)]
    return max(float(np.mean(within)) / np.count_nonzero(count), 1e-300)


def _unit_size(p, q, falls):
    """RMS over the stars of a pattern whose coefficients are one, less its linear part."""
    terms, line = _pattern(p, q, HIDDEN + SHOWN, falls), np.stack([np.ones(p.size), p, q], 1)
    left = terms - line @ np.linalg.lstsq(line, terms, rcond=None)[0]
    return np.sqrt(np.mean(np.sum(left**2, axis=1)))


def _beyond_the_edges(line, group, exposure, p, q):
    """Return detector coordinates of stars (of the frame's positions ``line``) in a middle exposure.

    What transformations take for theirs goes on beyond the detector's edges. The slopes are those within the
    exposures: a star far out is only seen by the exposures that reach it, so that all of them together would
    have the frame as small as the detector.
    """
    count = np.bincount(exposure)[:, None]
    columns = np.c_[line[group, 1:], p, q]
    centers = np.stack([np.bincount(exposure, c) for c in columns.T], 1) / np.maximum(count, 1)
    about = columns - centers[exposure]
    slopes = np.linalg.lstsq(about[:, :2], about[:, 2:], rcond=None)[0]
    seen = count[:, 0] > 0
    return (np.mean(centers[seen, 2:] - centers[seen, :2] @ slopes, axis=0) + line[:, 1:] @ slopes).T


def _of_neighbors(x, y, exposure, z):
    """Mean product of residuals of neighbors in one exposure, of either axis; zero where negative."""
    total, n = np.zeros(2), 0
    for s in rows_by_group(exposure, int(exposure.max()) + 1):
        i, j = cKDTree(np.c_[x[s], y[s]]).query_pairs(CORRELATED, output_type="ndarray").reshape(-1, 2).T
        product = z[:, s[i]] * z[:, s[j]]
        total, n = total + product.sum(1), n + i.size
    if n < 100:
        return np.zeros(2)
    return np.maximum(total / n, 0.0)


def _of_repeats(group, exposure, z, together):
    """Mean product of a star's residuals at the same place over that at different places, of either axis."""
    shape = (group.max() + 1, len(together))
    there = csr_array((np.ones(group.size), (group, exposure)), shape=shape)
    counts = (there.T @ there).toarray()
    pairs = [np.triu(together, 1), np.triu(~together, 1)]
    if min(counts[p].sum() for p in pairs) < 100:
        return np.zeros(2)
    out = []
    for values in z:
        table = csr_array((values, (group, exposure)), shape=shape)
        products = (table.T @ table).toarray()
        same, other = (products[p].sum() / counts[p].sum() for p in pairs)
        out.append(max(same - other, 0.0))
    return np.array(out)


def same_places(m, transforms):
    """Which exposures put the sky on the same pixels, (n_exposures, n_exposures) bool."""
    corner = np.array([[m.x.min(), m.x.max()], [m.y.min(), m.y.max()]])
    back = [t.inverted() for t in transforms]
    matrix, center, offset = (np.stack([getattr(t, c) for t in back]) for c in ("matrix", "center", "offset"))
    out = np.empty((len(back), len(back)), bool)
    for k, t in enumerate(transforms):  # a row at a time: places of all pairs at once would be many
        d = np.stack(t.forward(*corner)) - center[:, :, None]
        at = matrix @ d + offset[:, :, None]
        out[k] = np.all(np.hypot(*(at - corner).transpose(1, 0, 2)) < CORRELATED, axis=-1)
    return out


def shared_weight(m, star, used, together, n_stars):
    """How much more than 1/N the variance of a star's mean holds of a local error of one measurement.

    Zero where all its exposures are at different places of the detector.
    """
    rows = np.flatnonzero(used)
    star, exposure = star[rows], m.exposure[rows]
    n = np.maximum(np.bincount(star, minlength=n_stars), 1.0)
    pairs = quadratic_sums(star, exposure, np.ones(star.size), n_stars, together.astype(float))
    return np.maximum(pairs / n**2 - 1.0 / n, 0.0)
