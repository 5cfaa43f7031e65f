"""One exposure for the ePSF builder: pixels, variance law, mesh sky, and the stars found at first sight."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf.brighter_fatter import undone
from jwst_hpastrom.epsf.stamps import _kernels
from jwst_hpastrom.numerics import Kept, in_memory, sigma_about_zero

__all__ = [
    "Frame",
    "find_peaks",
    "frame_from_list",
    "light_centers",
    "mesh_sky",
    "open_frame",
    "sky_image",
    "variance_law",
]

SKY_CLIP = 3.0
#: of the central pixel's light: a star's neighbors along x or y hold more, 0.2 in the sharpest band
SHARPEST = 0.08


@dataclass
class Pixels:
    """Pixels of a `Frame`, as they are kept in a store."""

    data: np.ndarray
    bad: np.ndarray


@dataclass
class Charge:
    """Charge of a `Frame`'s pixels, as it is kept in a store."""

    image: np.ndarray


@dataclass
class Frame:
    """What the builder keeps of an exposure.

    Attributes
    ----------
    data : ndarray of float32, shape (ny, nx)
        Pixels, 0 where there is no weight; None, as all images, while they are in a store.

    bad : ndarray of bool
        No weight: bad or saturated.

    saturated : ndarray of bool

    var0, slope : float
        Variance of a pixel: var0 + slope times its expected level.

    sky : ndarray
        Mesh of the sky (see `mesh_sky`).

    x, y, flux : ndarray
        Catalog of all stars.

    half_box : ndarray of int
        Half the box each is fitted in; larger around saturated cores.

    bright : ndarray of int
        Rows of the stars that the ePSF is built from.

    name : str

    radius : ndarray, optional
        Radius that each star is subtracted to, pixels.

    charge : float, ndarray or `~jwst_hpastrom.numerics.Kept`, optional
        Of the `~jwst_hpastrom.epsf.image.Image`.

    pixels : `~jwst_hpastrom.numerics.Kept`, optional
        The images, in a store.

    shape : tuple of int
        Rows and columns.
    """

    data: np.ndarray
    bad: np.ndarray
    saturated: np.ndarray
    var0: float
    slope: float
    sky: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    half_box: np.ndarray
    bright: np.ndarray
    name: str
    radius: np.ndarray | None = None
    charge: float | np.ndarray | Kept | None = None
    pixels: Kept | None = None
    shape: tuple = ()

    def __post_init__(self):
        if self.data is not None:
            self.shape = self.data.shape

    def put_away(self, store):
        """Return the frame with its images in a store; of saturation nothing more is needed."""
        charge = store.keep(Charge(self.charge)) if np.ndim(self.charge) else self.charge
        pixels = store.keep(Pixels(self.data, self.bad))
        return replace(self, data=None, bad=None, saturated=None, charge=charge, pixels=pixels)

    def whole(self, shift=0.0):
        """Return the frame with its pixels, those of a shift of boundaries by charge undone."""
        if self.pixels is None:
            return self
        pixels, charge = self.pixels(), charge_of(self.charge) if shift else None
        data = pixels.data if charge is None else undone(pixels.data, charge, pixels.bad, shift)
        return replace(self, data=data, bad=pixels.bad, charge=None, pixels=None)

    def in_memory(self):
        """Return the frame without need of a store's files."""
        return replace(self, charge=in_memory(self.charge), pixels=in_memory(self.pixels))


def charge_of(charge):
    """Return the charge of a `Frame`, from its store where it is there."""
    return charge().image if isinstance(charge, Kept) else charge


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


def _saturated_stars(frame_saturated, data, sky):
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


def open_frame(source, *, min_sn, isolation, max_stars, mesh):
    """Read an exposure, find its stars and choose the bright isolated ones.

    Parameters
    ----------
    source : `~jwst_hpastrom.epsf.image.Image` or callable
        The exposure, or what returns it.

    min_sn : float
        Smallest signal-to-noise ratio of a star to build from.

    isolation : float
        Pixels within which a star to build from has no neighbor of more than half its flux.

    max_stars : int
        Largest number of stars to build from, the brightest.

    mesh : int
        Size of the sky boxes, pixels.

    Returns
    -------
    `Frame`
    """
    image = source() if callable(source) else source
    data, bad, var0, slope = _pixels(image)
    if (~bad).sum() < 1000:
        empty, zero, none = np.empty(0), np.zeros((1, 1)), np.empty(0, np.int64)
        return Frame(
            data, bad, image.saturated, var0, slope, zero, empty, empty, empty, none, none, image.name,
            charge=image.charge,
        )  # fmt: skip
    sky = mesh_sky(data, bad, mesh)
    level = sky_image(sky, data.shape)
    flat = data - level.astype(np.float32)
    flat[bad] = 0.0
    noise = np.sqrt(var0 + slope * max(np.median(sky), 0.0))
    j, i = find_peaks(flat, noise)
    x, y, flux = light_centers(flat, j, i)
    peak = flat[j, i]
    sx, sy, sf, half = _saturated_stars(image.saturated, np.nan_to_num(image.data), sky)
    if sx.size and x.size:  # peaks beside a saturated core are its own light
        near, _ = cKDTree(np.c_[sx, sy]).query(np.c_[x, y])
        own = near < half[cKDTree(np.c_[sx, sy]).query(np.c_[x, y])[1]] + 1
        x, y, flux, peak = x[~own], y[~own], flux[~own], peak[~own]
    keep = _beyond_wings(np.r_[x, sx], np.r_[y, sy], np.r_[flux, sf], np.r_[peak, np.full(sx.size, np.inf)])
    x, y, flux = np.r_[x, sx][keep], np.r_[y, sy][keep], np.r_[flux, sf][keep]
    half = np.r_[np.full(peak.size, 2, np.int64), half][keep]
    frame = Frame(
        data, bad, image.saturated, var0, slope, sky, x, y, flux, half, np.empty(0, np.int64), image.name,
        charge=image.charge,
    )  # fmt: skip
    frame.bright = _choose(frame, min_sn, isolation, max_stars)
    return frame


def frame_from_list(image, x, y, flux, bright, *, mesh=64):
    """Make a `Frame` from a star list instead of a search.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    x, y, flux : ndarray
        All stars.

    bright : ndarray of int
        Rows to make stamps of.

    mesh : int
        Size of the sky boxes, pixels.

    Returns
    -------
    `Frame`
    """
    data, bad, var0, slope = _pixels(image)
    half = np.full(x.size, 2, np.int64)
    return Frame(
        data,
        bad,
        image.saturated,
        var0,
        slope,
        mesh_sky(data, bad, mesh),
        x,
        y,
        flux,
        half,
        bright,
        image.name,
    )


def _pixels(image):
    """Pixels with 0 where there is no weight, bad pixels, and the law of the variance."""
    bad = image.bad | image.saturated | ~np.isfinite(image.data) | ~(image.err > 0)
    data = np.where(bad, 0.0, image.data).astype(np.float32)
    if (~bad).sum() < 1000:
        return data, bad, 1.0, 0.0
    var0, slope = variance_law(image.data, image.err, ~bad)
    bad |= image.err**2 > 9 * (var0 + slope * np.maximum(image.data, 0))  # much noisier than the law
    data[bad] = 0.0
    return data, bad, var0, slope


def _beyond_wings(x, y, flux, peak, reach=16.0):
    """Peaks that stand out of what the wings of brighter stars can hold (a generous envelope)."""
    keep = np.ones(x.size, bool)
    order = np.argsort(-flux, kind="stable")
    tree = cKDTree(np.c_[x, y])
    wing = np.zeros(x.size)
    bright = order[: max(x.size // 4, min(x.size, 200))]
    for s in bright:
        near = np.array(
            [k for k in tree.query_ball_point((x[s], y[s]), reach) if flux[k] < 0.3 * flux[s]], int
        )
        if near.size:
            d = np.maximum(np.hypot(x[near] - x[s], y[near] - y[s]), 1.0)
            wing[near] = np.maximum(wing[near], flux[s] * 0.02 * (3.0 / d) ** 2)
    keep[:] = peak > wing
    return keep


def _choose(frame, min_sn, isolation, max_stars):
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
    tree, chosen = cKDTree(np.c_[x, y]), []
    for s in ok:
        near = [n for n in tree.query_ball_point((x[s], y[s]), isolation) if n != s]
        if not near or flux[near].max() < 0.5 * flux[s]:
            chosen.append(s)
            if len(chosen) == max_stars:
                break
    return np.array(chosen, np.int64)
