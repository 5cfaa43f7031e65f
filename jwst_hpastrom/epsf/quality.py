"""Telling stars from cosmic rays, hot pixels and galaxies by the shape of their residuals."""

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.epsf.kernels import detection
from jwst_hpastrom.numerics import sigma_about_zero

__all__ = [
    "least_widths", "lost_core", "lost_peaks", "mark_cosmic_rays", "mark_crowded", "mark_shapes",
    "radxs_band", "useless",
]  # fmt: skip

N_SIGMA = 3.0  # of RADXS about its band: one star in 370 by chance
N_SIGMA_SHARP = 5.0  # of 36 pairs of pixels a source (this project's choice)
PEAK, BOX, NEAR = 50.0, 10, 2.0  # errors of a bright peak; pixels around it that are lower; to its star
LEAST_ERROR = 0.1  # relative, of the least widths: the library's error and the offsets between those tried


def radxs_band(mag, radxs, radxs_err, *, per_bin=200):
    """Center and standard deviation of RADXS for stars, as functions of magnitude.

    The center is the running median; the deviation is the larger of a running 1.4826 MAD and the error that
    the pixels' noise gives.

    Parameters
    ----------
    mag, radxs, radxs_err : ndarray, shape (n,)
        Columns of a star list.

    per_bin : int
        Stars in a bin of the running median, at most.

    Returns
    -------
    center, sigma : ndarray, shape (n,)
    """
    center, extra = np.zeros(mag.size), np.zeros(mag.size)
    ok = np.isfinite(mag) & np.isfinite(radxs) & np.isfinite(radxs_err)
    if ok.sum() >= 20:
        rows = np.flatnonzero(ok)[np.argsort(mag[ok])]
        bins = np.array_split(rows, max(1, rows.size // per_bin))
        at = np.array([np.median(mag[b]) for b in bins])
        middle = np.array([np.median(radxs[b]) for b in bins])
        spread = [sigma_about_zero(radxs[b] - m) for b, m in zip(bins, middle, strict=True)]
        center, extra = np.interp(mag, at, middle), np.interp(mag, at, spread)
    return center, np.fmax(extra, radxs_err)


def mark_shapes(table):
    """Set the flags EXTENDED and COSMIC_RAY of a star list, in place.

    A source is extended where its RADXS lies more than 3σ above the stars' (see `radxs_band`), sharper than a
    star where it lies as much below.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Star list with ``radxs_err``.
    """
    mag, radxs, err = (np.asarray(table[c], float) for c in ("mag", "radxs", "radxs_err"))
    center, sigma = radxs_band(mag, radxs, err)
    with np.errstate(invalid="ignore"):
        high, low = radxs - center > N_SIGMA * sigma, radxs - center < -N_SIGMA * sigma
    table["flags"][high] |= int(Flag.EXTENDED)
    table["flags"][low] |= int(Flag.COSMIC_RAY)


def least_widths(library):
    """Smallest sum of a pixel's two opposite neighbors, over that pixel, that a star can have.

    Parameters
    ----------
    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    Returns
    -------
    ndarray, shape (4,)
        Along x, y, and the diagonals; of stars within 1.25 pixels of the pixel, at all field positions. What
        holds for every star holds for their sum, too.
    """
    dx, dy = (a.ravel() for a in np.meshgrid(*2 * [np.arange(-1.25, 1.26, 0.25)]))
    x, y = np.tile(library.x, library.y.size), np.repeat(library.y, library.x.size)
    around = [(0, 0), (1, 0), (0, 1), (1, 1), (-1, 1)]
    psi = {
        (sign * i, sign * j): library.evaluate(dx + sign * i, dy + sign * j, x[:, None], y[:, None])
        for i, j in around
        for sign in (1, -1)
    }
    middle = psi[0, 0]
    bright = middle > 0.05 * middle.max()
    widths = [((psi[i, j] + psi[-i, -j]) / middle)[bright].min() for i, j in around[1:]]
    return np.maximum(widths, 0.0)


def mark_cosmic_rays(table, pixels, library):
    """Set the flag COSMIC_RAY where pixels are sharper than any sum of stars can be, in place.

    A track of a cosmic ray may be as extended as a galaxy; but at its sides the light ends within a pixel.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Star list.

    pixels : `~jwst_hpastrom.epsf.fit.Pixels`
        The image as it is.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
    """
    x, y, sky = (np.ascontiguousarray(table[c], float) for c in ("x", "y", "sky"))
    out = np.zeros(x.size)
    detection.sharpness(pixels.data, pixels.weight, x, y, sky, least_widths(library), LEAST_ERROR, out)
    table["flags"][out > N_SIGMA_SHARP] |= int(Flag.COSMIC_RAY)


def lost_core(stars, weight):
    """Return which stars have pixels without weight among the central 3×3.

    Parameters
    ----------
    stars : `~astropy.table.Table` or mapping
        Star list, x and y (pixels) at least, shape (n,).

    weight : ndarray, shape (ny, nx)
        Weights of the pixels, 0 where one must not count.

    Returns
    -------
    ndarray of bool, shape (n,)
        Pixels beyond the detector's edge are not missed.
    """
    lost = np.pad(np.asarray(weight) <= 0, 1)
    ny, nx = np.shape(weight)
    i = np.clip(np.rint(np.asarray(stars["x"], float)).astype(int), 0, nx - 1)
    j = np.clip(np.rint(np.asarray(stars["y"], float)).astype(int), 0, ny - 1)
    out = np.zeros(i.size, bool)
    for dy in range(3):
        for dx in range(3):
            out |= lost[j + dy, i + dx]
    return out


def lost_peaks(stars, pixels, weight):
    """Count bright, isolated peaks of an image, and those of them that are no stars of its list.

    Parameters
    ----------
    stars : `~astropy.table.Table` or mapping
        Star list, x and y (pixels) at least, shape (n,).

    pixels, weight : ndarray, shape (ny, nx)
        Values, and their inverse variances: 0 where one must not count.

    Returns
    -------
    n_peaks, n_lost : int
        Peaks are the highest of 21 × 21 pixels, 50 errors above the image's median, with good pixels around
        that share their light: neither neighbors nor hot pixels nor saturated stars.
    """
    good = (np.asarray(weight) > 0) & np.isfinite(pixels)
    if not good.any():
        return 0, 0
    dark = np.median(pixels[good])
    above = np.where(good, pixels - dark, pixels[good].min() - dark)
    j, i = np.nonzero(above * np.sqrt(np.where(good, weight, 0.0)) > PEAK)
    inside = (j >= BOX) & (i >= BOX) & (j < above.shape[0] - BOX) & (i < above.shape[1] - BOX)
    j, i = j[inside], i[inside]
    order = np.argsort(-above[j, i], kind="stable")
    j, i = j[order], i[order]
    taken, peaks = np.zeros(above.shape, bool), []
    for y, x in zip(j, i, strict=True):
        if taken[y, x]:
            continue
        box = slice(y - BOX, y + BOX + 1), slice(x - BOX, x + BOX + 1)
        core = slice(y - 1, y + 2), slice(x - 1, x + 2)
        alone = not taken[box].any() and above[y, x] >= above[box].max()
        taken[box] = True
        # a star's light is in the pixels beside, too: a hot pixel's is not
        if alone and good[core].all() and np.median(above[core]) > 0.05 * above[y, x]:
            peaks.append((x, y))
    if not peaks:
        return 0, 0
    place = np.stack([np.asarray(stars[c], float) for c in "xy"], 1)
    place = place[np.isfinite(place).all(1)]
    if not len(place):
        return len(peaks), len(peaks)
    distance, _ = cKDTree(place).query(np.array(peaks, float))
    return len(peaks), int(np.sum(distance > NEAR))


def mark_crowded(table, radius):
    """Set CROWDED where a star within ``radius`` has at least a tenth of the light (2.5 mag fainter)."""
    if len(table) < 2:
        return
    x, y, flux = (np.asarray(table[c], float) for c in ("x", "y", "flux"))
    pairs = cKDTree(np.c_[x, y]).query_pairs(radius, output_type="ndarray")
    for a, b in (pairs.T, pairs.T[::-1]):
        hit = a[flux[b] > 0.1 * flux[a]]
        table["flags"][np.unique(hit)] |= int(Flag.CROWDED)


def useless(table):
    """Detections that are no stars: sharper than any, with residuals like their flux."""
    cosmic = (np.asarray(table["flags"]) & int(Flag.COSMIC_RAY)) > 0
    return cosmic & (np.asarray(table["qfit"]) > 0.5)
