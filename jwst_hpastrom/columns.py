"""Every catalog column and flag, once: name, unit, type, description."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
from astropy.table import Column as TableColumn
from astropy.table import Table
from astropy.units import Unit
from numpy.typing import ArrayLike

from jwst_hpastrom.errors import BadCatalogError

__all__ = [
    "AVERAGED", "BRIGHT", "MASTER", "MOTION", "STAR_LIST", "Column", "Flag", "as_given", "describe_flags",
    "epoch_of", "epsf_cause", "make_table", "parse_columns", "row_epochs", "values",
]  # fmt: skip


#: instrumental magnitudes of the best measured stars: fainter than NIRISS's and NIRCam's saturation, and with
#: photon noise below 0.01 pixel (L23 quotes its precision there)
BRIGHT = (-6.5, -5.0)


class Flag(IntFlag):
    """Bits of the ``flags`` column of every product.

    Examples
    --------
    >>> from jwst_hpastrom.columns import Flag
    >>> flags = 5
    >>> bool(flags & Flag.SATURATED), bool(flags & Flag.CROWDED)
    (True, False)
    """

    SATURATED = 1  # saturated pixels near the center; fitted on the others
    BAD_PIXELS = 2  # pixels without weight inside the fitted box
    NEAR_EDGE = 4  # the fitted box or the sky annulus leaves the detector
    CROWDED = 8  # a comparable or brighter star within the isolation radius
    NOT_CONVERGED = 16  # the fit stopped before it converged
    FEW_PIXELS = 32  # hardly more pixels than parameters
    SKY_FALLBACK = 64  # too few sky pixels: the image's own sky level was used
    SUBTRACTED = 128  # neighbors were subtracted before the fit
    EPSF_BORROWED = 256  # the ePSF here was borrowed from neighboring positions
    COSMIC_RAY = 512  # a cosmic ray or hot pixel: RADXS, sharper than any sum of stars, or fixed to pixels
    EXTENDED = 1024  # looks extended (RADXS)
    CLIPPED = 2048  # some measurements were clipped from the average
    FEW_EXPOSURES = 4096  # fewer exposures than asked for
    REFERENCE = 8192  # took part in a transformation as reference star
    LOCAL_TRANSFORM = 16384  # a local transformation was used
    REJECTED_EPOCHS = 32768  # epochs were rejected as outliers
    LINEAR_FIT = 65536  # too few epochs for a choice of model: weighted straight line
    BAD_ERRORS = 131072  # zero or non-finite errors in the input; those epochs were left out
    ONE_TIME = 262144  # all its epochs are one time, two filters of a night say: no motion
    QUALITY_CUT = 524288  # fails the catalog cuts
    INCONSISTENT = 1048576  # its three or four epochs are not on a line within their errors
    FAST = 2097152  # found by the second search, for stars that move too fast for the first
    SYSTEMATIC_LIMIT = (
        8388608  # its error is mostly a limit, or has nothing, of systematics that are not told
    )
    AMBIGUOUS = 4194304  # its motion depends on which measurements are good, or its own: not known
    UNCHECKED = 16777216  # no epoch to spare, or it hangs on one: a wrong measurement would not show


def describe_flags(value: int) -> list[str]:
    """Return the names of the bits set in ``value``.

    Parameters
    ----------
    value : int
        One entry of a ``flags`` column.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from jwst_hpastrom.columns import describe_flags
    >>> describe_flags(5)
    ['SATURATED', 'NEAR_EDGE']
    """
    return [str(flag.name) for flag in Flag if int(value) & flag]


@dataclass(frozen=True)
class Column:
    """Definition of one catalog column."""

    name: str
    unit: str
    dtype: str
    description: str


def parse_columns(text: str) -> "tuple[Column, ...]":
    """Return the columns of lines ``name | unit | type | description``.

    Examples
    --------
    >>> from jwst_hpastrom.columns import parse_columns
    >>> parse_columns("x | pix | f8 | raw x")
    (Column(name='x', unit='pix', dtype='f8', description='raw x'),)
    """
    rows = (line.split("|") for line in text.strip().splitlines())
    return tuple(Column(*(cell.strip() for cell in row)) for row in rows)


#: columns of star lists
STAR_LIST = parse_columns("""
    id          |           | i8 | running number in this list
    x           | pix       | f8 | raw x, 0-based, pixel centers on integers, science orientation
    y           | pix       | f8 | raw y, 0-based
    x_err       | pix       | f8 | standard error of x from the fit's covariance
    y_err       | pix       | f8 | standard error of y from the fit's covariance
    xy_cov      | pix2      | f8 | covariance of x and y
    flux        | MJy/sr    | f8 | total surface brightness under the ePSF, summed over pixels
    flux_err    | MJy/sr    | f8 | standard error of flux
    mag         | mag       | f8 | instrumental magnitude, -2.5 log10(flux)
    mag_err     | mag       | f8 | standard error of mag
    sky         | MJy/sr    | f8 | sky under the star
    sky_err     | MJy/sr    | f8 | standard error of the sky
    qfit        |           | f8 | sum of absolute residuals over the fitted pixels divided by the flux
    radxs       |           | f8 | residual flux in 1 < r <= 2.5 pix divided by the flux
    chi2        |           | f8 | chi-square of the fitted pixels per degree of freedom
    n_pixels    |           | i4 | pixels with weight in the fit
    n_saturated |           | i4 | saturated pixels in the fitted box
    flags       |           | i8 | bits of jwst_hpastrom.columns.Flag
    ra          | deg       | f8 | right ascension through the exposure's WCS
    dec         | deg       | f8 | declination through the exposure's WCS
    x_corr      | pix       | f8 | distortion-corrected x on the full detector (computed on reading)
    y_corr      | pix       | f8 | distortion-corrected y on the full detector (computed on reading)
""")

#: columns of master frames
MASTER = parse_columns("""
    id     |        | i8 | running number
    x      | pix    | f8 | master-frame x, towards the West
    y      | pix    | f8 | master-frame y, towards the North
    xi     | arcsec | f8 | tangent-plane coordinate towards the East
    eta    | arcsec | f8 | tangent-plane coordinate towards the North
    ra     | deg    | f8 | right ascension
    dec    | deg    | f8 | declination
    x_rms  | pix    | f8 | scatter of the single measurements about the mean, in master pixels
    y_rms  | pix    | f8 | scatter of the single measurements about the mean, in master pixels
    x_err  | pix    | f8 | standard error of x in the frame, the systematic one in quadrature
    y_err  | pix    | f8 | standard error of y in the frame, the systematic one in quadrature
    x_err_empirical | pix | f8 | x_rms / sqrt(n_used), wider by Student's distribution; NaN of fewer than four
    y_err_empirical | pix | f8 | y_rms / sqrt(n_used), wider by Student's distribution; NaN of fewer than four
    x_err_formal | pix | f8 | standard error of x propagated from the fits
    y_err_formal | pix | f8 | standard error of y propagated from the fits
    x_err_systematic | pix | f8 | error of x that the measurements share: distortion, ePSF, other stars' light
    y_err_systematic | pix | f8 | error of y that the measurements share: distortion, ePSF, other stars' light
    x_err_tie | pix | f8 | error of x by place, scale and turn of the frame, of tie or pointing; not in x_err
    y_err_tie | pix | f8 | error of y by place, scale and turn of the frame, of tie or pointing; not in y_err
    mag    | mag    | f8 | mean instrumental magnitude on the zero point of the central exposure
    mag_rms | mag   | f8 | scatter of the single magnitudes
    mag_err | mag   | f8 | standard error of mag
    qfit   |        | f8 | mean QFIT
    radxs  |        | f8 | mean RADXS
    n_found |       | i4 | exposures in which the star was found
    n_used |        | i4 | exposures used in the position
    flags  |        | i8 | bits of jwst_hpastrom.columns.Flag
""")

#: columns of star lists whose plain means over a star's measurements the master frame has
AVERAGED = ("qfit", "radxs")

#: columns of proper motions
MOTION = parse_columns("""
    id           |          | i8 | running number
    ra           | deg      | f8 | right ascension at ref_epoch
    dec          | deg      | f8 | declination at ref_epoch
    ra_error     | mas      | f8 | standard error of ra cos(dec)
    dec_error    | mas      | f8 | standard error of dec
    ref_epoch    | yr       | f8 | reference epoch, Julian year
    pmra         | mas / yr | f8 | proper motion in right ascension, times cos(dec)
    pmdec        | mas / yr | f8 | proper motion in declination
    pmra_error   | mas / yr | f8 | standard error of pmra
    pmdec_error  | mas / yr | f8 | standard error of pmdec
    pmra_error_systematic | mas / yr | f8 | part of pmra_error that neighboring stars may share
    pmdec_error_systematic | mas / yr | f8 | part of pmdec_error that neighboring stars may share
    pmra_pmdec_corr |       | f8 | correlation of pmra and pmdec
    ra_error_total    | mas      | f8 | ra_error with the frame's own error, which all stars share
    dec_error_total   | mas      | f8 | dec_error with the frame's own error
    pmra_error_total  | mas / yr | f8 | pmra_error with the frame's own error
    pmdec_error_total | mas / yr | f8 | pmdec_error with the frame's own error
    mag          | mag      | f8 | mean magnitude
    pmra_rel     | mas / yr | f8 | pmra relative to the reference stars
    pmdec_rel    | mas / yr | f8 | pmdec relative to the reference stars
    model        |          | i4 | code of the kinematic model
    elpd         |          | f8 | expected log predictive density of the chosen model
    chi2_loo_ra  |          | f8 | leave-one-out chi-square per epoch in right ascension
    chi2_loo_dec |          | f8 | leave-one-out chi-square per epoch in declination
    n_epochs     |          | i4 | epochs used
    n_rejected   |          | i4 | epochs rejected as outliers
    parallax     | mas      | f8 | parallax
    parallax_error | mas    | f8 | standard error of the parallax
    flags        |          | i8 | bits of jwst_hpastrom.columns.Flag
""")

#: units of what lies on the sky, in whatever table
SKY_UNITS = {c.name: Unit(c.unit) for c in MOTION if re.fullmatch("(ra|dec|pmra|pmdec)(_error)?", c.name)}


def make_table(
    schema: tuple[Column, ...], data: Mapping[str, Any], meta: Mapping[str, Any] | None = None
) -> Table:
    """Build a table whose columns follow a schema of this module.

    Parameters
    ----------
    schema : tuple of `Column`
        `STAR_LIST`, `MASTER` or `MOTION`.

    data : mapping of str to array-like
        Columns by name. Names outside the schema come after those in it, as they are.

    meta : mapping, optional
        Metadata of the table.

    Returns
    -------
    `~astropy.table.Table`
        The schema's columns that are in ``data``, in the schema's order, with units and descriptions.

    Examples
    --------
    >>> from jwst_hpastrom.columns import STAR_LIST, make_table
    >>> table = make_table(STAR_LIST, {"y": [2.0], "x": [1.0], "note": ["mine"]})
    >>> table.colnames, str(table["x"].unit)
    (['x', 'y', 'note'], 'pix')
    """
    known = {c.name: c for c in schema}
    columns = []
    for c in schema:
        if c.name in data:
            values = np.asarray(data[c.name], dtype=c.dtype)
            columns.append(TableColumn(values, name=c.name, unit=c.unit or None, description=c.description))
    columns += [
        values if isinstance(values, TableColumn) else TableColumn(np.asarray(values), name=name)
        for name, values in data.items()
        if name not in known
    ]
    return Table(columns, meta=dict(meta or {}))


def as_given(table: Table, name: str, default: float = np.nan) -> np.ndarray:
    """Return a column as plain numbers of whatever unit it has; NaN where masked.

    Parameters
    ----------
    table, name, default
        As of `values`.

    Returns
    -------
    ndarray of float

    Examples
    --------
    >>> from astropy.table import Column, Table
    >>> from jwst_hpastrom.columns import as_given, values
    >>> table = Table({"ra_error": Column([0.5], unit="arcsec")})
    >>> as_given(table, "ra_error"), values(table, "ra_error")
    (array([0.5]), array([500.]))
    """
    if name not in table.colnames:
        return np.full(len(table), default)
    column = getattr(table[name], "value", table[name])
    if hasattr(column, "unmasked"):  # a masked quantity's mask is unknown to numpy
        column = np.ma.array(column.unmasked, mask=column.mask)
    return np.ma.filled(np.ma.asarray(column).astype(float), np.nan)


def values(table: Table, name: str, default: float = np.nan) -> np.ndarray:
    """Return a column as plain numbers.

    Parameters
    ----------
    table : `~astropy.table.Table`

    name : str

    default : float
        Of all rows, where the table has no such column.

    Returns
    -------
    ndarray of float
        NaN where masked. Positions, motions and their errors are in degrees, mas and mas/yr, whatever other
        unit the column has.

    Raises
    ------
    BadCatalogError
        No numbers, or positions or motions in a unit of something else.

    Examples
    --------
    >>> from astropy.table import MaskedColumn, Table
    >>> from jwst_hpastrom.columns import values
    >>> table = Table({"mag": MaskedColumn([18.0, 19.0], mask=[False, True])})
    >>> values(table, "mag"), values(table, "color")
    (array([18., nan]), array([nan, nan]))
    """
    try:
        out = as_given(table, name, default)
    except (TypeError, ValueError) as err:
        raise BadCatalogError(f"column {name} ({err})", "numbers") from err
    unit = getattr(table[name], "unit", None) if name in table.colnames else None
    if name in SKY_UNITS and unit and unit != SKY_UNITS[name]:
        try:
            out = out * unit.to(SKY_UNITS[name])
        except ValueError as err:  # of something else, or no unit at all
            raise BadCatalogError(f"{name} in {unit}", f"a unit such as {SKY_UNITS[name]}") from err
    return out


#: median QFIT of stars with S/N above 100 that no fitting ePSF gives
BAD_QFIT = 0.06
SKY_NOISE = 0.6, 1.8  # scatter of starless pixels over their errors: 1/f noise and faint stars are in it


def epsf_cause(mag: ArrayLike, qfit: ArrayLike) -> str:
    """Say that the ePSF does not fit, where the QFIT of the brighter stars is that of no good fit.

    Parameters
    ----------
    mag, qfit : array-like

    Returns
    -------
    str
        For `~jwst_hpastrom.errors.HPAstromError.because`; empty where the ePSF fits or nothing is known.
    """
    mag, qfit = np.asarray(mag, float), np.asarray(qfit, float)
    known = np.isfinite(mag + qfit)
    if known.sum() < 10:
        return ""
    typical = float(np.median(qfit[known & (mag <= np.quantile(mag[known], 0.25))]))
    if typical <= 2 * BAD_QFIT:  # these may be fainter
        return ""
    return (
        f"the ePSF does not fit these stars (median QFIT of the brighter ones {typical:.2f}): wrong filter, "
        "detector or epoch?"
    )


#: before and after any epoch: offsets are, MJDs, and Julian dates
YEARS = 1500, 2500
A_YEAR = ("a Julian year, such as 2022.5", "jwst_hpastrom.read_catalog(table) understands dates and days")


def epoch_of(table: Table, name: str = "table") -> float:
    """Return a table's epoch, metadata ``epoch``, as Julian year; NaN where there is none.

    Raises
    ------
    BadCatalogError
        No year: a date, say, or an MJD.
    """
    stated = table.meta.get("epoch")
    try:
        year = np.nan if stated is None else float(getattr(stated, "jyear", stated))
    except (TypeError, ValueError):
        year = np.inf
    if not (np.isnan(year) or YEARS[0] < year < YEARS[1]):
        raise BadCatalogError(f"epoch {stated}", *A_YEAR, table.meta.get("catalog") or name)
    return year


def row_epochs(table: Table) -> np.ndarray:
    """Return the epoch of each row's position.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Column ``ref_epoch``, else metadata ``epoch`` (Julian years).

    Returns
    -------
    ndarray of float
        NaN where unknown.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.columns import row_epochs
    >>> row_epochs(Table({"ra": [10.0, 10.1]}, meta={"epoch": 2006.4}))
    array([2006.4, 2006.4])
    """
    common = epoch_of(table)
    found = values(table, "ref_epoch", common)
    if (no_year := (found <= YEARS[0]) | (found >= YEARS[1])).any():
        raise BadCatalogError(f"ref_epoch {found[no_year][0]}", *A_YEAR)
    return np.where(np.isfinite(found), found, common)
