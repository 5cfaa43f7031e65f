"""Numbers that stand for "unknown" in other catalogs become NaN, and the log says how many."""

import logging

import numpy as np

from jwst_hpastrom.columns import as_given

__all__ = ["clean_columns", "one_value", "stands_for_unknown"]

log = logging.getLogger("stpipe.hpastrom.io")

#: larger numbers are no measurement of anything
HUGE = 1e15
#: 99, 99.9, … 9999.99 and so on, of either sign
NINES = np.unique([float(f"{'9' * a}.{'9' * b}0") for a in (2, 3, 4, 5, 6) for b in range(5)])
SKY = ("ra", "dec")
TURNS = 720.0  # degrees: as far as right ascensions may count on
#: rows at least, share of all at least, and times the usual number that share a value which is no
#: measurement: measured numbers hardly ever agree, and rounded ones agree in all rows alike
ROWS, SHARE, TIMES = 5, 0.01, 5
#: share of the distinct values that tell that usual number, and how many there must be of these
USUAL, DISTINCT = 0.9, 20


def stands_for_unknown(v):
    """Whether numbers are 99, 99.9, 999 and so on, of either sign, or no measurement of anything by size."""
    with np.errstate(invalid="ignore"):
        return np.isin(np.round(np.abs(v), 6), NINES) | (np.abs(v) > HUGE)


def one_value(v):
    """Whether numbers are the one that far more rows have than any other: -1, 50 or whatever for unknown.

    Parameters
    ----------
    v : ndarray

    Returns
    -------
    ndarray of bool
        False of a number that half of the rows have, and where no number is measured: few differ.

    Examples
    --------
    >>> import numpy as np
    >>> from jwst_hpastrom.io.tables.sentinels import one_value
    >>> x = np.arange(100) * 20.48
    >>> x[::10] = -1.0
    >>> [int(one_value(v).sum()) for v in (x, np.round(x, -3))]
    [10, 0]
    """
    found, row, number = np.unique(v, return_inverse=True, return_counts=True, equal_nan=True)
    known = np.isfinite(found)
    if known.sum() < DISTINCT:
        return np.zeros(v.size, bool)
    least = max(ROWS, SHARE * v.size, TIMES * np.quantile(number[known], USUAL))
    return (known & (number >= least) & (number < 0.5 * v.size))[row]


def clean_columns(table, path):
    """Set unknown values of a standard table to NaN in place.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Columns as `~jwst_hpastrom.io.names.CATALOG_NAMES` or ``LIST_NAMES``: positions, motions, magnitudes,
        and their errors, which are unknown where they are not positive.

    path : path-like
        For the log.
    """
    has = set(table.colnames)
    is_error = {c for c in has if c.endswith(("_error", "_err")) and c.split("_")[0] in _QUANTITIES}
    bad = {c: np.zeros(len(table), bool) for c in has & _QUANTITIES | is_error}
    with np.errstate(invalid="ignore"):
        for name, marked in bad.items():
            v = as_given(table, name)
            marked |= np.isinf(v) | (np.abs(v) > HUGE)
            if name in is_error:
                marked |= (v <= 0) | stands_for_unknown(v)
            elif name in ("pmra", "pmdec", "parallax"):
                marked |= stands_for_unknown(v)
            elif name == "mag":
                marked |= stands_for_unknown(v) | (np.abs(v) > 90) | one_value(v)
            else:
                marked |= one_value(v)
        if "ra" in has:
            _turn_back(table, path)
        for a, b in (SKY, ("x", "y"), ("pmra", "pmdec")):
            if not {a, b} <= has:
                continue
            u, v = as_given(table, a), as_given(table, b)
            both = (u == v) & stands_for_unknown(u)
            if a == "ra":
                both |= ~((np.abs(v) <= 90) & (u >= -180) & (u <= 360)) & np.isfinite(u + v)
            zero = (u == 0) & (v == 0)
            if a == "pmra":  # no motion at all is no measurement, unless a catalog says so of all stars
                stated = np.all([as_given(table, f"{n}_error") > 0 for n in (a, b)], axis=0)
                both |= zero & (~stated | (np.mean(zero) < 0.5))
            elif np.mean(zero) < 0.5:
                both |= zero
            # one half of a pair is no use
            both |= bad[a] | bad[b]
            bad[a] |= both
            bad[b] |= both
    counts = {}
    for name, marked in bad.items():
        new = marked & ~np.isnan(as_given(table, name))
        if new.any():
            column = as_given(table, name)
            column[new] = np.nan
            unit = table[name].unit
            table[name] = column
            table[name].unit = unit
            counts[name] = int(new.sum())
    if counts:
        text = ", ".join(f"{name} of {n}" for name, n in counts.items())
        log.warning("%s: values that stand for unknown, or cannot be, were left out: %s rows", path, text)


def _turn_back(table, path):
    """Bring right ascensions that count on beyond a turn to 0 to 360 degrees."""
    u = as_given(table, "ra")
    turned = ((u < -180) | (u > 360)) & (np.abs(u) <= TURNS)
    if turned.any():
        table["ra"][turned] = u[turned] % 360.0
        log.warning("%s: ra beyond a turn brought to 0 to 360 degrees: %d rows", path, turned.sum())


_QUANTITIES = {"ra", "dec", "pmra", "pmdec", "parallax", "mag", "x", "y"}
