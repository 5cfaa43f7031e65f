"""Many pairs of two kinds that overlap: each counts as far as it is a good one."""

import numpy as np

from jwst_hpastrom.geometry.wrong_pairs._kernels import NEAREST
from jwst_hpastrom.numerics import robust_sigma
from jwst_hpastrom.numerics.choices import FACTORS

__all__ = ["mixed_fit"]

#: steps of the solution, and the change of a probability below which it stands
STEPS, STILL = 60, 1e-3


def mixed_fit(design, data, good, tiny):
    """Fit parameters to pairs that are good, off alike by one shift, or stray, by maximum likelihood.

    Sizes of the errors in both axes, of both kinds, shift and shares are fitted, too (a mixture as in Hogg,
    Bovy & Lang 2010, section 3). The covariance is the inverse of the sum of the squared scores, so that it
    holds what is unknown of the others, and who is good.

    Parameters
    ----------
    design : ndarray, shape (2, n, q)
        Columns of the parameters for both coordinates, over the pairs' errors.

    data : ndarray, shape (2, n)
        The same of the data.

    good : ndarray of bool, shape (n,)
        Pairs to start with; the others are taken for alike.

    tiny : float
        Rounding error of the data.

    Returns
    -------
    beta : ndarray, shape (q,)
    covariance : ndarray, shape (q, q)
    probability : ndarray, shape (n,)
        That a pair is good.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.geometry.wrong_pairs import mixed_fit
    >>> rng, n = np.random.default_rng(1), 400
    >>> data, design = rng.normal(0, 1, (2, n)), np.zeros((2, n, 2))
    >>> design[0, :, 0] = design[1, :, 1] = 1.0  # two offsets
    >>> data[0, :160] += 4.0
    >>> beta, covariance, _ = mixed_fit(design, data, data[0] < 2.0, 1e-9)
    >>> bool(abs(beta[0]) < 0.2), bool(0.06 < covariance[0, 0] ** 0.5 < 0.12)
    (True, True)
    """
    q = design.shape[2]
    p = np.stack([good, ~good, np.zeros(good.size)]).astype(float)
    beta, shift, size = np.zeros(q), np.zeros(2), np.ones((2, 2))
    for step in range(STEPS):
        # with a shift of their own the alike ones say nothing of an offset, and at first nothing at all
        weight = (p[0] / size[0][:, None] ** 2, p[1] / size[1][:, None] ** 2 * (step > 0))
        normal = sum(d.T @ (d * w[:, None]) for d, w in zip(design, weight[0] + weight[1], strict=True))
        side = weight[0] * data + weight[1] * (data - shift[:, None])
        beta = np.linalg.lstsq(normal, sum(d.T @ s for d, s in zip(design, side, strict=True)), rcond=None)[0]
        r = data - design @ beta
        shift = r @ p[1] / max(p[1].sum(), 1e-9)
        off = np.stack([r, r - shift[:, None]])
        if step == 0:  # stray ones are still among them
            size = np.stack([robust_sigma(d[:, k > 0.5], axis=1) for d, k in zip(off, p[:2], strict=True)])
        else:
            total = np.maximum(p[:2].sum(axis=1), 1e-9)
            size = np.sqrt(np.einsum("kan,kn->ka", off**2, p[:2]) / total[:, None])
        size = np.maximum(size, max(tiny, size.max() / NEAREST))
        new = _probabilities(r, shift, size, np.maximum(p.mean(axis=1), 1.0 / good.size))
        moved, p = np.abs(new - p).max(), new
        if moved < STILL:
            break
    own, other = r / size[0][:, None], (r - shift[:, None]) / size[1][:, None]
    scores = np.concatenate([
        sum(d.T * (p[0] * u / s + p[1] * v / t)
            for d, u, v, s, t in zip(design, own, other, *size, strict=True)),
        p[1] * other / size[1][:, None], p[0] * (own**2 - 1), p[1] * (other**2 - 1),
        p[:2] - p[:2].mean(axis=1, keepdims=True),
    ])  # fmt: skip
    unit = np.sqrt(np.maximum(np.sum(scores**2, axis=1), 1e-300))
    scores = scores / unit[:, None]
    covariance = np.linalg.pinv(scores @ scores.T, rcond=1e-10, hermitian=True) / np.outer(unit, unit)
    return beta, covariance[:q, :q], p[0]


def _probabilities(r, shift, size, share):
    """Probabilities of the three kinds, (3, n), of residuals."""
    square = np.sum((r / size[0][:, None]) ** 2, axis=0)
    other = np.sum(((r - shift[:, None]) / size[1][:, None]) ** 2, axis=0)
    log = np.stack([
        np.log(share[0]) - 0.5 * square - np.log(size[0]).sum(),
        np.log(share[1]) - 0.5 * other - np.log(size[1]).sum(),
        np.log(share[2]) - np.log(FACTORS * np.maximum(square, NEAREST**2)) - np.log(size[0]).sum(),
    ])  # fmt: skip
    p = np.exp(log - log.max(axis=0))
    return p / p.sum(axis=0)
