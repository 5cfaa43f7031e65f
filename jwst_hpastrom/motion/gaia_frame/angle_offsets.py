"""Offsets that epochs of a position angle share: what stars of a magnitude have in common, and own ones."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

__all__ = ["AngleOffsets", "OwnOffsets", "learn_offsets", "magnitude_basis"]

#: stars a node of the offsets' curve over magnitude, and the most nodes
STARS_PER_NODE, MOST_NODES = 40, 9
#: stars a bin of magnitude in which one spread holds, and the most bins
STARS_PER_BIN, MOST_BINS = 150, 8
#: stars that teach the offsets as well as more would
ENOUGH = 3000
#: spreads of the stars' own offsets that are tried, in typical errors: none, then to where epochs are useless
SPREADS = np.r_[1e-3, np.geomspace(0.1, 32.0, 18)]
#: variances of stars, one of whose epochs may be wrong, over the stated: a mixture, weights found on the way
WIDE = np.array([1.0, 10.0, 100.0, 1e4])
#: epochs from which wrong measurements are left out one by one, and the errors that make one wrong
TESTED, WRONG = 5, 5.0
#: rounds of curve, spreads and rejections; steps of the width of the curve
ROUNDS, STEPS = 6, 200
#: the same before the spreads are known, and degrees of freedom of Student's distribution there
FIRST, FREEDOM = 10, 2.0


@dataclass(frozen=True)
class OwnOffsets:
    """Covariances of the stars' own offsets between epochs, made for the stars asked for.

    Attributes
    ----------
    variance : ndarray, shape (n_stars, 2)
        mas².

    same : ndarray, shape (n_epochs, n_epochs)
        1 where two epochs are of one group.
    """

    variance: np.ndarray
    same: np.ndarray

    def __getitem__(self, key):
        return self.variance[key][..., None, None] * self.same


@dataclass(frozen=True)
class AngleOffsets:
    """Offsets of groups of epochs, from `learn_offsets`.

    Attributes
    ----------
    shift : ndarray, shape (2, n_stars, n_epochs)
        What stars of a magnitude have in common, mas; about zero over the field's stars.

    spread : ndarray, shape (2, n_stars)
        Standard deviation of the stars' own offsets about it, mas.

    group : ndarray of int, shape (n_epochs,)

    basis : ndarray, shape (n_stars, n_nodes)
        Of the curves over magnitude, about their mean over the stars.

    covariance : ndarray, shape (2, n_groups n_nodes, n_groups n_nodes)
        Of the curves' values at the nodes, mas², group by group.
    """

    shift: np.ndarray
    spread: np.ndarray
    group: np.ndarray
    basis: np.ndarray
    covariance: np.ndarray

    def take(self, rows):
        """Return those of some of the stars."""
        return AngleOffsets(
            self.shift[:, rows], self.spread[:, rows], self.group, self.basis[rows], self.covariance
        )

    def own(self, rows=None):
        """Covariances of the stars' own offsets, zero but for ``rows`` (a mask) where given."""
        variance = self.spread.T**2
        if rows is not None:
            variance = np.where(rows[:, None], variance, 0.0)
        return OwnOffsets(variance, (self.group[:, None] == self.group) * 1.0)

    def response(self, operator, rows):
        """Derivatives of what a left inverse (n, k, n_epochs) gives by the curves' values, (n, k, m)."""
        of_group = operator @ one_hot(self.group)
        return (of_group[..., None] * self.basis[rows, None, None]).reshape(*of_group.shape[:2], -1)


def magnitude_basis(brightness, n_nodes):
    """Piecewise linear curves over magnitude, one a node.

    Parameters
    ----------
    brightness : ndarray, shape (n_stars,)
        Magnitudes, NaN where unknown.

    n_nodes : int

    Returns
    -------
    ndarray, shape (n_stars, n_nodes)
        The mean of the others for stars of unknown magnitude.

    Examples
    --------
    >>> magnitude_basis(np.array([1.0, 2.0, 3.0]), 2)
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]])
    """
    known = np.isfinite(brightness)
    nodes = np.unique(np.quantile(brightness[known], np.linspace(0, 1, n_nodes))) if known.any() else []
    out = np.zeros((brightness.size, len(nodes)))
    if len(nodes) < 2:
        return out[:, :0]
    for k, unit in enumerate(np.eye(len(nodes))):
        out[known, k] = np.interp(brightness[known], nodes, unit)
    out[~known] = out[known].mean(0)
    return out


def learn_offsets(epochs, position, error, usable, group, brightness=None):
    """Learn from all stars of a field what epochs of a group have in common.

    Parameters
    ----------
    epochs : ndarray, shape (n_epochs,)

    position, error : ndarray, shape (2, n_stars, n_epochs)
        mas.

    usable : ndarray of bool, shape (n_stars, n_epochs)

    group : ndarray of int, shape (n_epochs,)
        Such as of `~jwst_hpastrom.motion.many_epoch.epoch_groups.group_epochs`.

    brightness : ndarray, shape (n_stars,), optional
        Magnitudes.

    Returns
    -------
    `AngleOffsets` or None
        None where no star has an epoch to spare, or epochs have no groups.

    Notes
    -----
    H25 (App. A) find stars of one magnitude shifted on the detector, so that they are elsewhere on the sky
    at another angle. Positions are lines in time, plus a curve over magnitude for each group and axis, plus
    normal offsets of each star and group, whose variance is that of a bin of magnitude. Lines are projected
    out, so that what a curve has in common with motions is left to its prior, whose width is the one that
    the curves need (expectation and maximization); its covariance tells what is not known. Spreads are means
    over their likelihood; stars of which an epoch may be wrong are a mixture of larger variances.
    """
    group = np.unique(group, return_inverse=True)[1]
    n, n_groups = usable.shape[0], group.max() + 1
    several = (usable @ one_hot(group) > 0).sum(1) > 1
    telling = np.flatnonzero((usable.sum(1) > 2) & several)
    if not 1 < n_groups < group.size or telling.size < STARS_PER_NODE:
        return None
    rows = telling[np.linspace(0, telling.size - 1, min(ENOUGH, telling.size)).astype(int)]
    magnitude = np.full(n, np.nan) if brightness is None else np.asarray(brightness, float)
    basis = magnitude_basis(magnitude, int(np.clip(rows.size // STARS_PER_NODE, 2, MOST_NODES)))
    # what all stars of a group share is the epochs' transformations'
    centered = basis - basis.mean(0)
    bins = _bins(magnitude, rows)
    shift, spread = np.zeros(position.shape), np.empty((2, n))
    m = n_groups * basis.shape[1]
    covariance = np.empty((2, m, m))
    for axis in (0, 1):
        stars = _Stars(epochs, position[axis, rows], error[axis, rows], usable[rows], group)
        values, covariance[axis], widths = _learn_axis(stars, basis[rows], bins[rows])
        shift[axis] = (centered @ values.T)[:, group]
        spread[axis] = widths[bins]
    return AngleOffsets(shift, spread, group, centered, covariance)


def one_hot(group):
    return (group[:, None] == np.arange(group.max() + 1)) * 1.0


def _bins(magnitude, rows):
    """Bin of magnitude of every star, equal in number of the stars ``rows``."""
    known = magnitude[rows][np.isfinite(magnitude[rows])]
    n_bins = int(np.clip(known.size // STARS_PER_BIN, 1, MOST_BINS))
    edges = np.quantile(known, np.linspace(0, 1, n_bins + 1)[1:-1]) if n_bins > 1 else []
    return np.searchsorted(edges, np.where(np.isfinite(magnitude), magnitude, np.inf), side="right")


class _Stars:
    """Sums over the epochs of stars along one axis: terms are 1, time, one a group."""

    def __init__(self, epochs, position, error, usable, group):
        self.one_hot = one_hot(group)
        self.weight = np.where(usable, np.where(usable, error, 1.0) ** -2.0, 0.0)
        y = np.where(usable, position, 0.0)
        total = self.weight.sum(1)[:, None]
        dt = epochs - (self.weight @ epochs)[:, None] / total
        dt = dt / np.ptp(epochs)
        y = np.where(usable, y - np.sum(self.weight * y, 1)[:, None] / total, 0.0)
        slope = np.sum(self.weight * dt * y, 1) / np.maximum(np.sum(self.weight * dt**2, 1), 1e-300)
        self.y, self.dt = np.where(usable, y - slope[:, None] * dt, 0.0), dt
        self.typical = np.median(1 / np.sqrt(np.where(usable, self.weight, np.nan)[usable]))
        self.error = 1 / np.sqrt(np.nanmedian(np.where(usable, self.weight, np.nan), axis=1))
        self.sums()

    def sums(self):
        """Normal matrices and right sides, of the weights that are left."""
        n, e = self.dt.shape
        terms = np.concatenate(
            [np.ones((n, e, 1)), self.dt[..., None], np.broadcast_to(self.one_hot, (n, *self.one_hot.shape))],
            -1,
        )
        self.terms = terms
        weighted = self.weight[..., None] * terms
        self.normal = np.swapaxes(weighted, 1, 2) @ terms
        self.right = np.einsum("nei,ne->ni", weighted, self.y)
        self.square = np.sum(self.weight * self.y**2, 1)
        self.freedom = (self.weight > 0).sum(1) - 2

    def solve(self, offset, spread):
        """Inverse with the prior of own offsets, right side and squares less ``offset`` (n, n_groups)."""
        full = np.concatenate([np.zeros((len(offset), 2)), offset], 1)
        moved = np.einsum("nij,nj->ni", self.normal, full)
        right = self.right - moved
        square = self.square - 2 * np.sum(full * self.right, 1) + np.sum(full * moved, 1)
        prior = np.zeros(self.normal.shape)
        k = np.arange(2, full.shape[1])
        prior[:, k, k] = (spread**-2.0)[:, None]
        # a star that lost its epochs but two keeps an inverse
        prior[:, [0, 1], [0, 1]] = 1e-9 * self.normal[:, [0, 1], [0, 1]] + 1e-300
        return np.linalg.inv(self.normal + prior), right, square

    def chi2(self, offset, spread):
        """Chi-squares about lines and own offsets, and the inverses."""
        inverse, right, square = self.solve(offset, spread)
        return np.maximum(square - np.einsum("ni,nij,nj->n", right, inverse, right), 0.0), inverse

    def likelihood(self, offset, spread, weights):
        """Logarithms of the stars' likelihoods, (n, n_variances), a line and own offsets integrated out."""
        chi2, inverse = self.chi2(offset, spread)
        logdet = -np.linalg.slogdet(inverse)[1] + 2 * offset.shape[1] * np.log(spread)
        freedom = np.maximum(self.freedom, 0)[:, None]
        return -0.5 * (logdet[:, None] + freedom * np.log(WIDE) + chi2[:, None] / WIDE) + np.log(weights)

    def reject(self, offset, spread):
        """Leave out the worst measurement of every star of several epochs that has a wrong one."""
        inverse, right, _ = self.solve(offset, spread)
        y = self.y - offset @ self.one_hot.T
        fit = np.einsum("nei,nij,nj->ne", self.terms, inverse, right)
        left = self.weight - self.weight**2 * np.einsum(
            "nei,nij,nej->ne", self.terms, inverse, self.terms, optimize=True
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where((self.weight > 0) & (left > 0), self.weight * np.abs(y - fit) / np.sqrt(left), 0.0)
        worst = np.argmax(z, 1)
        some = np.flatnonzero((z.max(1) > WRONG) & ((self.weight > 0).sum(1) >= TESTED))
        self.weight[some, worst[some]] = 0.0
        self.sums()


def _learn_axis(stars, basis, bins):
    """Curves' values (n_groups, n_nodes), their covariance, and the spread in each bin."""
    n_groups, n_nodes = stars.one_hot.shape[1], basis.shape[1]
    typical = np.array([np.median(stars.error[bins == b]) if (bins == b).any() else stars.typical
                        for b in range(bins.max() + 1)])  # fmt: skip
    covariance = np.zeros((n_groups * n_nodes,) * 2)
    widths, weights = SPREADS[-1] * typical, np.full(WIDE.size, 1.0 / WIDE.size)
    values = _first_curves(stars, basis, widths[bins], bins)
    for _ in range(ROUNDS):
        offset = basis @ values.T
        like = np.stack(
            [logsumexp(stars.likelihood(offset, (s * typical)[bins], weights), axis=1) for s in SPREADS], 1
        )
        of_bin = np.stack([like[bins == b].sum(0) for b in range(typical.size)])
        widths = typical * np.sqrt(_shares(of_bin) @ SPREADS**2)
        weights = softmax(stars.likelihood(offset, widths[bins], weights), axis=1).mean(0) + 1e-6
        weights /= weights.sum()
        stars.reject(offset, widths[bins])
        if n_nodes:
            share = softmax(stars.likelihood(offset, widths[bins], weights), axis=1) @ (1 / WIDE)
            values, covariance = _curves(stars, basis, widths[bins], share, STEPS)
    return values, covariance, widths


def _shares(log_likelihood):
    """Probabilities of the spreads in every bin; what is likely in one is likely in the others."""
    share = np.full(SPREADS.size, 1.0 / SPREADS.size)
    for _ in range(STEPS):
        p = softmax(log_likelihood + np.log(share), axis=1)
        share = (p.sum(0) + 1.0 / SPREADS.size) / (len(p) + 1.0)
    return p


def _first_curves(stars, basis, spread, bins):
    """Curves before the spreads are known: offsets as free as they may be, Student's weights in each bin.

    Weights are by what is left without any spread: a wide one would take wrong epochs for offsets.
    """
    none = SPREADS[0] * stars.error
    values = np.zeros((stars.one_hot.shape[1], basis.shape[1]))
    for _ in range(FIRST if basis.shape[1] else 0):
        chi2 = stars.chi2(basis @ values.T, none)[0] / np.maximum(stars.freedom, 1)
        usual = np.array([np.median(chi2[bins == b]) for b in range(bins.max() + 1)])[bins]
        share = (FREEDOM + 1) / (FREEDOM + chi2 / np.maximum(usual, 1e-300))
        values = _curves(stars, basis, spread, share, 1)[0]
    return values


def _curves(stars, basis, spread, share, steps):
    """Values of the curves at the nodes and their covariance, with a prior as wide as they need."""
    n, n_groups = len(basis), stars.one_hot.shape[1]
    inverse, right, _ = stars.solve(np.zeros((n, n_groups)), spread)
    mixed = stars.normal[:, 2:] @ inverse
    told = stars.normal[:, 2:, 2:] - mixed @ stars.normal[:, :, 2:]
    side = right[:, 2:] - np.einsum("nij,nj->ni", mixed, right)
    m = n_groups * basis.shape[1]
    normal = np.einsum("n,ngh,nk,nl->gkhl", share, told, basis, basis, optimize=True).reshape(m, m)
    side = np.einsum("n,ng,nk->gk", share, side, basis, optimize=True).ravel()
    width = SPREADS[-1] * stars.typical
    for _ in range(steps):
        covariance = np.linalg.inv(normal + np.eye(m) / width**2)
        values = covariance @ side
        last, width = width, max(np.sqrt(np.mean(values**2 + np.diag(covariance))), 1e-4 * stars.typical)
        if abs(width / last - 1) < 1e-3:
            break
    return values.reshape(n_groups, -1), covariance
