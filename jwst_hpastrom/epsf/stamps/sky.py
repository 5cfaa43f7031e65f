"""Sky and noise of an exposure: a mesh of box means, and the variance against the expected level."""

import numpy as np
from scipy import ndimage

from jwst_hpastrom.epsf.stamps import _sky_kernels
from jwst_hpastrom.numerics import sigma_about_zero

__all__ = ["level_at", "mesh_sky", "sky_between_stars", "sky_image", "variance_law"]

SKY_CLIP = 3.0  # scatters: residuals of stars that were subtracted are farther out


def variance_law(data, err, good):
    """Return (var0, slope) such that a pixel's variance is var0 + slope * level, from the error array.

    Weights from a law in the *expected* level do not favor pixels that fluctuated down, as weights from
    errors estimated on the data themselves do.

    Parameters
    ----------
    data, err : ndarray
        Pixels and standard errors.

    good : ndarray of bool
        Pixels to use.

    Returns
    -------
    var0, slope : float
    """
    d, v = data[good].astype(float), err[good].astype(float) ** 2
    if d.size > 400_000:
        step = d.size // 400_000 + 1
        d, v = d[::step], v[::step]
    sky = np.median(d)
    mad = sigma_about_zero(d - sky)
    v_sky = np.median(v[np.abs(d - sky) <= 2 * mad + 1e-30])
    high = d > sky + 30 * np.sqrt(v_sky)
    slope = float(np.median((v[high] - v_sky) / (d[high] - sky))) if high.sum() >= 50 else 0.0
    slope = max(slope, 0.0)
    return float(max(v_sky - slope * sky, 0.1 * v_sky)), slope


def mesh_sky(image, skip, box=64):
    """Smooth sky: clipped means in boxes, median-filtered.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Image, with the models of all stars subtracted as far as they are known.

    skip : ndarray of bool
        Pixels to leave out.

    box : int
        Size of the boxes, pixels.

    Returns
    -------
    ndarray, shape (my, mx)
        Mesh; see `sky_image`.
    """
    mean, count = _boxes(image.shape, box)
    _sky_kernels.mesh_means(np.asarray(image, float), skip, box, SKY_CLIP, mean, count)
    return _smoothed(mean, count, box)


def sky_between_stars(resid, light, bad, mesh, most, box=64):
    """Return the `mesh_sky` of an image whose sky and stars are subtracted, with that sky put back.

    Parameters
    ----------
    resid : ndarray, shape (ny, nx)
        Image without sky and stars.

    light : ndarray
        The stars.

    bad : ndarray of bool
        Pixels to leave out.

    mesh : ndarray
        The sky that is subtracted.

    most : float
        Pixels with more light of stars are left out.

    box : int
        Size of the boxes, pixels.

    Returns
    -------
    ndarray, shape (my, mx)
    """
    mean, count = _boxes(resid.shape, box)
    _sky_kernels.means_between(resid, light, bad, mesh, most, box, SKY_CLIP, mean, count)
    return _smoothed(mean, count, box)


def _boxes(shape, box):
    return np.empty((2, *(max(n // box, 1) for n in shape)))


def _smoothed(mean, count, box):
    """Boxes with few pixels filled from their neighbors, and the median of 3 x 3."""
    shape = mean.shape
    few = ~np.isfinite(mean) | (count < 0.1 * box * box)
    if few.all():
        return np.full(shape, np.nan_to_num(np.nanmean(mean)) if np.isfinite(mean).any() else 0.0)
    if few.any():
        nearest = ndimage.distance_transform_edt(few, return_distances=False, return_indices=True)
        mean = mean[tuple(nearest)]
    return ndimage.median_filter(mean, 3, mode="nearest") if min(shape) >= 3 else mean


def sky_image(mesh, shape):
    """Bilinear interpolation of a mesh of box means to all pixels."""

    def weights(n, m):
        p = (np.arange(n) + 0.5) * m / n - 0.5
        return np.array([np.interp(p, np.arange(m), row) for row in np.eye(m)]).T

    return weights(shape[0], mesh.shape[0]) @ mesh @ weights(shape[1], mesh.shape[1]).T


def level_at(mesh, shape, j, i):
    """Return `sky_image` at pixels (rows j, columns i) of an image of that shape."""
    at = [(p + 0.5) * m / n - 0.5 for p, m, n in zip((j, i), mesh.shape, shape, strict=True)]
    return ndimage.map_coordinates(mesh, at, order=1, mode="nearest")
