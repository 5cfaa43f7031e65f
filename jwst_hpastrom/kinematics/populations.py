"""Groups in the vector-point diagram: several Gaussians fitted to a projected histogram."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.errors import NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import robust_sigma

__all__ = ["ProjectedGroups", "fit_projected_groups", "project"]


@dataclass(frozen=True, eq=False)
class ProjectedGroups(Displayed):
    """Gaussians fitted to the projected motions, sorted by mean; arrays of shape (n_groups,).

    Attributes
    ----------
    fraction, fraction_error : ndarray
        Areas, sum 1.

    mean, mean_error : ndarray
        mas/yr along the axis.

    width, width_error : ndarray
        Fitted σ, mas/yr: includes the errors twice, once of the measurement and once of the realizations.

    sigma : ndarray
        Width with both removed (the mean variance of the errors of the group's likely stars), NaN where
        nothing is left.

    sigma_error : ndarray
        Of ``sigma``.

    centers : ndarray, shape (n_bins,)
        Bin centers.

    histogram, histogram_error : ndarray, shape (n_bins,)
        Mean and scatter of the realizations' counts.

    angle : float
        Position angle of the axis, degrees from +pmra towards +pmdec.
    """

    fraction: np.ndarray
    fraction_error: np.ndarray
    mean: np.ndarray
    mean_error: np.ndarray
    width: np.ndarray
    width_error: np.ndarray
    sigma: np.ndarray
    sigma_error: np.ndarray
    centers: np.ndarray
    histogram: np.ndarray
    histogram_error: np.ndarray
    angle: float


def project(
    pmra: np.ndarray,
    pmdec: np.ndarray,
    pmra_error: np.ndarray,
    pmdec_error: np.ndarray,
    *,
    angle: float,
    origin: Sequence[float] = (0.0, 0.0),
) -> tuple[np.ndarray, np.ndarray]:
    """Project motions on an axis of the vector-point diagram.

    Parameters
    ----------
    pmra, pmdec, pmra_error, pmdec_error : ndarray
        mas/yr.

    angle : float
        Degrees from +pmra towards +pmdec.

    origin : sequence of two float
        Zero of the axis.

    Returns
    -------
    along, error : ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.kinematics import project
    >>> one = np.ones(1)
    >>> along, error = project(3 * one, 4 * one, 0.1 * one, 0.1 * one, angle=90.0)
    >>> along.round(6), error.round(6)
    (array([4.]), array([0.1]))
    """
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    along = c * (np.asarray(pmra, float) - origin[0]) + s * (np.asarray(pmdec, float) - origin[1])
    return along, np.hypot(c * np.asarray(pmra_error, float), s * np.asarray(pmdec_error, float))


def _model(p, edges):
    """Counts of the bins: (log area, mean, log width) of each group, integrated over the bins."""
    from scipy.special import ndtr

    a, m, w = np.exp(p[0::3]), p[1::3], np.exp(p[2::3])
    return np.sum(a[:, None] * np.diff(ndtr((edges - m[:, None]) / w[:, None]), axis=1), axis=0)


def _solve(counts, edges, start):
    root = np.sqrt(np.maximum(counts, 1.0))
    bin_width = edges[1] - edges[0]
    low, high = np.empty(start.size), np.empty(start.size)
    low[0::3], high[0::3] = -5.0, np.log(counts.sum() * 2 + 10)
    low[1::3], high[1::3] = edges[0], edges[-1]
    low[2::3], high[2::3] = np.log(0.3 * bin_width), np.log(edges[-1] - edges[0])
    start = np.clip(start, low + 1e-9, high - 1e-9)
    fit = least_squares(lambda p: (_model(p, edges) - counts) / root, start, bounds=(low, high), max_nfev=200)
    return fit.x, fit.cost


def _starts(along, n_groups, rng, n=6):
    """Starting points: means at quantiles, some moved at random."""
    quantiles = (np.arange(n_groups) + 0.5) / n_groups
    spread = np.std(along)
    for k in range(n):
        q = quantiles if k == 0 else np.sort(rng.uniform(0.02, 0.98, n_groups))
        p = np.empty(3 * n_groups)
        p[0::3] = np.log(along.size / n_groups)
        p[1::3] = np.quantile(along, q)
        p[2::3] = np.log(spread / n_groups * rng.uniform(0.3, 1.5, n_groups))
        yield p


def fit_projected_groups(
    along: np.ndarray,
    error: np.ndarray,
    *,
    rng: np.random.Generator,
    n_groups: int = 3,
    n_realizations: int = 1000,
    bin_width: float | None = None,
    n_bootstrap: int = 50,
    start: Sequence[tuple[float, float, float]] | None = None,
    angle: float = 0.0,
) -> ProjectedGroups:
    """Fit several Gaussians at once to the histogram of projected motions, averaged over noise realizations.

    The average over realizations with each star's own noise added, and a random phase of the bins, frees
    the histogram of the choice of bins (L23 §5; Bellini et al. 2017; Libralato et al. 2019).

    Parameters
    ----------
    along, error : ndarray, shape (n,)
        Projected motions and errors (`project`), mas/yr.

    rng : `numpy.random.Generator`

    n_groups : int
        Gaussians.

    n_realizations : int
        Noise realizations.

    bin_width : float, optional
        mas/yr; by default a third of the median error, at least a 60th of the range.

    n_bootstrap : int
        Samples of the stars that the parameters' errors come from.

    start : sequence of (area fraction, mean, width), optional
        Starting point; by default several are tried.

    angle : float
        Kept in the result.

    Returns
    -------
    `ProjectedGroups`

    Notes
    -----
    Realizations share one set of stars: their scatter is not the sampling error, which is why that comes
    from a bootstrap over stars.
    """
    along, error = np.asarray(along, float), np.asarray(error, float)
    ok = np.isfinite(along) & np.isfinite(error) & (error >= 0)
    along, error = along[ok], error[ok]
    if n_groups < 1 or n_realizations < 1:
        raise ParameterError(f"n_groups={n_groups}, n_realizations={n_realizations}", "1 or more")
    if along.size < 10 * n_groups:
        raise NotEnoughStarsError(f"{along.size} stars", f"{10 * n_groups} for {n_groups} groups")
    edges = _edges(along, float(np.median(error)), bin_width)
    counts, scatter = _histogram(along, error, n_realizations, edges, rng)
    if start is None:
        best = min((_solve(counts, edges, p) for p in _starts(along, n_groups, rng)), key=lambda r: r[1])[0]
    else:
        best = _solve(counts, edges, _given(start, along.size))[0]
    best = _sorted(best)
    samples = []
    for _ in range(n_bootstrap):
        pick = rng.integers(0, along.size, along.size)
        c, _s = _histogram(along[pick], error[pick], max(20, n_realizations // 20), edges, rng)
        samples.append(_values(_solve(c, edges, best)[0]))
    fraction, mean, width = _values(best)
    # robust: in some samples two groups change places
    spread = (
        robust_sigma(samples, axis=0).reshape(3, -1) if n_bootstrap > 1 else np.full((3, n_groups), np.nan)
    )
    sigma = _without_errors(along, error, fraction, mean, width)
    return ProjectedGroups(
        fraction, spread[0], mean, spread[1], width, spread[2], sigma, spread[2] * width / sigma,
        0.5 * (edges[1:] + edges[:-1]), counts, scatter, float(angle),
    )  # fmt: skip


def _given(start, n):
    """Parameters of `_model` for a starting point of ``n`` stars."""
    s = np.asarray(start, float)
    return np.stack([np.log(s[:, 0] * n), s[:, 1], np.log(s[:, 2])], 1).ravel()


def _edges(along, error, bin_width):
    """Edges of the histogram's bins: all motions but the widest, and four median errors more."""
    reach = np.quantile(along, [0.002, 0.998]) + np.array([-4, 4]) * max(error, 1e-12)
    if bin_width is None:
        bin_width = max(np.ptp(reach) / 60, error / 3, 1e-12)
    return reach[0] + bin_width * np.arange(int(np.ceil(np.ptp(reach) / bin_width)) + 1)


def _histogram(along, error, n, edges, rng):
    """Mean and scatter of the histograms of ``n`` realizations of the errors."""
    total, squares = np.zeros(edges.size - 1), np.zeros(edges.size - 1)
    for _ in range(n):
        sample = along + rng.normal(0, 1, along.size) * error
        counts = np.histogram(sample, edges)[0]
        total += counts
        squares += counts.astype(float) ** 2
    mean = total / n
    return mean, np.sqrt(np.maximum(squares / n - mean**2, 0.0))


def _without_errors(along, error, fraction, mean, width):
    """The groups' own widths; NaN where the errors are as wide."""
    # histograms of equal areas: each star counts in a group as likely as it is one of its stars
    density = fraction * np.exp(-0.5 * ((along[:, None] - mean) / width) ** 2) / width
    member = density / np.maximum(density.sum(1, keepdims=True), 1e-300)
    inner = width**2 - 2 * (error**2 @ member) / member.sum(0)
    return np.where(inner > 0, np.sqrt(np.maximum(inner, 0)), np.nan)


def _values(p):
    area = np.exp(p[0::3])
    return np.stack([area / area.sum(), p[1::3], np.exp(p[2::3])])


def _sorted(p):
    return p.reshape(-1, 3)[np.argsort(p[1::3])].ravel()
