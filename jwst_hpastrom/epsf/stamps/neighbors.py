"""Stamps of bright stars without their neighbors: all stars of an exposure fitted and subtracted."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.spatial import cKDTree

from jwst_hpastrom.epsf.brighter_fatter import undo_beside_lost
from jwst_hpastrom.epsf.fit import add_models
from jwst_hpastrom.epsf.kernels.crowded import PSFGrid
from jwst_hpastrom.epsf.stamps import _kernels, _sky_kernels
from jwst_hpastrom.epsf.stamps.peaks import find_peaks, light_centers
from jwst_hpastrom.epsf.stamps.sky import level_at, sky_between_stars, sky_image

__all__ = ["Stamps", "cut_again", "plain_stamps", "refresh_stamps"]

HALF = 13  # stamps reach 13 pixels: an ePSF of 12.5, and the star anywhere in its pixel


@dataclass
class Stamps:
    """Stamps of an exposure's bright stars (see `_kernels`)."""

    clean: np.ndarray
    base: np.ndarray
    ox: np.ndarray
    oy: np.ndarray


def _corners(frame):
    x, y = frame.x[frame.bright], frame.y[frame.bright]
    return np.round(x).astype(np.int64) - HALF, np.round(y).astype(np.int64) - HALF


def _empty_stamps(frame):
    n, side = frame.bright.size, 2 * HALF + 1
    ox, oy = _corners(frame)
    return Stamps(np.empty((n, side, side), np.float32), np.empty((n, side, side), np.float32), ox, oy)


def plain_stamps(frame):
    """Stamps before there is a model: the image without its sky."""
    out = _empty_stamps(frame)
    level = sky_image(frame.sky, frame.data.shape).astype(np.float32)
    clean = np.where(frame.bad, np.float32(np.nan), frame.data - level)
    base = np.float32(frame.var0) + np.float32(frame.slope) * np.maximum(level, np.float32(0))
    side = 2 * HALF + 1  # stars may be beyond the border by less than that
    for image, edge, stamps in ((clean, np.nan, out.clean), (base, frame.var0, out.base)):
        around = np.pad(image, side, constant_values=np.float32(edge))
        stamps[:] = sliding_window_view(around, (side, side))[out.oy + side, out.ox + side]
    return out


def _radii(flux, noise):
    """Radius of each star's subtraction: where its wings, ~ 0.05 flux / r³, are a tenth of the noise."""
    return np.clip(np.cbrt(0.5 * np.maximum(flux, 0) / noise), 4.0, HALF - 0.5)


def _cells(library, x, y):
    """Field positions beside each star: those with the same models one after the other are in the cache."""
    return [np.searchsorted(g, p) for g, p in ((library.x, x), (library.y, y))]


def _subtracted(frame, library, x, y, flux, radius):
    """Return the image without sky and stars."""
    resid = frame.data.astype(float)
    _sky_kernels.add_level(resid, -frame.sky)
    k = np.lexsort(_cells(library, x, y))
    add_models(resid, library, x[k], y[k], flux[k], -1.0, radius[k])
    return resid


def _cut(frame, library, resid, x, y, flux, radius):
    """Stamps of the bright stars (the first of the catalog) with all other stars subtracted."""
    lib = PSFGrid.of(library)
    b = slice(0, frame.bright.size)
    out = _empty_stamps(replace(frame, x=x, y=y, bright=np.arange(frame.bright.size)))
    _kernels.cut_stamps(
        frame.data, resid, frame.bad, *lib, x[b], y[b], flux[b], radius[b], out.ox, out.oy,
        frame.var0, frame.slope, out.clean, out.base,
    )  # fmt: skip
    return out


def cut_again(frame, library):
    """Cut stamps with a frame's catalog and sky as they are; the bright stars are its first."""
    catalog = frame.x, frame.y, frame.flux, frame.radius
    resid = _subtracted(frame, library, *catalog)
    if frame.shift:  # the pixels are this frame's own
        level = sky_image(frame.sky, resid.shape)
        resid += level
        undo_beside_lost(frame.data, resid, ~frame.bad, level, frame.charge, frame.shift)
        resid -= level
    return _cut(frame, library, resid, *catalog)


def refresh_stamps(frame, library, *, detect, passes, mesh, model_error=0.15):
    """Fit all stars of the exposure with a library, take a new mesh sky, and cut new stamps.

    Parameters
    ----------
    frame : `~jwst_hpastrom.epsf.stamps.frames.Frame`
        Its catalog and sky are the starting point.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        Current model.

    detect : bool
        Look for further stars in the residual image before each pass.

    passes : int
        Passes over the catalog.

    mesh : int
        Size of the sky boxes, pixels.

    model_error : float
        Share of a star's light by which the library may be wrong: fainter companions are not believed.

    Returns
    -------
    catalog : tuple
        (x, y, flux, half_box, radius, sky mesh); the bright stars come first, in their order.

    stamps : `Stamps`
    """
    lib = PSFGrid.of(library)
    shape, noise = frame.data.shape, np.sqrt(frame.var0 + frame.slope * max(np.median(frame.sky), 0.0))
    others = np.setdiff1d(np.arange(frame.x.size), frame.bright)
    rows = np.r_[frame.bright, others]
    n_bright = frame.bright.size
    x, y, flux, half = (getattr(frame, name)[rows].copy() for name in ("x", "y", "flux", "half_box"))
    sky, data = frame.sky, frame.data
    radius = _radii(flux, noise)
    radius[:n_bright] = HALF - 0.5
    resid = _subtracted(frame, library, x, y, flux, radius)
    light, weight = np.empty(shape, np.float32), np.empty(shape, np.float32)  # whole frames, made once

    def new_sky(old):
        """Mesh sky of the residual image, pixels with much starlight left out; subtracted from now on."""
        _sky_kernels.star_light(data, resid, old, frame.bad, light)
        new = sky_between_stars(resid, light, frame.bad, old, 3 * noise, mesh)
        for change in [old - new] if old.shape == new.shape else [old, -new]:
            _sky_kernels.add_level(resid, change)
        return new

    top = library.central_value((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    for _ in range(passes):
        if detect:  # with the sky of the last time: it is taken anew below
            _sky_kernels.star_light(data, resid, sky, frame.bad, light)
            resid[frame.bad] = 0.0
            j, i = find_peaks(resid, noise, light, model_error)
            new_x, new_y, new_flux = light_centers(resid, j, i)
            new_flux = np.maximum(new_flux, 1e-6)
            new_radius = _radii(new_flux, noise)
            add_models(resid, library, new_x, new_y, new_flux, -1.0, new_radius)
            x, y, flux = np.r_[x, new_x], np.r_[y, new_y], np.r_[flux, new_flux]
            radius, half = np.r_[radius, new_radius], np.r_[half, np.full(new_x.size, 2, np.int64)]
        _sky_kernels.weights_of(data, resid, frame.bad, frame.var0, frame.slope, weight)
        order = np.lexsort([-flux, *_cells(library, x, y)])
        _kernels.refine_catalog(resid, weight, *lib, x, y, flux, radius, half, order, 1.5, 1e-3)
        j, i = (np.clip(np.round(c).astype(int), 0, n - 1) for c, n in zip((y, x), shape, strict=True))
        model = data[j, i] - resid[j, i] - level_at(sky, shape, j, i)
        keep = _are_stars(x, y, flux, flux * top, noise, model, model_error)
        keep[:n_bright] = True
        gone = ~keep
        add_models(resid, library, x[gone], y[gone], flux[gone], 1.0, radius[gone])
        x, y, flux, radius, half = (a[keep] for a in (x, y, flux, radius, half))
        sky = new_sky(sky)
    resid = light = weight = None  # frames that the stamps do not need
    done = replace(frame, x=x, y=y, flux=flux, radius=radius, sky=sky, bright=np.arange(n_bright))
    # from the catalog, not from what the passes left: a build that goes on has the same to the last bit
    return (x, y, flux, half, radius, sky), cut_again(done, library)


def _are_stars(x, y, flux, peak, noise, model, error):
    """Catalog entries bright enough for stars of their own, and not a brighter star's misfit.

    ``model`` is what all stars together have in the central pixel of each.
    """
    keep = (peak > 3.5 * noise) & (peak > error * (model - peak)) & (flux > 0)
    pairs = cKDTree(np.c_[x, y]).query_pairs(3.0, output_type="ndarray")
    one, two = flux[pairs].T
    keep[pairs[one < 0.4 * error * two, 0]] = False
    keep[pairs[two < 0.4 * error * one, 1]] = False
    return keep
