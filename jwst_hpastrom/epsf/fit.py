"""Least-squares fits of an ePSF library to stars."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike

from jwst_hpastrom.columns import STAR_LIST, Flag, make_table
from jwst_hpastrom.epsf.brighter_fatter import undo_beside_lost, without_charge
from jwst_hpastrom.epsf.detect import saturated_counts, saturation_radii, sky_map
from jwst_hpastrom.epsf.flux_bias import without_position_gain
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.kernels import crowded, detection, render, star_fit
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.weights import learned_weights, model_error, with_model_error
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.ranges import in_range

__all__ = ["FitResult", "Pixels", "fit_positions", "fit_stars", "local_sky", "star_table"]

CONVERGED = 1e-4  # pixels: the last step of a converged fit is smaller
LARGEST_HALF_BOX = 10  # pixels, for saturated stars
RINGS = 3  # of pixels around a saturated core
RADXS_RING = (1.0, 2.5)  # Methods §1


@dataclass(frozen=True, eq=False)
class Pixels:
    """An image as the kernels want it: float32, 0 and no weight where a pixel must not count.

    Attributes
    ----------
    data, weight : ndarray of float32, shape (ny, nx)
        Values, and 1/σ².

    saturated : ndarray of bool, shape (ny, nx)
    """

    data: np.ndarray
    weight: np.ndarray
    saturated: np.ndarray

    @classmethod
    def of(cls, image):
        """Take them from an `~jwst_hpastrom.epsf.image.Image`."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            good = image.good & np.isfinite(image.data) & np.isfinite(image.err) & (image.err > 0)
            weight = np.where(good, 1.0 / np.square(image.err, dtype=np.float32), 0).astype(np.float32)
        data = np.where(good, image.data, 0).astype(np.float32)
        return cls(data, weight, np.asarray(image.saturated, bool))


@dataclass(frozen=True, eq=False)
class FitResult:
    """Parameters and covariances of fitted stars; all arrays of shape (n,).

    Stars that could not be fitted have NaN fluxes and variances, and keep their starting positions.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    sky: np.ndarray
    x_var: np.ndarray
    y_var: np.ndarray
    xy_cov: np.ndarray
    flux_var: np.ndarray
    chi2: np.ndarray
    n_pixels: np.ndarray
    n_iterations: np.ndarray
    converged: np.ndarray
    sky_err: np.ndarray
    half_box: np.ndarray
    n_parameters: int = 3

    @classmethod
    def of(cls, rows, sky_err, half_box, n_parameters=3):
        """Take them from the kernels' result rows, shape (n, N_OUT)."""
        c = [np.ascontiguousarray(column) for column in rows.T]
        return cls(*c[:9], c[9].astype(int), c[10].astype(int), c[11] > 0, sky_err, half_box, n_parameters)

    @property
    def fitted(self):
        """Stars with a position, a flux and their errors."""
        return np.isfinite(self.flux) & (self.x_var > 0) & (self.y_var > 0) & (self.flux_var > 0)

    @property
    def snr(self):
        """Flux over its standard error."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.flux / np.sqrt(self.flux_var)


def check_fit_box(fit_box):
    """Return the half width of an odd box, or raise `ParameterError`."""
    if fit_box % 2 == 0 or not 3 <= fit_box <= 2 * LARGEST_HALF_BOX + 1:
        raise ParameterError(f"fit_box={fit_box}", f"an odd number from 3 to {2 * LARGEST_HALF_BOX + 1}")
    return fit_box // 2


def fit_positions(
    pixels, library, x, y, sky, sky_err, half_box, *, fit_sky=False, max_iterations=50, max_shift=2.0
):
    """Fit stars with a given sky; the fast part of `fit_stars`.

    Parameters
    ----------
    pixels : `Pixels`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    x, y, sky, sky_err : ndarray, shape (n,)
        Starting positions; sky and its standard error, which is carried into the covariances.

    half_box : int or ndarray of int
        The box has 2 half_box + 1 pixels a side.

    fit_sky : bool
        Fit the sky as a fourth parameter, starting from ``sky``.

    max_iterations : int
        Evaluations of the model, at most.

    max_shift : float
        Pixels that a star may move from its start.

    Returns
    -------
    `FitResult`
    """
    x, y, sky, sky_err = (np.ascontiguousarray(a, float) for a in np.broadcast_arrays(x, y, sky, sky_err))
    half = np.array(np.broadcast_to(half_box, x.shape), np.int64)
    out = np.empty((x.size, star_fit.N_OUT))
    star_fit.fit_many(
        pixels.data, pixels.weight, *crowded.PSFGrid.of(library),
        x, y, sky, sky_err, half, bool(fit_sky), int(max_iterations), CONVERGED, float(max_shift), out,
    )  # fmt: skip
    return FitResult.of(out, np.sqrt(out[:, 14]) if fit_sky else sky_err, half, 4 if fit_sky else 3)


def local_sky(pixels, x, y, sky_mesh, *, inner=8.0, outer=12.0, sigma=3.0, least=30):
    """Clipped mean of an annulus around each star.

    Parameters
    ----------
    pixels : `Pixels`
        With the stars subtracted: an annulus around a star that is still there reads its wings as sky.

    x, y : ndarray, shape (n,)
        Centers.

    sky_mesh : `~jwst_hpastrom.epsf.detect.SkyMap`
        Used where an annulus has fewer than ``least`` pixels.

    inner, outer : float
        Radii in pixels.

    sigma : float
        Clipping limit.

    least : int
        Pixels needed.

    Returns
    -------
    sky, sky_err : ndarray, shape (n,)

    fallback : ndarray of bool, shape (n,)
        Stars that got the mesh's sky.
    """
    level, scatter = sky_mesh.at(x, y)
    sky, err, count = np.empty(x.size), np.empty(x.size), np.empty(x.size, np.int64)
    detection.annulus_sky(
        pixels.data, pixels.weight, np.ascontiguousarray(x, float), np.ascontiguousarray(y, float),
        (float(inner), float(outer)), float(sigma), (level, scatter / 8.0), int(least), (sky, err, count),
    )  # fmt: skip
    return sky, err, count < least


def half_boxes(saturation_radius, half_box):
    """Half width of each star's box: three rings of pixels more than a saturated core."""
    grown = np.ceil(np.asarray(saturation_radius, float)).astype(int) + RINGS
    return np.clip(np.where(np.asarray(saturation_radius) > 0, grown, half_box), half_box, LARGEST_HALF_BOX)


def residual_statistics(pixels, library, fit):
    """Return Σ|r|, Σr in the RADXS ring, its variance, the central residual and Σψ of each star, (n, 5)."""
    out = np.empty((fit.x.size, crowded.N_QUALITY))
    counts = crowded.Counts(pixels.data, pixels.weight)
    stars = fit.x, fit.y, fit.flux, fit.sky, fit.half_box
    crowded.quality_many(counts, crowded.PSFGrid.of(library), *stars, RADXS_RING, out)
    return out


def star_table(pixels, library, fit, *, statistics=None, flags=None, box=2, outer=12.0, **columns):
    """Build the star list of a fit: residual statistics, magnitudes and flags.

    Parameters
    ----------
    pixels : `Pixels`
        The pixels that were fitted.

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`

    fit : `FitResult`

    statistics : ndarray, optional
        What `residual_statistics` gives; computed where not given.

    flags : ndarray of int, optional
        Bits known already.

    box : int
        Half width of the regular box.

    outer : float
        Outer radius of the sky annulus, pixels.

    **columns : ndarray
        More columns.

    Returns
    -------
    `~astropy.table.Table`
        Columns of the star list, and ``radxs_err``, the standard error of RADXS from the pixels' errors, and
        ``snr``, flux over its error by the pixels' errors alone (or that of ``columns``).
    """
    n = fit.x.size
    out = residual_statistics(pixels, library, fit) if statistics is None else statistics
    with np.errstate(invalid="ignore", divide="ignore"):
        qfit, radxs = out[:, 0] / np.abs(fit.flux), out[:, 1] / fit.flux
        radxs_err = np.sqrt(out[:, 2]) / np.abs(fit.flux)
        flux_err, flux = np.sqrt(fit.flux_var), without_position_gain(fit.flux, columns.get("snr", fit.snr))
        mag = np.where(flux > 0, -2.5 * np.log10(np.abs(flux)), np.nan)
        mag_err = 2.5 / np.log(10) * flux_err / np.abs(flux)
        chi2 = fit.chi2 / np.maximum(fit.n_pixels - fit.n_parameters, 1)
    bits = np.zeros(n, np.int64) if flags is None else np.asarray(flags, np.int64).copy()
    n_saturated = saturated_counts(pixels.saturated, fit.x, fit.y, box)
    ny, nx = pixels.data.shape
    margin = np.maximum(fit.half_box, np.ceil(outer))
    edge = (fit.x < margin) | (fit.y < margin) | (fit.x > nx - 1 - margin) | (fit.y > ny - 1 - margin)
    whole = (2 * fit.half_box + 1) ** 2
    saturated_in_box = saturated_counts(pixels.saturated, fit.x, fit.y, fit.half_box)
    for flag, where in (
        (Flag.SATURATED, n_saturated > 0),
        (Flag.BAD_PIXELS, fit.n_pixels + saturated_in_box < whole),
        (Flag.NEAR_EDGE, edge),
        (Flag.NOT_CONVERGED, ~fit.converged),
        (Flag.FEW_PIXELS, fit.n_pixels < 8),
        (Flag.EPSF_BORROWED, library.borrowed_near(fit.x, fit.y)),
    ):
        bits[where] |= int(flag)
    data = {
        "id": np.arange(n), "x": fit.x, "y": fit.y, "x_err": np.sqrt(fit.x_var), "y_err": np.sqrt(fit.y_var),
        "xy_cov": fit.xy_cov, "flux": flux, "flux_err": flux_err, "mag": mag, "mag_err": mag_err,
        "sky": fit.sky, "sky_err": fit.sky_err, "qfit": qfit, "radxs": radxs, "chi2": chi2,
        "n_pixels": fit.n_pixels, "n_saturated": n_saturated, "flags": bits,
        "radxs_err": radxs_err, "snr": fit.snr,
    }  # fmt: skip
    table = make_table(STAR_LIST, {**data, **columns})
    table["radxs_err"].description = "standard error of radxs from the errors of the pixels"
    table["snr"].description = "flux over its error from the errors of the pixels"
    return table


@in_range
def fit_stars(
    image: Image,
    library: EPSFLibrary,
    x: ArrayLike,
    y: ArrayLike,
    *,
    fit_box: int = 5,
    sky: Any = "annulus",
    sky_inner: float = 8.0,
    sky_outer: float = 12.0,
    saturation_radius: Any = None,
    sky_mesh: Any = None,
) -> Table:
    """Fit stars at given positions, each by itself (Methods §1, "Star fit").

    Weighted least squares on the box around each star for x, y and flux; weights are 1/err², pixels
    that are bad or saturated have none. The sky is the clipped mean of an annulus, read after all the stars
    given here were subtracted, or a fourth parameter of the fit. Errors come from the fit's covariance, the
    error of the annulus sky included.

    Parameters
    ----------
    image : `~jwst_hpastrom.epsf.image.Image`

    library : `~jwst_hpastrom.epsf.library.EPSFLibrary`
        Field positions on the full detector, as of all functions here.

    x, y : array-like, shape (n,)
        Starting positions, 0-based pixels, good to about half a pixel.

    fit_box : int
        Side of the fitted box, pixels, odd.

    sky : {"annulus", "fit"}
        Where the sky under a star comes from.

    sky_inner, sky_outer : float
        Radii of the annulus, pixels.

    saturation_radius : array-like, shape (n,), optional
        Radius of each star's saturated core; the box grows around it. Found from the image where not given.

    sky_mesh : `~jwst_hpastrom.epsf.detect.SkyMap`, optional
        Made where not given.

    Returns
    -------
    `~astropy.table.Table`
        Columns ``id`` (the index of the input) to ``flags`` of the star list, and ``radxs_err``. Stars that
        cannot be fitted have NaN fluxes and errors and the flag NOT_CONVERGED.

    Raises
    ------
    ParameterError
        Positions of different shapes, an even box, an annulus without width.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.epsf import EPSFLibrary, as_image, fit_stars
    >>> r2 = np.add.outer(np.arange(-40, 41) ** 2, np.arange(-40, 41) ** 2) / 16.0
    >>> library = EPSFLibrary(np.exp(-r2 / 2)[None] / (2 * np.pi), [20], [20])
    >>> y, x = np.mgrid[:40, :40]
    >>> pixels = 1e4 * library.evaluate(x - 20.3, y - 12.1, 20.0, 20.0)
    >>> stars = fit_stars(as_image(pixels, err=np.ones(x.shape)), library, [20.0], [12.0])
    >>> stars["x"].round(2).tolist(), stars["y"].round(2).tolist()
    ([20.3], [12.1])
    """
    x, y = _positions(x, y)
    half, library = check_fit_box(fit_box), image.local(library)
    image, charge = without_charge(image, library.brighter_fatter), image.charge
    pixels = Pixels.of(image)
    mesh = sky_map(image) if sky_mesh is None else sky_mesh
    radius = saturation_radii(pixels.saturated, x, y) if saturation_radius is None else saturation_radius
    under = _Sky(sky, sky_inner, sky_outer, mesh)
    pixels, fit, flags = _fit_twice(pixels, library, x, y, radius, half, under, charge)
    return image.stated(star_table(pixels, library, fit, flags=flags, box=half, outer=sky_outer))


class _Sky(NamedTuple):
    """Where the sky under a star comes from: "annulus" or "fit", the annulus's radii, the mesh's sky."""

    source: str
    inner: float
    outer: float
    mesh: Any


def _fit_twice(pixels, library, x, y, radius, half, sky, charge):
    """Fit with the mesh's sky; again with the annulus's, and with weights that the first residuals tell.

    Returns the pixels with these weights, the fit, and the flags of the stars that kept the mesh's sky.
    """
    halves = half_boxes(radius, half)
    level, scatter = sky.mesh.at(x, y)
    shift, free = 2.0 + np.asarray(radius).max(initial=0.0) * 0.5, {"fit_sky": sky.source == "fit"}
    fit = fit_positions(pixels, library, x, y, level, scatter / 8, halves, max_shift=shift, **free)
    residual = subtract(pixels, library, fit)
    back = sky.mesh.image(pixels.data.shape)
    undo_beside_lost(pixels.data, residual.data, pixels.weight, back, charge, library.brighter_fatter)
    pixels = learned_weights(pixels, residual.data, back)
    err, fallback = scatter / 8, np.zeros(x.size, bool)
    if sky.source == "annulus":
        radii = {"inner": sky.inner, "outer": sky.outer}
        level, err, fallback = local_sky(residual, fit.x, fit.y, sky.mesh, **radii)
    shares = model_error(pixels, residual.data, library, fit.x, fit.y, fit.flux, level)
    fit = fit_positions(pixels, library, fit.x, fit.y, level, err, halves, max_shift=shift, **free)
    fit = with_model_error(fit, pixels, residual.data, library, shares)
    return pixels, fit, np.where(fallback, int(Flag.SKY_FALLBACK), 0)


def _positions(x, y):
    """Return starting positions as arrays of one length, or raise `ParameterError`."""
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    if x.shape != y.shape or x.ndim != 1:
        raise ParameterError(f"positions of shapes {x.shape} and {y.shape}", "one-dimensional, equal ones")
    return x, y


def subtract(pixels, library, fit, *, radius=np.inf, sign=-1.0):
    """Return the pixels with every fitted star subtracted, out to ``radius`` pixels."""
    data = pixels.data.copy()
    add_models(data, library, fit.x, fit.y, np.where(fit.fitted, fit.flux, np.nan), sign, radius)
    return Pixels(data, pixels.weight, pixels.saturated)


def add_models(data, library, x, y, flux, sign, radius):
    """Add the stars' images to ``data`` in place, pixels without weight included."""
    render.add_many(
        data, *crowded.PSFGrid.of(library), x, y, flux, float(sign),
        np.array(np.broadcast_to(np.asarray(radius, float), x.shape)),
    )  # fmt: skip
