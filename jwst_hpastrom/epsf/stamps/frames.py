"""One exposure for the ePSF builder: pixels, law of the variance, sky, and the stars seen at first sight."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf.brighter_fatter import undone
from jwst_hpastrom.epsf.stamps.peaks import (
    bright_and_isolated,
    find_peaks,
    light_centers,
    out_of_wings,
    saturated_stars,
)
from jwst_hpastrom.epsf.stamps.sky import mesh_sky, sky_image, variance_law
from jwst_hpastrom.storage import Kept, in_memory

__all__ = ["Frame", "charge_of", "frame_from_list", "open_frame"]

log = logging.getLogger("stpipe.hpastrom.epsf")

MOSTLY_BAD = 0.45  # of the pixels; a third of MIRI's are no part of the imager


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

    charge : float, ndarray or `~jwst_hpastrom.storage.Kept`, optional
        Of the `~jwst_hpastrom.epsf.image.Image`.

    pixels : `~jwst_hpastrom.storage.Kept`, optional
        The images, in a store.

    shape : tuple of int
        Rows and columns.

    shift : float
        Of boundaries by charge, pixels per DN, that is undone in ``data``.
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
    shift: float = 0.0

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
        return replace(self, data=data, bad=pixels.bad, charge=charge, pixels=None, shift=shift)

    def in_memory(self):
        """Return the frame without need of a store's files."""
        return replace(self, charge=in_memory(self.charge), pixels=in_memory(self.pixels))


def charge_of(charge):
    """Return the charge of a `Frame`, from its store where it is there."""
    return charge().image if isinstance(charge, Kept) else charge


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
    if (share := bad.mean()) > MOSTLY_BAD:
        log.warning(
            "%s: %.0f %% of the pixels are bad, saturated or without an error: no star there tells the ePSF",
            image.name, 100 * share,
        )  # fmt: skip
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
    sx, sy, sf, half = saturated_stars(image.saturated, np.nan_to_num(image.data), sky)
    if sx.size and x.size:  # peaks beside a saturated core are its own light
        near, _ = cKDTree(np.c_[sx, sy]).query(np.c_[x, y])
        own = near < half[cKDTree(np.c_[sx, sy]).query(np.c_[x, y])[1]] + 1
        x, y, flux, peak = x[~own], y[~own], flux[~own], peak[~own]
    keep = out_of_wings(np.r_[x, sx], np.r_[y, sy], np.r_[flux, sf], np.r_[peak, np.full(sx.size, np.inf)])
    x, y, flux = np.r_[x, sx][keep], np.r_[y, sy][keep], np.r_[flux, sf][keep]
    half = np.r_[np.full(peak.size, 2, np.int64), half][keep]
    frame = Frame(
        data, bad, image.saturated, var0, slope, sky, x, y, flux, half, np.empty(0, np.int64), image.name,
        charge=image.charge,
    )  # fmt: skip
    frame.bright = bright_and_isolated(frame, min_sn, isolation, max_stars)
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
