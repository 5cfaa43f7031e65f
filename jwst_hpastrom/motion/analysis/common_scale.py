"""The factor between two measurements of the same motions whose errors are not quite known."""

import numpy as np
from scipy.optimize import least_squares

from jwst_hpastrom.geometry import robust_sigma

__all__ = ["common_scale"]

#: fewest stars of a bin of magnitude, and most bins
BIN, BINS = 40, 12
#: fewest stars in all
LEAST = 80
#: spread of ln(factor on the stated variances) that is thought possible beforehand: a factor of 2 in errors
PRIOR = 2 * np.log(2.0)
#: largest ln(factor on the stated variances): a factor of 400 in errors
WIDEST = 12.0
#: ln(factor on the stated variances) to start from: far too small ones hardly change the fit at first
STARTS = tuple((a, b) for n in (5.0, 30.0) for a, b in ((2 * np.log(n), 0.0), (0.0, 2 * np.log(n))))
#: robust widths beyond which a star is left out
CLIP = 4.0


def common_scale(ours, error, theirs, their_error, mag):
    """Fit ``ours`` = factor × ``theirs`` where both have errors that may be wrong by factors of their own.

    Parameters
    ----------
    ours, error, theirs, their_error : ndarray, shape (n,)
        Motions along one axis and their stated errors. Errors that are not known may be NaN.

    mag : ndarray, shape (n,)
        The bins are in its order.

    Returns
    -------
    dict or None
        factor, factor_error; error_factor, their_error_factor (what the stated errors are to be multiplied
        by), error_factor_error, their_error_factor_error. None where there are fewer than 80 stars, or
        nothing that both measure.

    Notes
    -----
    With true motions t, ours = f t + noise, theirs = t + noise: whatever the distribution of t, in each bin
    <theirs² − ours theirs/f> is the variance of their noise, and <ours² − f ours theirs> that of ours. Both
    are the stated ones times a factor each, the same in all bins: noise that grows toward faint stars and a
    dispersion of the motions that does not are told apart. Ours may have a noise that is the same for all on
    top, of about the stated variance: what a distortion leaves is not always stated star by star. The
    factors on the errors are free, with a prior as wide as a factor of two and wide wings, so that wrong
    errors do not pass for a wrong time between the epochs; where several solutions fit about as well, the
    errors hold what they differ by. For stars of equal errors and dispersion the prior alone tells them
    apart, and the factor's error says so.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> mag, motion = rng.uniform(-8, -3, 2000), rng.normal(0, 0.3, 2000)
    >>> error = 0.02 * 10 ** (0.15 * (mag + 8))
    >>> ours, theirs = (f * motion + rng.normal(0, error) for f in (0.8, 1.0))
    >>> found = common_scale(ours, error, theirs, error / 3, mag)
    >>> round(found["factor"], 1), round(found["their_error_factor"])
    (0.8, 3)
    """
    values = (np.asarray(v, float) for v in (ours, error, theirs, their_error, mag))
    ours, error, theirs, their_error, mag = values
    bins = _bins(ours, theirs, mag)
    if sum(map(len, bins)) < LEAST:
        return None
    moments = [_products(*(v[rows] for v in (ours, error, theirs, their_error))) for rows in bins]
    both = sum(len(rows) * m[0].mean() for rows, m in zip(bins, moments, strict=True))
    spread = sum(
        np.sqrt(m[1].mean() * m[2].mean()) * len(rows) for rows, m in zip(bins, moments, strict=True)
    )
    if not abs(both) > 0.1 * spread:
        return None
    sign = float(np.sign(both))
    size = np.array([np.sqrt(m[1].mean() / m[2].mean()) for m in moments])
    start = np.array([np.log(np.median(size)), 0.0, 0.0, 0.1])
    floor = float(np.median([m[3] for m in moments])) or float(np.median([m[1].mean() for m in moments]))
    limits = [-np.inf, -WIDEST, -WIDEST, 0.0], [np.inf, WIDEST, WIDEST, np.inf]
    starts = [start, *(np.array([start[0], *pair, start[3]]) for pair in STARTS)]
    for _ in range(3):
        weight = [_weights(m, sign * np.exp(start[0])) for m in moments]
        tried = [
            least_squares(_residuals, p, bounds=limits, args=(moments, weight, sign, floor), x_scale=0.1)
            for p in starts
        ]
        found = min(tried, key=lambda fit: fit.cost)
        start, starts = found.x, [fit.x for fit in tried]
    free = max(2 * len(moments) - 4, 1)
    excess = max(2 * found.cost / free, 1.0)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * excess + _between(tried, found, excess)
    factor = sign * float(np.exp(start[0]))
    own, theirs = (float(np.exp(0.5 * p)) for p in start[1:3])
    own_error, theirs_error = 0.5 * np.sqrt(np.diag(covariance)[1:3])
    return {
        "factor": factor, "factor_error": float(abs(factor) * np.sqrt(covariance[0, 0])),
        "error_factor": own, "error_factor_error": float(own * own_error),
        "their_error_factor": theirs, "their_error_factor_error": float(theirs * theirs_error),
    }  # fmt: skip


def _between(tried, found, excess):
    """What other solutions that fit about as well add to the covariance of the best."""
    weight = np.array([np.exp((found.cost - fit.cost) / excess) for fit in tried])
    apart = np.array([fit.x - found.x for fit in tried])
    return np.einsum("i,ij,ik->jk", weight / weight.sum(), apart, apart)


def _bins(ours, theirs, mag):
    """Rows of each bin, without those far from its middle in either motion or their difference."""
    good = np.flatnonzero(np.isfinite(ours + theirs + mag))
    n = max(1, min(BINS, good.size // BIN))
    out = []
    for rows in np.array_split(good[np.argsort(mag[good], kind="stable")], n):
        scale = robust_sigma(ours[rows]) / max(robust_sigma(theirs[rows]), 1e-30)
        keep = np.ones(rows.size, bool)
        for v in (ours[rows], theirs[rows], ours[rows] - scale * theirs[rows]):
            keep &= np.abs(v - np.median(v)) <= CLIP * max(robust_sigma(v), 1e-30)
        out.append(rows[keep])
    return out


def _products(ours, error, theirs, their_error):
    """Of the stars of a bin: products of the motions about their means, and mean variances."""
    a, b = ours - ours.mean(), theirs - theirs.mean()
    share = ours.size / max(ours.size - 1.0, 1.0)
    noise = [float(np.median(e[np.isfinite(e)] ** 2)) if np.isfinite(e).any() else 0.0
             for e in (error, their_error)]  # fmt: skip
    return share * a * b, share * a**2, share * b**2, *noise


def _weights(m, factor):
    """1/standard error of the two mean products of a bin."""
    cross, own, other = m[:3]
    n = np.sqrt(cross.size)
    return [
        n / max(float(np.std(v)), 1e-3 * float(np.mean(of)), 1e-30)
        for v, of in ((own - factor * cross, own), (other - cross / factor, other))
    ]


def _residuals(p, moments, weights, sign, floor):
    factor, out = sign * np.exp(p[0]), []
    for (cross, own, other, noise, their_noise), w in zip(moments, weights, strict=True):
        c = cross.mean()
        out.append((own.mean() - factor * c - np.exp(p[1]) * noise - p[3] * floor) * w[0])
        out.append((other.mean() - c / factor - np.exp(p[2]) * their_noise) * w[1])
    return np.r_[out, _doubt(p[1] / PRIOR), _doubt(p[2] / PRIOR), p[3]]


def _doubt(z):
    """Residual of a Cauchy prior: wrong units are off by far more than errors that were judged wrongly."""
    return np.sign(z) * np.sqrt(np.log1p(z**2))
