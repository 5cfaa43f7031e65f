"""Sky and noise of an exposure: a mesh of box means, and the variance against the expected level."""

import numpy as np
from scipy import ndimage

from jwst_hpastrom.epsf.stamps import _kernels
from jwst_hpastrom.numerics import sigma_about_zero

__all__ = ["mesh_sky", "sky_image", "variance_law"]

SKY_CLIP = 3.0


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
    ny, nx = image.shape
    shape = (max(ny // box, 1), max(nx // box, 1))
    mean, count = np.empty(shape), np.empty(shape)
    _kernels.mesh_means(np.asarray(image, float), skip, box, SKY_CLIP, mean, count)
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
