"""ECSV of plain columns, written and read without a Python call for each value; other tables are astropy's.

What is written is what astropy writes, byte for byte, and what is read is what astropy reads.
"""

import io
import re

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from jwst_hpastrom.io.files.arrow_columns import columns_of, lines_of, texts_of

__all__ = ["plain_ecsv", "read_plain_ecsv"]

#: texts that stand in a row without quotes
_WORDS = re.compile(r"[\w.:+/-]+")
_NUMBERS = "biuf"
#: kinds of columns that are read here
_READ = ("f8", "i1", "i2", "i4", "i8", "b1", "U1")


def plain_ecsv(table):
    """Return a table as ECSV.

    Parameters
    ----------
    table : `~astropy.table.Table`

    Returns
    -------
    bytes or None
        None where a column has several values in a row, units of its own, or texts to be quoted.

    Examples
    --------
    >>> from astropy.table import Table
    >>> plain_ecsv(Table({"x": [1.5, 2.5]})).splitlines()[-2:]
    [b'1.5', b'2.5']
    """
    if not table.colnames:
        return None
    columns = []
    for column in table.columns.values():
        texts = _texts(column, len(table) * len(table.colnames))
        if texts is None:
            return None
        columns.append(texts)
    head = io.StringIO()
    table[:0].write(head, format="ascii.ecsv")
    return head.getvalue().encode() + lines_of(columns)


def _texts(column, size):
    if type(column) not in (Column, MaskedColumn) or column.ndim != 1:
        return None
    if type(column) is MaskedColumn and column.info.serialize_method["ecsv"] != "null_value":
        return None
    data = np.ma.getdata(column)
    if column.dtype.kind == "U":
        texts = data.tolist()
        if not all(map(_WORDS.fullmatch, texts)):
            return None
    elif column.dtype.kind not in _NUMBERS:
        return None
    elif column.dtype.kind == "f" and column.dtype.itemsize != 8:
        texts = [str(v) for v in np.asarray(data)]  # the shortest that is that number in its own precision
    else:
        texts = texts_of(np.asarray(data), 0 if np.ma.is_masked(column) else size)
    for k in np.flatnonzero(np.ma.getmaskarray(column)) if type(column) is MaskedColumn else ():
        texts[k] = '""'
    return texts


def read_plain_ecsv(content):
    """Read ECSV of plain columns.

    Parameters
    ----------
    content : bytes
        Of a whole file.

    Returns
    -------
    `~astropy.table.Table` or None
        None where something is masked, quoted, commented, or not as it was written: astropy then reads it,
        or says what is wrong.

    Examples
    --------
    >>> from astropy.table import Table
    >>> read_plain_ecsv(plain_ecsv(Table({"x": [1.5, 2.5]})))["x"].tolist()
    [1.5, 2.5]
    """
    found = re.match(rb"(?:#[^\r\n]*\n)+([^\r\n#]+)\n", content)
    if found is None:
        return None
    body = content[found.end() :]
    if any(sign in body for sign in (b'"', b"#", b"\t", b"\r", b"\v", b"\f", b"\\")) or not body.isascii():
        return None
    try:
        head = Table.read(found[0].decode().splitlines(), format="ascii.ecsv")
    except ValueError:  # several values in a row, which none has the shape of
        return None
    names = found[1].decode().split(" ")
    plain = all(type(c) is Column and c.ndim == 1 and c.dtype.str[1:] in _READ for c in head.columns.values())
    if not plain or names != head.colnames:
        return None
    columns = columns_of(body, names, [head[name].dtype for name in names]) or _columns(body, head)
    if columns is None:
        return None
    columns = [_like(head[name], column) for name, column in zip(names, columns, strict=True)]
    return Table(columns, meta=head.meta, copy=False)


def _columns(body, head):
    """Return values of all columns by Python, or None where something is not as it was written."""
    names, lines = head.colnames, body.removesuffix(b"\n").split(b"\n")
    cells = body.split()
    if {line.count(b" ") for line in lines} != {len(names) - 1} or len(cells) != len(names) * len(lines):
        return None  # two spaces between values
    columns = [_column(head[name], cells[k :: len(names)]) for k, name in enumerate(names)]
    return None if any(column is None for column in columns) else columns


def _column(like, cells):
    if like.dtype.kind == "f":
        try:
            data = np.fromiter(map(float, cells), float, len(cells))
        except ValueError:
            return None
    elif like.dtype.kind == "i":
        try:
            data = np.fromiter(map(int, cells), like.dtype, len(cells))
        except (ValueError, OverflowError):
            return None
    elif like.dtype.kind == "U":
        data = np.array(cells).astype(str)
    else:
        data = np.array(cells) == b"True"
        if cells.count(b"False") + data.sum() != len(cells):
            return None
    return data


def _like(like, data):
    return Column(data, like.name, unit=like.unit, description=like.description, format=like.format,
                  meta=like.meta)  # fmt: skip
