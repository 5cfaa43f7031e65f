"""Blends: two stars that were taken for one, and what close neighbors do to errors."""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.measure import _pair_kernels

__all__ = ["error_inflation", "resolve_blends"]

LEAST = 36.0  # gain in chi-square by a second star: three parameters of noise reach it once in 10⁷
#: gain, in units of (the light's error by the ePSF over its noise)², that a wrong ePSF may bring (this
#: project's choice, as the others here where nothing is said)
MIMICKED = 0.3
#: share of the gain that is left without the fifth of the exposures that gain most: 0.8 where they are alike,
#: none where one has a cosmic ray; half of the former
ALIKE = 0.4
#: share of the excess over the noise that two stars explain: more than they leave
EXPLAINED = 0.5
#: flux of the fainter over the brighter star; fainter ones are not told from the ePSF's errors
FAINTEST = 0.05
#: in widths: how far apart the two are looked for at first, and have to be
FIRST, CLOSEST = 0.7, 0.3
#: QFIT from which a star is a galaxy rather than two stars
LARGEST_QFIT = 0.5


def resolve_blends(tile, solution):
    """Replace blends by the two stars that fit better.

    A star is tried whose residuals exceed the noise by as much as a second star must gain. The two have to
    explain most of that excess, in all exposures alike, and more than errors of the ePSF would.

    Parameters
    ----------
    tile : `~jwst_hpastrom.measure.tile.Tile`
        Its stars are changed.

    solution : `~jwst_hpastrom.measure.bundles.Combined`
        Of the tile's stars.

    Returns
    -------
    int
        Blends resolved.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = tile.flux / solution.flux_err
        least = LEAST + (MIMICKED * tile.set.model_error * snr) ** 2
        excess = (solution.chi2 - 1.0) * solution.n_used * (2 * tile.half + 1) ** 2
        chosen = (excess > least) & (solution.qfit < LARGEST_QFIT)
    fits = no_blends(tile.x.size)
    width = (np.pi * tile.profile[1][0]) ** -0.5  # radius of a disc as bright as the star and its center
    _pair_kernels.split(tile.cutouts, tile.exposures, tile.stars, tile.half, chosen, FIRST * width, fits)
    gain, pixels = fits.chi2_one - fits.chi2_two, fits.n_pixels
    (flux1, x1, y1), (flux2, x2, y2) = fits.brighter.T, fits.fainter.T
    apart = np.hypot(x1 - x2, y1 - y2)
    ok = fits.fitted & (gain > least * np.maximum(fits.chi2_two / np.maximum(pixels, 1), 1))
    ok &= (fits.gain > ALIKE * gain) & (gain > EXPLAINED * (fits.chi2_one - pixels))
    ok &= (flux2 > FAINTEST * flux1) & (apart > CLOSEST * width)
    x, y = tile.x[ok], tile.y[ok]
    tile.remove(ok)
    tile.subtract(
        np.r_[x + x1[ok], x + x2[ok]], np.r_[y + y1[ok], y + y2[ok]], np.r_[flux1[ok], flux2[ok]], joint=True
    )
    return int(ok.sum())


def no_blends(n):
    """Room for n stars' `~jwst_hpastrom.measure._pair_kernels.Blend`."""
    return _pair_kernels.Blend(np.zeros((n, 3)), np.zeros((n, 3)), *np.zeros((4, n)), np.zeros(n, bool))


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
        tile.cutouts, tile.exposures, tile.stars, (tile.x, tile.y), tile.half, pairs, ratio
    )
    more = [np.bincount(pairs[:, 0], ratio[:, k] ** 2 - 1, minlength=tile.x.size) for k in range(3)]
    return np.sqrt(1.0 + np.array(more).T)
