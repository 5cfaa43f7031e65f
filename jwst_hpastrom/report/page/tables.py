"""Tables as HTML: units, sensible digits, sorting."""

import html

import numpy as np

__all__ = ["table_html"]

#: rows that are shown of a table, at most
MOST_ROWS = 200
#: significant digits of a column's typical value
DIGITS = 4
#: decimals of an angle in degrees: 0.4 mas
DEGREES = 7


#: columns whose rows are of different things
MIXED = ("value", "error", "low", "high")


def _typical(column):
    """Median size of a column's numbers, those that are 0 aside; None without any."""
    size = np.abs(_numbers(column))
    size = size[np.isfinite(size) & (size > 0)]
    return float(np.median(size)) if size.size else None


def _numbers(column):
    return np.ma.filled(np.ma.asarray(getattr(column, "value", column)).astype(float), np.nan)


def _decimals(table, name):
    """Decimals of a column: the same in all rows, so that they can be compared."""
    column = table[name]
    if str(column.unit) == "deg" or name in ("ra", "dec"):
        return DEGREES
    if "epoch" in name:
        return 4
    error = f"{name}_error"
    if error in table.colnames and (size := _typical(table[error])):  # two digits of the error
        return int(np.clip(1 - np.floor(np.log10(size)), 0, 8))
    size = _typical(column)
    return 0 if size is None else int(np.clip(DIGITS - 1 - np.floor(np.log10(size)), 0, 8))


def _cells(table, name):
    """Texts and sorting keys of a column."""
    column = table[name]
    if column.dtype.kind != "f":
        for v in column:
            text = "" if np.ma.is_masked(v) else str(v)
            yield html.escape(text), html.escape(text, quote=True)
        return
    n = _decimals(table, name)
    for v in _numbers(column).tolist():
        if not np.isfinite(v):
            yield "", ""
        elif name in MIXED:
            yield f"{v:.{DIGITS + 1}g}", f"{v!r}"
        else:
            yield (f"{v:.{n}f}" if v == 0 or abs(v) >= 0.5 * 10.0**-n else f"{v:.1e}"), f"{v!r}"


def _head(name, column):
    unit = f'<span class="unit">{html.escape(str(column.unit))}</span>' if column.unit else ""
    title = html.escape(getattr(column, "description", None) or name, quote=True)
    return f'<th{_side(column)} title="{title}">{html.escape(name)}{unit}</th>'


def _side(column):
    """Class of a column of words, which begin at the left."""
    return ' class="words"' if column.dtype.kind in "OSU" else ""


def table_html(table, most=MOST_ROWS):
    """Return a table as HTML.

    Parameters
    ----------
    table : `~astropy.table.Table`

    most : int
        Rows at most; longer tables are cut, and say so.

    Returns
    -------
    str

    Examples
    --------
    >>> from astropy.table import Table
    >>> from jwst_hpastrom.report.page.tables import table_html
    >>> "0.01235</td>" in table_html(Table({"rms": [0.0123456]}))
    True
    """
    shown = table[:most]
    plain = [c for c in shown.colnames if len(shown[c].shape) == 1]
    head = "".join(_head(c, shown[c]) for c in plain)
    columns = [[f'<td{_side(shown[c])} data-v="{k}">{t}</td>' for t, k in _cells(shown, c)] for c in plain]
    rows = "".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True))
    body = f'<table class="data"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    rest = f"<p>… and {len(table) - most} more rows.</p>" if len(table) > most else ""
    return f'<div class="table">{body}</div>{rest}'
