"""The light of bright stars beyond the border of the ePSF library, measured from all of them together."""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf import EPSFLibrary
from jwst_hpastrom.epsf.fit import add_models
from jwst_hpastrom.numerics import weighted_median

__all__ = ["far_wings"]

REACH = 27  # pixels from a star; a tile's halo holds as much
OVERSAMPLING = 2
N_STARS, LEAST = 200, 20  # used; fewer do not tell their own light from their neighbors'
SMOOTHING = 0.5  # samples: speckles are not narrower than the pixel


def far_wings(field):
    """Measure the mean light around the brightest stars, the images of all listed stars subtracted.

    Around a single star nothing tells a speckle from a faint neighbor, since both follow it through all
    dithers. The median of many stars, weighted by their fluxes, has the speckles only.

    Parameters
    ----------
    field : `~jwst_hpastrom.measure.many.Field`

    Returns
    -------
    `~jwst_hpastrom.epsf.EPSFLibrary` or None
        Of one position; zero within half the radius of the field's own libraries. None if there are too few
        stars.
    """
    table = field.frame.table
    rows = np.flatnonzero((np.asarray(table["flags"]) & int(Flag.SATURATED)) == 0)
    rows = rows[np.argsort(np.asarray(table["mag"], float)[rows], kind="stable")]
    n = min(N_STARS, rows.size)
    if n < LEAST:
        return None
    x, y, mag = (np.asarray(table[c], float)[rows] for c in ("x", "y", "mag"))
    border = field.library(0).half_width
    distance, _ = cKDTree(np.c_[x, y][:n]).query(np.c_[x, y])
    near = distance < (1.5 * REACH + border) * max(t.scale for t in field.frame.transforms)
    x, y = field.to_master.inverse(x[near], y[near])
    flux = 10 ** (-0.4 * mag[near])
    side = 2 * REACH * OVERSAMPLING + 1
    total, count = np.zeros((2, n * side * side))
    for e, kept in enumerate(field.pixels):
        pixels = kept()
        px, py = field.to_raw[e](x, y)
        light = pixels.data.astype(float)
        add_models(light, field.library(field.lib[e]), px, py, flux * field.zp[e], -1.0, border)
        sample, value = _samples(light / field.zp[e], pixels.weight > 0, px[:n], py[:n], side)
        total += np.bincount(sample, value, minlength=total.size)
        count += np.bincount(sample, minlength=total.size)
    with np.errstate(invalid="ignore"):
        mean = (total / count).reshape(n, side, side)
    radius = np.hypot(*(np.indices((side, side)) - side // 2)) / OVERSAMPLING
    known = np.isfinite(mean[:, radius > REACH]).any(axis=1)
    mean, flux = mean[known], flux[:n][known]
    if known.sum() < LEAST:
        return None
    mean -= np.nanmedian(mean[:, radius > REACH], axis=1)[:, None, None]  # in the corners
    wings = gaussian_filter(weighted_median(mean / flux[:, None, None], flux), SMOOTHING)
    wings = np.where(radius > 0.5 * border, wings, 0.0)
    return EPSFLibrary(wings[None], np.zeros(1), np.zeros(1), OVERSAMPLING)


def _samples(light, good, px, py, side):
    """Sample (of all stars' grids) that each good pixel around the stars falls on, and its value."""
    ny, nx = light.shape
    j, i = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1].reshape(2, -1, 1)
    u, v = (np.nan_to_num(np.rint(p), nan=-1e6).astype(int) for p in (px, py))
    a, b = u + i, v + j
    with np.errstate(invalid="ignore"):
        ok = (a >= 0) & (b >= 0) & (a < nx) & (b < ny) & (np.maximum(abs(a - px), abs(b - py)) <= REACH)
    ok[ok] = good[b[ok], a[ok]]
    row, column = (np.rint(OVERSAMPLING * d[ok]).astype(int) + side // 2 for d in (b - py, a - px))
    return (np.nonzero(ok)[1] * side + row) * side + column, light[b[ok], a[ok]]
