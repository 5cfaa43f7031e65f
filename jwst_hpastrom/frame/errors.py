"""One error for each position of a master frame, from the empirical and the formal one."""

import numpy as np

from jwst_hpastrom.errors import ParameterError

__all__ = ["position_errors"]

#: degrees of freedom that the formal error counts for
PRIOR_DOF = 4.0


def position_errors(table, kind="combined"):
    """Standard errors of master positions.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Master frame: x_err, y_err, x_err_formal, y_err_formal, n_used, mag.

    kind : {'combined', 'empirical', 'formal'}
        'empirical' is RMS/√N, with the formal error where N = 1. 'formal' is the fits' own. 'combined' is the
        RMS/√N of N measurements and of four imaginary ones, whose scatter is the formal error times the
        median ratio of the two at this magnitude: an RMS of three measurements is itself uncertain by half,
        and motions divided by such errors have no meaningful χ². With many exposures it becomes the
        empirical one.

    Returns
    -------
    x_err, y_err : ndarray
        Master pixels; NaN where there is neither.
    """
    if kind not in ("combined", "empirical", "formal"):
        raise ParameterError(f"errors={kind}", "combined, empirical or formal")
    n = np.asarray(table["n_used"], float)
    out = []
    for axis in ("x", "y"):
        empirical = np.asarray(table[f"{axis}_err"], float)
        formal = (
            np.asarray(table[f"{axis}_err_formal"], float)
            if f"{axis}_err_formal" in table.colnames
            else np.full(n.size, np.nan)
        )
        if kind == "formal":
            out.append(formal)
        elif kind == "empirical":
            out.append(np.where(np.isfinite(empirical) & (n > 1), empirical, formal))
        else:
            expected = formal * _ratio(np.asarray(table["mag"], float), empirical, formal, n)
            dof = np.maximum(n - 1, 0)
            var = PRIOR_DOF * expected**2 + dof * np.where(dof > 0, empirical, 0.0) ** 2
            combined = np.sqrt(var / (PRIOR_DOF + dof))
            either = np.where(np.isfinite(empirical), empirical, formal)
            out.append(np.where(np.isfinite(combined), combined, either))
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
    dof = n[ok] - 1
    value = ratio[ok] / np.sqrt((1 - 2 / (9 * dof)) ** 3)
    parts = np.array_split(np.arange(ok.size), max(1, ok.size // n_bin))
    middle = np.array([np.median(mag[ok][p]) for p in parts])
    level = np.array([np.median(value[p]) for p in parts])
    return np.interp(mag, middle, level)
