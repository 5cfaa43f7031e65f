"""Finding stars: a matched filter with a local sky, local maxima, and saturated cores."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from jwst_hpastrom._display import Displayed
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.kernels import detection
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.ranges import in_range

__all__ = [
    "Detections",
    "SkyMap",
    "find_stars",
    "peaks",
    "saturated_cores",
    "saturated_counts",
    "saturation_radii",
    "sky_map",
]


@dataclass(frozen=True, eq=False)
class SkyMap(Displayed):
    """Sky level and scatter of an image on a mesh of boxes.

    Attributes
    ----------
    level, sigma : ndarray, shape (n_boxes_y, n_boxes_x)
        Clipped median, and scatter of its fainter half, of each box.

    size : int
        Side of a box, pixels.
    """

    level: np.ndarray
    sigma: np.ndarray
    size: int

    def image(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the level at every pixel, bilinear between box centers, as float32."""
        out = np.empty(shape, np.float32)
        detection.bilinear_map(self.level, self.size, out)
        return out

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (level, sigma) of the boxes at positions (x, y)."""
        j, i = (
            np.clip((np.nan_to_num(p) + 0.5) // self.size, 0, n - 1).astype(int)
            for p, n in zip((y, x), self.level.shape, strict=True)
        )
        return self.level[j, i], self.sigma[j, i]


def sky_map(image: Image, *, size: int = 64, step: int = 2) -> SkyMap:
    """Measure the sky of an image on a mesh.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    size : int
        Side of the boxes, pixels. Boxes with fewer than 16 good pixels take their neighbors' values.

    step : int
        Use every ``step``-th pixel in x and y.

    Returns
    -------
    `SkyMap`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import as_image, sky_map
    >>> pixels = np.random.default_rng(1).normal(2.0, 0.1, (64, 128))
    >>> sky_map(as_image(pixels, err=np.full(pixels.shape, 0.1))).level.round(1)
    array([[2., 2.]])
    """
    ny, nx = image.shape
    shape = (-(-ny // size), -(-nx // size))
    level, sigma, count = np.empty(shape), np.empty(shape), np.empty(shape, np.int64)
    detection.sky_boxes(np.asarray(image.data, np.float32), image.good, size, step, level, sigma, count)
    empty = ~np.isfinite(level)
    if empty.all():
        level[:], sigma[:] = 0.0, 1.0
    elif empty.any():
        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        level, sigma = level[tuple(nearest)], sigma[tuple(nearest)]
    if min(shape) >= 3:
        level, sigma = (ndimage.median_filter(a, 3, mode="nearest") for a in (level, sigma))
    return SkyMap(np.ascontiguousarray(level), np.ascontiguousarray(sigma), size)


@dataclass(frozen=True, eq=False)
class Detections(Displayed):
    """Positions where a star may be, brightest first; all arrays of one length.

    Attributes
    ----------
    x, y : ndarray
        Position, 0-based pixels, good to a few tenths of a pixel.

    flux : ndarray
        Flux of the matched filter, rough.

    significance : ndarray
        Flux over its standard error; infinite for saturated stars.

    saturation_radius : ndarray
        Radius of the saturated core in pixels, 0 where there is none.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    significance: np.ndarray
    saturation_radius: np.ndarray

    def __len__(self):
        return self.x.size

    def __getitem__(self, rows):
        return Detections(
            self.x[rows], self.y[rows], self.flux[rows], self.significance[rows], self.saturation_radius[rows]
        )


def detection_kernel(library=None, *, fwhm=1.6, side=7):
    """Return the star image that the matched filter looks for, averaged over pixel phases."""
    phase = np.linspace(-0.4, 0.4, 5)
    offset = np.arange(side) - side // 2
    dy, dx, py, px = np.meshgrid(offset, offset, phase, phase, indexing="ij")
    if library is None:
        values = np.exp(-4 * np.log(2) * ((dx - px) ** 2 + (dy - py) ** 2) / fwhm**2)
    else:
        middle = library.x.mean(), library.y.mean()
        values = library.evaluate(dx - px, dy - py, *middle)
    kernel = values.mean((2, 3))
    return np.ascontiguousarray(kernel if library is not None else kernel / kernel.sum())


@in_range
def find_stars(
    image: Image,
    library: EPSFLibrary | None = None,
    *,
    threshold: float = 5.0,
    fwhm: float = 1.6,
    sky: Any = None,
    reach: int = 7,
) -> Detections:
    """Find stars as peaks of a matched filter.

    The flux of a star centered on every pixel is fitted together with a constant local sky, pixels without
    weight left out; a star is a local maximum of that flux that exceeds ``threshold`` times its standard
    error (from ``image.err``). Groups of saturated pixels are stars, too; peaks on their rims are not. Peaks
    narrower along one axis than a star can be (hot pixels, cosmic rays) are left out.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`, optional
        Gives the filter; without it a Gaussian of ``fwhm`` is used.

    threshold : float
        Significance needed.

    fwhm : float
        Full width at half maximum in pixels of the Gaussian used without a library.

    sky : `SkyMap`, optional
        Made where not given.

    reach : int
        Side of the filter in pixels, odd.

    Returns
    -------
    `Detections`

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import as_image, find_stars
    >>> y, x = np.mgrid[:40, :40]
    >>> pixels = np.random.default_rng(1).normal(0, 1, x.shape)
    >>> pixels += 900 * np.exp(-((x - 20) ** 2 + (y - 12) ** 2))
    >>> found = find_stars(as_image(pixels, err=np.ones(x.shape)), threshold=10.0)
    >>> found.x.round(), found.y.round()
    (array([20.]), array([12.]))
    """
    if reach < 3 or reach % 2 == 0:
        raise ParameterError(f"reach={reach}", "an odd number of pixels, 3 or more")
    sky = sky_map(image) if sky is None else sky
    good = image.good
    data = np.where(good, image.data - sky.image(image.shape), 0).astype(np.float32)
    return peaks(data, np.asarray(image.err, np.float32), good, image, library, threshold, fwhm, reach)


def peaks(data, err, good, image, library, threshold, fwhm=1.6, reach=7, rim=2.5):
    """Find the peaks of sky-subtracted data (0 where not good); see `find_stars`.

    Peaks nearer than ``rim`` pixels to the edge of a saturated core are parts of it.
    """
    kernel = detection_kernel(library, fwhm=fwhm, side=reach)
    flux = np.empty(data.shape, np.float32)
    detection.matched_filter(data, good, kernel, flux)
    x, y, f, s = (np.empty(data.size // 9 + 1) for _ in range(4))
    n = detection.local_maxima(flux, err, good, kernel, threshold, x, y, f, s)
    x, y, f, s = x[:n], y[:n], f[:n], s[:n]
    keep = _wide_enough(data, err, good, x, y, narrowest(library, fwhm=fwhm))
    x, y, f, s = x[keep], y[keep], f[keep], s[keep]
    sx, sy, sr = saturated_cores(image.saturated)
    # brighter than anything that is not saturated: only the order matters
    sf = 1e3 * float(np.max(image.data, where=image.good, initial=1.0)) * sr**2
    if sx.size and x.size:
        near = cKDTree(np.c_[x, y]).query_ball_point(np.c_[sx, sy], sr + rim)
        rim = np.unique(np.concatenate([np.asarray(k, int) for k in near]))
        x, y, f, s = (np.delete(a, rim) for a in (x, y, f, s))
    out = Detections(
        np.concatenate([sx, x]),
        np.concatenate([sy, y]),
        np.concatenate([sf, f]),
        np.concatenate([np.full(sx.size, np.inf), s]),
        np.concatenate([sr, np.zeros(x.size)]),
    )
    return out[np.argsort(-out.flux, kind="stable")]


def narrowest(library=None, *, fwhm=1.6):
    """Least sum of two opposite neighbors of the brightest pixel, over that pixel, that a star can have.

    It is that of a star centered on a pixel; any offset or blend makes the image wider along both axes.
    """
    phase = np.linspace(-0.5, 0.5, 11)
    py, px = np.meshgrid(phase, phase, indexing="ij")
    if library is not None:
        node_y, node_x = (c.reshape(-1, 1, 1) for c in np.meshgrid(library.y, library.x, indexing="ij"))

    def psi(dx, dy):
        if library is None:
            return np.exp(-4 * np.log(2) * ((dx - px) ** 2 + (dy - py) ** 2) / fwhm**2)
        return library.evaluate(dx - px, dy - py, node_x, node_y)

    middle = psi(0, 0)
    pairs = psi(1, 0) + psi(-1, 0), psi(0, 1) + psi(0, -1)
    return max(min(float((pair / middle).min()) for pair in pairs), 0.0)


def _wide_enough(data, err, good, x, y, least):
    """Whether the image is as wide along both axes as a star's must be; hot pixels and cosmic rays are not.

    Half of the least width must be there, three standard errors granted. Along an axis with a pixel missing
    nothing can be said.
    """
    ny, nx = data.shape
    j, i = np.rint(y).astype(int), np.rint(x).astype(int)
    inside = (j > 1) & (i > 1) & (j < ny - 2) & (i < nx - 2)
    j, i = (
        (np.where(inside, a, 2) for a in (j, i)) if min(ny, nx) > 4 else (np.zeros_like(j), np.zeros_like(i))
    )
    if min(ny, nx) <= 4:
        return np.ones(x.size, bool)
    # the brightest good pixel of the nine
    box = [(dj, di) for dj in (-1, 0, 1) for di in (-1, 0, 1)]
    value = np.stack([np.where(good[j + dj, i + di], data[j + dj, i + di], -np.inf) for dj, di in box])
    best = np.argmax(value, 0)
    dj, di = np.array(box).T
    j, i = j + dj[best], i + di[best]
    peak = data[j, i]
    ok = ~inside | ~good[j, i]
    enough = np.ones(x.size, bool)
    for a, b in ((0, 1), (1, 0)):
        one, two = (j - a, i - b), (j + a, i + b)
        known = good[one] & good[two]
        noise = np.sqrt(np.where(known, err[one], 0) ** 2 + np.where(known, err[two], 0) ** 2)
        enough &= ~known | (data[one] + data[two] + 3 * noise > 0.5 * least * peak)
    return ok | enough


def saturated_cores(saturated):
    """Return centers x, y and radii of the groups of saturated pixels."""
    if not saturated.any():
        return (np.empty(0),) * 3
    label, n = ndimage.label(saturated, structure=np.ones((3, 3)))
    jj, ii = np.nonzero(saturated)
    group = label[jj, ii] - 1
    size = np.bincount(group, minlength=n)
    return np.bincount(group, ii, n) / size, np.bincount(group, jj, n) / size, np.sqrt(size / np.pi) + 0.5


def saturated_counts(saturated, x, y, half_box):
    """Saturated pixels in each star's box."""
    if not saturated.any():
        return np.zeros(x.size, int)
    centers = np.rint(np.nan_to_num(np.c_[x, y], nan=-1e6))
    return cKDTree(np.argwhere(saturated)[:, ::-1]).query_ball_point(
        centers, half_box + 0.1, p=np.inf, return_length=True
    )


def saturation_radii(saturated, x, y, within=1.5):
    """Radius of the saturated core that each position lies in or beside, 0 where there is none."""
    radius = np.zeros(x.size)
    sx, sy, sr = saturated_cores(saturated)
    if sx.size and x.size:
        for star, near in zip(
            range(sx.size), cKDTree(np.c_[x, y]).query_ball_point(np.c_[sx, sy], sr + within), strict=True
        ):
            if near:
                best = near[np.argmin((x[near] - sx[star]) ** 2 + (y[near] - sy[star]) ** 2)]
                radius[best] = max(radius[best], sr[star])
    return radius
