"""Blends: two stars that were taken for one, and what close neighbors do to errors."""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.measure import _pair_kernels

__all__ = ["error_inflation", "resolve_blends"]

LEAST = 36.0  # gain in chi-square by a second star: three parameters of noise reach it once in 10⁷


def resolve_blends(tile, solution):
    """Replace blends by the two stars that fit better.

    A star is tried whose residuals exceed the noise by as much as a second star must gain. The two have to
    explain most of that excess, in all exposures alike, and more than errors of the ePSF would.

    Parameters
    ----------
    tile : `~jwst_hpastrom.measure.tile.Tile`
        Its stars are changed.

    solution : ndarray, shape (n_stars, 16)
        What `_kernels.combine` gave for the tile's stars.

    Returns
    -------
    int
        Blends resolved.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = tile.flux / solution[:, 3]
        least = LEAST + (0.3 * tile.set.model_error * snr) ** 2
        excess = (solution[:, 13] - 1.0) * solution[:, 10] * (2 * tile.half + 1) ** 2
        chosen = (excess > least) & (solution[:, 11] < 0.5)
    fits = np.zeros((tile.x.size, 11))
    width = (np.pi * tile.profile[1][0]) ** -0.5  # radius of a disc as bright as the star and its center
    _pair_kernels.split(
        tile.data, tile.weight, *tile.library, tile.px, tile.py, tile.jac, tile.stack.zp, tile.flux, tile.use,
        tile.half, chosen, 0.7 * width, fits,
    )  # fmt: skip
    single, double, spread, pixels = fits[:, 6:10].T
    gain = single - double
    apart = np.hypot(fits[:, 1] - fits[:, 4], fits[:, 2] - fits[:, 5])
    ok = (fits[:, 10] > 0) & (gain > least * np.maximum(double / np.maximum(pixels, 1), 1))
    ok &= (spread > 0.4 * gain) & (gain > 0.5 * (single - pixels))
    ok &= (fits[:, 3] > 0.05 * fits[:, 0]) & (apart > 0.3 * width)
    x, y, fits = tile.x[ok], tile.y[ok], fits[ok]
    tile.remove(ok)
    tile.subtract(
        np.r_[x + fits[:, 1], x + fits[:, 4]], np.r_[y + fits[:, 2], y + fits[:, 5]],
        np.r_[fits[:, 0], fits[:, 3]], joint=True,
    )  # fmt: skip
    return int(ok.sum())


def error_inflation(tile):
    """How much larger the errors are for close neighbors being unknown, too.

    Parameters
    ----------
    tile : `~jwst_hpastrom.measure.tile.Tile`

    Returns
    -------
    ndarray, shape (n_stars, 3)
        Factors of the errors of flux, X, Y.
    """
    pairs = cKDTree(np.c_[tile.x, tile.y]).query_pairs(_pair_kernels.REACH, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]]).astype(np.int64)
    ratio = np.empty((len(pairs), 3))
    _pair_kernels.inflation(
        tile.data, tile.weight, *tile.library, tile.px, tile.py, tile.jac, tile.stack.zp, tile.x, tile.y,
        tile.flux, tile.use, tile.half, pairs, ratio,
    )  # fmt: skip
    more = [np.bincount(pairs[:, 0], ratio[:, k] ** 2 - 1, minlength=tile.x.size) for k in range(3)]
    return np.sqrt(1.0 + np.array(more).T)
