"""Stars at first sight: peaks, rough positions and fluxes, and which of them ePSFs can be built from."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

__all__ = ["bright_and_isolated", "find_peaks", "light_centers", "out_of_wings", "saturated_stars"]

#: of the central pixel's light: a star's neighbors along x or y hold more, 0.2 in the sharpest band
SHARPEST = 0.08


def _greatest_near(image, j, i, half):
    """Greatest value within ``half`` rows and columns of each of the pixels (j, i)."""
    k = np.arange(-half, half + 1)
    rows, columns = (np.clip(c[:, None] + k, 0, n - 1) for c, n in zip((j, i), image.shape, strict=True))
    return image[rows[:, :, None], columns[:, None, :]].max((1, 2))


def find_peaks(image, noise, model=None, error=0.0):
    """Local maxima (3 x 3) above 5 sigma, and above what a wrong model may leave: rows, columns.

    A model that is wrong by the share ``error`` may leave that much of its greatest value within 1 pixel,
    and 0.4 of it within 3 pixels. Without this, residuals of a wrong ePSF become companions, which then
    keep it wrong.
    """
    j, i = np.nonzero(image[2:-2, 2:-2] > 5 * noise)
    j, i = j + 2, i + 2
    top = image[j, i] == _greatest_near(image, j, i, 1)
    j, i = j[top], i[top]
    if model is None:
        return j, i
    envelope = np.maximum(_greatest_near(model, j, i, 1), 0.4 * _greatest_near(model, j, i, 3))
    real = image[j, i] > error * envelope
    return j[real], i[real]


def light_centers(image, j, i):
    """Light center of the inner 3 x 3 pixels and the sum of 5 x 5."""
    k = np.arange(-2, 3)
    box = image[j[:, None, None] + k[:, None], i[:, None, None] + k]
    inner = np.clip(box[:, 1:4, 1:4], 0, None)
    total = np.maximum(inner.sum((1, 2)), 1e-30)
    x = i + (inner.sum(1) * np.array([-1, 0, 1])).sum(1) / total
    y = j + (inner.sum(2) * np.array([-1, 0, 1])).sum(1) / total
    return x, y, box.sum((1, 2))


def saturated_stars(frame_saturated, data, sky):
    """One star for each connected group of saturated pixels: positions, rough fluxes, half boxes."""
    labels, n = ndimage.label(frame_saturated, np.ones((3, 3)))
    if n == 0:
        return (np.empty(0),) * 3 + (np.empty(0, np.int64),)
    j, i = np.nonzero(labels)
    group = labels[j, i] - 1
    size = np.bincount(group)
    center = np.array([np.bincount(group, c) / size for c in (j, i)]).T
    level = np.full(n, -np.inf)
    np.maximum.at(level, group, data[j, i])
    flux = np.maximum(level - np.median(sky), 0) * (size + 4.0) * 2
    half = np.minimum(np.ceil(np.sqrt(size)).astype(np.int64) + 2, 8)
    return center[:, 1], center[:, 0], flux, half


def out_of_wings(x, y, flux, peak, reach=16.0):
    """Peaks that stand out of what the wings of brighter stars can hold (a generous envelope)."""
    order = np.argsort(-flux, kind="stable")
    bright = order[: max(x.size // 4, min(x.size, 200))]
    one, near, distance = _pairs(x, y, bright, reach)
    fainter = flux[near] < 0.3 * flux[one]
    one, near, distance = one[fainter], near[fainter], distance[fainter]
    wing = np.zeros(x.size)
    np.maximum.at(wing, near, flux[one] * 0.02 * (3.0 / np.maximum(distance, 1.0)) ** 2)
    return peak > wing


def _pairs(x, y, rows, reach):
    """Pairs of these rows with all other positions within reach: rows, the others, distances."""
    xy = np.c_[x, y]
    found = cKDTree(xy[rows]).sparse_distance_matrix(cKDTree(xy), reach, output_type="ndarray")
    one, other = rows[found["i"]], found["j"]
    k = one != other
    return one[k], other[k], found["v"][k]


def bright_and_isolated(frame, min_sn, isolation, max_stars):
    """Rows of the stars that ePSFs can be built from, brightest first; arguments as of `open_frame`."""
    x, y, flux = frame.x, frame.y, frame.flux
    ny, nx = frame.data.shape
    sn = flux / np.sqrt(np.maximum(25 * frame.var0 + frame.slope * np.maximum(flux, 0), 1e-30))
    j, i = np.clip(np.round(y).astype(int), 2, ny - 3), np.clip(np.round(x).astype(int), 2, nx - 3)
    k = np.arange(-1, 2)
    core_bad = frame.bad[j[:, None, None] + k[:, None], i[:, None, None] + k].any((1, 2))
    k = np.arange(-3, 4)
    jj, ii = np.clip(j[:, None, None] + k[:, None], 0, ny - 1), np.clip(i[:, None, None] + k, 0, nx - 1)
    near_saturated = frame.saturated[jj, ii].any((1, 2))
    inside = (x > 4) & (y > 4) & (x < nx - 5) & (y < ny - 5)
    core = frame.data[j[:, None, None] + k[2:-2, None], i[:, None, None] + k[2:-2]] - np.median(frame.sky)
    across = np.maximum(core[:, 1, 0] + core[:, 1, 2], core[:, 0, 1] + core[:, 2, 1])
    hot = across < SHARPEST * core[:, 1, 1]
    ok = np.flatnonzero((sn >= min_sn) & ~core_bad & ~near_saturated & inside & ~hot)
    ok = ok[np.argsort(-flux[ok], kind="stable")]
    one, near, _ = _pairs(x, y, ok, isolation)
    brightest = np.full(x.size, -np.inf)
    np.maximum.at(brightest, one, flux[near])
    return ok[brightest[ok] < 0.5 * flux[ok]][:max_stars]
