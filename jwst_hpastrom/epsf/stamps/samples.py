"""Samples of the ePSF: fits in stamps, residuals about a model, their clipped means on the grid."""

from dataclasses import dataclass, replace

import numpy as np

from jwst_hpastrom.epsf.kernels.crowded import PSFGrid
from jwst_hpastrom.epsf.kernels.star_fit import N_OUT
from jwst_hpastrom.epsf.stamps import _kernels, _sample_kernels

__all__ = ["Samples", "collect_samples", "fit_in_stamps", "hat_weights", "mean_residuals", "sample_scatter"]

RINGS, BINS = 19, 400  # rings of one pixel; steps of 0.1 sigma
#: share of a field position's own weight that draws its correction to zero: neighbors share samples, and
#: without it corrections swing between them (this project's choice; the iterations take the bias out)
FIELD_DAMPING = 0.05
UNDAMPED = 0.01  # keeps field positions without stars from being singular
MISFIT_FLOOR = (
    0.01  # of the model: keeps the brightest stars from having all the weight (this project's choice)
)


@dataclass
class Samples:
    """Sums over the samples of one or several exposures (see `_sample_kernels.grid_samples`).

    Attributes
    ----------
    sum_wr, sum_w : ndarray, shape (n_nodes, n, n)
        Weighted residuals and weights at the grid points of each field position.

    overlap : ndarray, shape (RINGS, n_nodes, n_nodes)
        Weights times products of bilinear weights, ring by ring.

    histogram : ndarray, shape (RINGS, BINS)
        Residuals in their sigmas, ring by ring.

    misfit : ndarray, shape (n_stars,)
        Mean absolute residual within 2 pixels of each star, in units of its flux; NaN for stars not used.

    used, dropped : int
        Samples used and clipped.
    """

    sum_wr: np.ndarray
    sum_w: np.ndarray
    overlap: np.ndarray
    histogram: np.ndarray
    misfit: np.ndarray
    used: int
    dropped: int

    @classmethod
    def total(cls, parts):
        """Add the samples of several exposures, in the order given; of an iterator one after the other."""
        sums, misfit = [], []
        for p in parts:
            own = [p.sum_wr, p.sum_w, p.overlap, p.histogram, p.used, p.dropped]
            if not misfit:
                sums = [a.copy() if isinstance(a, np.ndarray) else a for a in own]
            else:
                for k, value in enumerate(own):
                    sums[k] += value
            misfit.append(p.misfit)
        return cls(*sums[:4], np.concatenate(misfit), *sums[4:])

    @classmethod
    def of_all(cls, parts):
        """Add the samples of parts of the stars of the same exposures."""
        both = cls.total(parts)
        each = np.stack([p.misfit for p in parts])
        part = np.isfinite(each).argmax(0)
        return replace(both, misfit=each[part, np.arange(part.size)])


def fit_in_stamps(stamps, library, x, y, flux, slope, *, half_box=2):
    """Fit the star of every stamp.

    Parameters
    ----------
    stamps : `~jwst_hpastrom.epsf.stamps.neighbors.Stamps`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    x, y, flux : ndarray, shape (n,)
        Starting values, image coordinates.

    slope : float
        Variance per unit of expected level.

    half_box : int
        Half the side of the fitted box.

    Returns
    -------
    ndarray, shape (n, N_OUT)
        As from `epsf.kernels.star_fit.fit_one`.
    """
    out = np.empty((x.size, N_OUT))
    _kernels.fit_stamps(
        stamps.clean, stamps.base, stamps.ox, stamps.oy, *PSFGrid.of(library), x, y, flux, slope, half_box,
        1e-4, 2.0, out,
    )  # fmt: skip
    return out


def collect_samples(stamps, library, x, y, flux, use, slope, limit, nodes=None):
    """Grid the residuals of the stars ``use`` about the library.

    Parameters
    ----------
    stamps : `~jwst_hpastrom.epsf.stamps.neighbors.Stamps`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    x, y, flux : ndarray, shape (n,)
        Positions and fluxes that the samples are taken with.

    use : ndarray of bool, shape (n,)

    slope : float
        Variance per unit of expected level.

    limit : ndarray, shape (RINGS,)
        Clipping limits in sigmas, ring by ring.

    nodes : tuple of ndarray, optional
        Field positions (x, y) to collect at; the library's by default.

    Returns
    -------
    `Samples`
    """
    nodes = (library.x, library.y) if nodes is None else nodes
    n = library.data.shape[-1]
    shape = (nodes[0].size * nodes[1].size, n, n)
    sum_wr, sum_w = np.zeros(shape), np.zeros(shape)
    overlap, histogram = np.zeros((RINGS, shape[0], shape[0])), np.zeros((RINGS, BINS))
    k = np.flatnonzero(use)
    part = np.zeros((k.size, 2))
    used, dropped = _sample_kernels.grid_samples(
        stamps.clean, stamps.base, stamps.ox, stamps.oy, k, x, y, flux, library.single, library.x, library.y,
        library.knots, library.oversampling, library.half_width, slope, MISFIT_FLOOR, limit, *nodes, sum_wr,
        sum_w, overlap, histogram, part,
    )  # fmt: skip
    misfit = np.full(x.size, np.nan)
    misfit[k] = part[:, 0] / np.maximum(part[:, 1], 1.0)
    return Samples(sum_wr, sum_w, overlap, histogram, misfit, used, dropped)


def sample_scatter(histogram):
    """Robust scatter of the samples about the model in units of their errors, ring by ring; at least 1.

    Parameters
    ----------
    histogram : ndarray, shape (RINGS, BINS)
        From `Samples`.

    Returns
    -------
    ndarray, shape (RINGS,)
        Median absolute residual / 0.6745; infinite where there are fewer than 100 samples.
    """
    total = histogram.sum(1)
    cumulative = np.cumsum(histogram, 1)
    k = (cumulative < 0.5 * total[:, None]).sum(1)
    row = np.arange(len(total))
    before = np.where(k > 0, cumulative[row, np.maximum(k - 1, 0)], 0.0)
    inside = np.maximum(histogram[row, np.minimum(k, BINS - 1)], 1.0)
    median = 0.1 * (k + (0.5 * total - before) / inside)
    return np.where(total > 100, np.maximum(median / 0.6745, 1.0), np.inf)


def mean_residuals(samples, ridge, oversampling, bends=None, data=None, damped=True):
    """Least-squares residual at each grid point of every field position.

    Bilinear weights overlap: the mean residual at one field position holds those of its neighbors. The
    overlap, nearly the same for all grid points of a ring, is inverted; it is damped, the more the fewer
    samples there are, so that what a field position cannot tell from its neighbors comes in slowly.

    Parameters
    ----------
    samples : `Samples`

    ridge : float
        Weight that is added with residual zero, in units of the mean weight at that radius.

    oversampling : int
        Grid points per pixel.

    bends : `~jwst_hpastrom.epsf.build.bends.Bends`, optional
        Functions of the field positions to solve for, and what keeps their coefficients small.

    data : ndarray, shape (n_nodes, n, n), optional
        The model that the residuals are about; needed with ``bends``.

    damped : bool
        False solves for all at once, noise and all, as many damped iterations would.

    Returns
    -------
    ndarray, shape (n_nodes, n, n)
    """
    nodes, n = samples.sum_w.shape[:2]
    offset = np.arange(n) - n // 2
    radius = np.hypot(offset[:, None], offset)
    ring = radius.astype(int)
    area = np.bincount(ring.ravel())
    if nodes == 1:
        typical = np.bincount(ring.ravel(), samples.sum_w[0].ravel()) / area
        return samples.sum_wr / (samples.sum_w + ridge * typical[ring] + 1e-300)
    total = samples.sum_w.sum(0)
    typical = np.bincount(ring.ravel(), total.ravel()) / area
    mean = samples.sum_wr / (total + ridge * typical[ring] + 1e-300)
    update = np.empty_like(mean)
    pixel_ring = np.minimum((radius / oversampling).astype(int), RINGS - 1)
    counts = samples.histogram.sum(1)
    basis = np.eye(nodes) if bends is None else bends.basis
    for r in np.unique(pixel_ring):
        k = pixel_ring == r
        matrix = basis.T @ samples.overlap[r] @ basis / max(samples.overlap[r].sum(), 1e-300)
        lumped = basis.T @ samples.overlap[r].sum(1) / max(samples.overlap[r].sum(), 1e-300)
        right = basis.T @ mean[:, k]
        per_point = counts[r] * lumped / max(k.sum(), 1)
        damping = np.minimum(FIELD_DAMPING + 1.5 / np.maximum(per_point, 1e-3), 1e3)
        diagonal = (damping if damped else UNDAMPED) * lumped + 1e-9
        if bends is not None:
            penalty = bends.penalty[r] * np.diag(matrix)
            right -= penalty[:, None] * np.linalg.solve(basis, data[:, k])
            diagonal += penalty
        update[:, k] = basis @ np.linalg.solve(matrix + np.diag(diagonal), right)
    return update


def hat_weights(nodes, x, y):
    """Bilinear weights of field positions at points.

    Parameters
    ----------
    nodes : tuple of ndarray
        Positions (x, y) of the columns and rows of a grid.

    x, y : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n, n_nodes)
        Rows add to 1; node index iy * nx + ix.
    """
    wx, wy = (
        np.array([np.interp(p, g, row) for row in np.eye(g.size)]).T
        for g, p in zip(nodes, (x, y), strict=True)
    )
    return (wy[:, :, None] * wx[:, None, :]).reshape(len(wx), -1)
