"""Star lists to and from photutils' tables, and fluxes in Jy and AB magnitudes."""

from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from numpy.typing import ArrayLike
from photutils.psf.flags import PSF_FLAGS

from jwst_hpastrom.columns import STAR_LIST, Flag, as_given, make_table, values
from jwst_hpastrom.errors import BadCatalogError, ParameterError

__all__ = ["ab_magnitudes", "from_photutils", "to_init_params", "to_photutils"]

AB_ZERO_JY = 3631.0  # flux density of AB magnitude 0 (Oke & Gunn 1983)

# photutils' flags that mean something else than that the fit did not converge
OTHERS = {
    "n_pixels_fit_partial": Flag.BAD_PIXELS,
    "outside_bounds": Flag.NEAR_EDGE,
    "too_few_pixels": Flag.FEW_PIXELS,
    "non_finite_localbkg": Flag.SKY_FALLBACK,
}
FLAGS = {d.bit_value: OTHERS.get(d.name, Flag.NOT_CONVERGED) for d in PSF_FLAGS.FLAG_DEFINITIONS}
# star list -> results of PSFPhotometry
RESULTS = {
    "x": "x_fit", "y": "y_fit", "flux": "flux_fit", "x_err": "x_err", "y_err": "y_err",
    "flux_err": "flux_err", "sky": "local_bkg", "qfit": "qfit", "n_pixels": "n_pixels_fit",
    "chi2": "reduced_chi2",
}  # fmt: skip
NEEDED = ("x_fit", "y_fit", "flux_fit")


def to_init_params(stars: Table, *, units: Any = None) -> QTable:
    """Turn a star list into ``init_params`` of `~photutils.psf.PSFPhotometry`.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        Star list, of Table or QTable; x, y and flux are enough.

    units : bool
        Keep the units of flux and sky, as `~photutils.psf.PSFPhotometry` needs them for an image with units;
        without, plain numbers for an image that is an array. By default they are kept where the columns are
        quantities (a QTable's).

    Returns
    -------
    `~astropy.table.QTable`
        Columns id (from 1, as photutils wants it), x_init, y_init, flux_init, local_bkg.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.epsf import to_init_params
    >>> stars = Table({"id": [1], "x": [20.3], "y": [12.1], "flux": [1e4], "sky": [0.5]})
    >>> to_init_params(stars).colnames
    ['id', 'x_init', 'y_init', 'flux_init', 'local_bkg']
    """
    if missing := [n for n in ("x", "y", "flux") if n not in stars.colnames]:
        raise BadCatalogError(f"no column {', '.join(missing)}", "a star list with x, y and flux")
    out = QTable()
    out["id"] = (np.asarray(stars["id"], int) if "id" in stars.colnames else np.arange(len(stars))) + 1
    if units is None:
        units = isinstance(stars["flux"], u.Quantity)
    for name, new in (("x", "x_init"), ("y", "y_init"), ("flux", "flux_init"), ("sky", "local_bkg")):
        if name not in stars.colnames:
            continue
        unit = stars[name].unit if units and name in ("flux", "sky") else None
        out[new] = values(stars, name) if unit is None else u.Quantity(values(stars, name), unit)
    out.meta.update(stars.meta)
    return out


def to_photutils(stars: Table) -> QTable:
    """Turn a star list into a table with the result columns of `~photutils.psf.PSFPhotometry`.

    Parameters
    ----------
    stars : `~astropy.table.Table`
        Star list.

    Returns
    -------
    `~astropy.table.QTable`
        Columns id, x_fit, y_fit, flux_fit, their errors, local_bkg, qfit, n_pixels_fit, reduced_chi2 and
        ``flags`` in photutils' bits; the star list's own bits are in ``hpastrom_flags``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.columns import STAR_LIST, make_table
    >>> from jwst_hpastrom.epsf import to_photutils
    >>> stars = make_table(STAR_LIST, {"id": [1], "x": [20.3], "y": [12.1], "flux": [1e4], "flags": [0]})
    >>> to_photutils(stars).colnames
    ['id', 'x_fit', 'y_fit', 'flux_fit', 'flags', 'hpastrom_flags']
    """
    if missing := [n for n in ("id", "flags") if n not in stars.colnames]:
        raise BadCatalogError(f"no column {', '.join(missing)}", "a star list, as of measure_stars")
    out = QTable()
    out["id"] = np.asarray(stars["id"], int) + 1
    for ours, theirs in RESULTS.items():
        if ours in stars.colnames:
            out[theirs] = np.asarray(stars[ours])
    own = np.asarray(stars["flags"], np.int64)
    flags = np.zeros(len(stars), int)
    for theirs, ours in (
        (1, Flag.BAD_PIXELS | Flag.SATURATED),
        (8, Flag.NOT_CONVERGED),
        (256, Flag.FEW_PIXELS),
    ):
        flags[(own & int(ours)) > 0] |= theirs
    out["flags"], out["hpastrom_flags"] = flags, own
    return out


def from_photutils(results: Table) -> Table:
    """Turn a results table of `~photutils.psf.PSFPhotometry` into a star list.

    Parameters
    ----------
    results : `~astropy.table.Table`
        With columns x_fit, y_fit, flux_fit; those it lacks are left out. photutils gives no covariance of x
        and y: xy_cov is 0.

    Returns
    -------
    `~astropy.table.Table`
        Star list; flags translated to `~jwst_hpastrom.columns.Flag`.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.epsf import from_photutils
    >>> results = Table({"id": [1], "x_fit": [20.3], "y_fit": [12.1], "flux_fit": [1e4]})
    >>> from_photutils(results)["x", "y", "mag"].as_array().tolist()
    [(20.3, 12.1, -10.0)]
    """
    missing = [c for c in NEEDED if c not in results.colnames]
    if missing:
        raise BadCatalogError(f"no column {', '.join(missing)}", "a results table of PSFPhotometry")
    data = {ours: as_given(results, theirs) for ours, theirs in RESULTS.items() if theirs in results.colnames}
    n = len(results)
    flux = np.asarray(data["flux"], float)
    data["id"] = np.asarray(results["id"], int) - 1 if "id" in results.colnames else np.arange(n)
    with np.errstate(invalid="ignore", divide="ignore"):
        data["mag"] = np.where(flux > 0, -2.5 * np.log10(np.abs(flux)), np.nan)
        if "flux_err" in data:
            data["mag_err"] = 2.5 / np.log(10) * data["flux_err"] / np.abs(flux)
    data["xy_cov"] = np.zeros(n)
    data["flags"] = np.zeros(n, np.int64)
    if "flags" in results.colnames:
        theirs = np.asarray(results["flags"], int)
        for bit, flag in FLAGS.items():
            data["flags"][(theirs & bit) > 0] |= int(flag)
    table = make_table(STAR_LIST, data, results.meta)
    for name in ("flux", "flux_err", "sky"):
        if name in data and results[RESULTS[name]].unit is not None:
            table[name].unit = results[RESULTS[name]].unit
    return table


def ab_magnitudes(
    flux: ArrayLike, pixel_area_sr: float, flux_err: ArrayLike | None = None
) -> tuple[np.ndarray, ...]:
    """Turn fluxes of a star list into Jy and AB magnitudes.

    Parameters
    ----------
    flux : array-like
        Sum of surface brightness over pixels: the column ``flux``; in MJy/sr where no unit is stated.

    pixel_area_sr : float
        Pixel area (keyword PIXAR_SR, ``meta["pixel_area_sr"]`` of a star list), sr.

    flux_err : array-like, optional
        Its standard error.

    Returns
    -------
    jy, mag : ndarray
        Flux density in Jy within the ePSF's normalization radius of 5 pixels (no aperture correction to
        infinity is made), and AB magnitude; NaN where the flux is not positive.

    jy_err, mag_err : ndarray
        Their errors, where ``flux_err`` is given.

    Examples
    --------
    >>> from jwst_hpastrom.epsf import ab_magnitudes
    >>> jy, mag = ab_magnitudes([100.0], pixel_area_sr=1e-13)
    >>> jy, mag.round(3)
    (array([1.e-05]), array([21.4]))
    """
    flux, pixel_area_sr = _plain(flux, "MJy/sr"), float(_plain(pixel_area_sr, "sr"))
    jy = flux * 1e6 * pixel_area_sr
    with np.errstate(invalid="ignore", divide="ignore"):
        mag = np.where(jy > 0, -2.5 * np.log10(np.abs(jy) / AB_ZERO_JY), np.nan)
        if flux_err is None:
            return jy, mag
        flux_err = _plain(flux_err, "MJy/sr")
        return jy, mag, flux_err * 1e6 * pixel_area_sr, 2.5 / np.log(10) * flux_err / np.abs(flux)


def _plain(given, unit):
    """Numbers in a unit; NaN where masked."""
    if hasattr(given, "colnames"):
        raise ParameterError("a table", "its column", 'give stars["flux"]')
    own = getattr(given, "unit", None)
    found = np.ma.filled(np.ma.asarray(getattr(given, "value", given)).astype(float), np.nan)
    try:
        return found if own is None else found * own.to(unit)
    except ValueError as err:
        raise ParameterError(f"numbers in {own}", f"in {unit}") from err
