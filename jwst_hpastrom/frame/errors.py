"""One error for each position of a master frame, from the empirical, the formal and the systematic one."""

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadCatalogError, ParameterError
from jwst_hpastrom.numerics import median_chi2

__all__ = ["combine_errors", "empirical_errors", "position_errors", "scatter_of_one"]

#: degrees of freedom that the formal error counts for
PRIOR_DOF = 4.0


def combine_errors(
    empirical: ArrayLike,
    formal: ArrayLike,
    n_used: ArrayLike,
    mag: ArrayLike,
    systematic: ArrayLike = 0.0,
    *,
    absorbed: bool = False,
) -> np.ndarray:
    """Standard error of means that have few measurements each.

    The RMS/√N of N measurements and of four imaginary ones, whose scatter is the formal error times the
    median ratio of the two at this magnitude, plus in quadrature what the measurements have in common. An
    RMS of three measurements is itself uncertain by half, and motions divided by such errors have no
    meaningful χ²; with many exposures it becomes the empirical one.

    Parameters
    ----------
    empirical, formal : ndarray, shape (n,)
        RMS/√N, and what the fits' errors propagate to; NaN where unknown.

    n_used : ndarray of int, shape (n,)
        N.

    mag : ndarray, shape (n,)

    systematic : float or ndarray
        Errors that do not fall with N.

    absorbed : bool
        The distortion correction may be made from these very measurements: it follows the noise of stars that
        are bright enough to have a say in it, and their measurements then agree better than they are good.
        The ratio at any magnitude is therefore not taken lower than that of the fainter half (or than one,
        where that is higher), and the scatter is enlarged with it.

    Returns
    -------
    ndarray, shape (n,)
        NaN where there is neither.

    Examples
    --------
    >>> from jwst_hpastrom.frame import combine_errors
    >>> combine_errors([0.01], [0.02], [5], [18.0]).round(4)
    array([0.0158])
    """
    empirical, formal, n = (np.asarray(a, float) for a in (empirical, formal, n_used))
    mag = np.asarray(mag, float)
    ratio = _ratio(mag, empirical, formal, n)
    if absorbed and np.isfinite(mag).any():
        faint = mag >= np.nanmedian(mag)
        ratio = np.broadcast_to(ratio, mag.shape)
        raised = np.maximum(ratio, min(float(np.median(ratio[faint])), 1.0))
        empirical = empirical * np.divide(raised, ratio, out=np.ones(mag.shape), where=ratio > 0)
        ratio = raised
    expected = formal * ratio
    dof = np.maximum(n - 1, 0)
    var = PRIOR_DOF * expected**2 + dof * np.where(dof > 0, empirical, 0.0) ** 2
    combined = np.sqrt(var / (PRIOR_DOF + dof))
    either = np.where(np.isfinite(empirical), empirical, formal)
    return np.hypot(np.where(np.isfinite(combined), combined, either), np.nan_to_num(systematic))


def empirical_errors(rms: ArrayLike, n_used: ArrayLike) -> np.ndarray:
    """Standard errors of means by the scatter alone: RMS/√N, wider by Student's distribution.

    Parameters
    ----------
    rms : ndarray, shape (..., n)
        Scatter of the measurements.

    n_used : ndarray of int, shape (n,)
        N.

    Returns
    -------
    ndarray, shape (..., n)
        NaN of fewer than four: the scatter of two or three may be nearly zero by chance.

    Examples
    --------
    >>> from jwst_hpastrom.frame.errors import empirical_errors
    >>> empirical_errors([0.01, 0.01, 0.01], [3, 4, 100]).round(5)
    array([    nan, 0.00866, 0.00101])
    """
    n = np.asarray(n_used, float)
    return np.asarray(rms, float) * np.sqrt((n - 1) / (n * np.where(n > 3, n - 3, np.nan)))


def scatter_of_one(table: Table, axis: str) -> np.ndarray:
    """Variance of a single measurement of each star of a master frame by their scatter, of three or more.

    Parameters
    ----------
    table : `~astropy.table.Table`

    axis : {'x', 'y'}

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.frame.errors import empirical_errors, scatter_of_one
    >>> table = Table({"x_rms": [0.01, 0.01], "n_used": [2, 4]})
    >>> table["x_err_empirical"] = empirical_errors(table["x_rms"], table["n_used"])
    >>> scatter_of_one(table, "x").round(6)
    array([   nan, 0.0001])
    """
    n, error, rms = (values(table, c) for c in ("n_used", f"{axis}_err_empirical", f"{axis}_rms"))
    # the error holds what ``mode=many`` raises the scatter by
    variance = (error / empirical_errors(1.0, n)) ** 2
    return np.where(np.isfinite(variance), variance, np.where(n > 2, rms**2, np.nan))


def position_errors(table: Table, kind: str = "combined") -> tuple[np.ndarray, ...]:
    """Standard errors of master positions.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Master frame: x_err, y_err, n_used, mag, optional x_err_formal, x_err_empirical and the same of y.

    kind : {'combined', 'empirical', 'formal'}
        'combined' is the table's own x_err; where the table has no x_err_empirical its x_err is that, and
        `combine_errors` makes the combined one. 'empirical' is that of `empirical_errors`, with the formal
        error where there is none.
        'formal' is the fits' own.

    Returns
    -------
    x_err, y_err : ndarray
        Master pixels; NaN where there is neither.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.frame import position_errors
    >>> table = Table({"mag": [18.0], "n_used": [4], "x_err": [0.01], "y_err": [0.02]})
    >>> table["x_err_formal"], table["y_err_formal"] = 0.005, 0.006
    >>> [e.tolist() for e in position_errors(table, "formal")]
    [[0.005], [0.006]]
    """
    if kind not in ("combined", "empirical", "formal"):
        raise ParameterError(f"errors={kind}", "combined, empirical or formal")
    missing = [c for c in ("x_err", "y_err", "n_used", "mag") if c not in table.colnames]
    if missing:
        raise BadCatalogError(f"no column {', '.join(missing)}", "a master frame", "run hp_master_frame")
    n = np.asarray(table["n_used"], float)
    out = []
    for axis in ("x", "y"):
        name = f"{axis}_err_empirical", f"{axis}_err_formal"
        total = np.asarray(table[f"{axis}_err"], float)
        empirical = np.asarray(table[name[0]], float) if name[0] in table.colnames else total
        formal = np.asarray(table[name[1]], float) if name[1] in table.colnames else np.full(n.size, np.nan)
        if kind == "formal":
            out.append(formal)
        elif kind == "combined" and name[0] in table.colnames:
            out.append(total)
        elif kind == "combined":
            out.append(combine_errors(total, formal, n, table["mag"]))
        else:
            out.append(np.where(np.isfinite(empirical) & (n > 1), empirical, formal))
    return tuple(out)


def _ratio(mag, empirical, formal, n, n_bin=200):
    """Median of empirical over formal error by magnitude, from stars with enough measurements."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = empirical / formal
    ok = np.flatnonzero(np.isfinite(ratio + mag) & (n >= 3))
    if ok.size < 20:
        return 1.0
    ok = ok[np.argsort(mag[ok], kind="stable")]
    # the median of a scatter with few degrees of freedom falls short of its root mean square
    value = ratio[ok] / np.sqrt(median_chi2(n[ok] - 1))
    parts = np.array_split(np.arange(ok.size), max(1, ok.size // n_bin))
    middle = np.array([np.median(mag[ok][p]) for p in parts])
    level = np.array([np.median(value[p]) for p in parts])
    return np.interp(mag, middle, level)
