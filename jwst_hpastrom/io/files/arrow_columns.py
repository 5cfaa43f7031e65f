"""Numbers as text and back by pyarrow, where it is installed: the same texts and numbers, faster."""

from contextlib import suppress

import numpy as np

__all__ = ["columns_of", "lines_of", "texts_of"]

#: values for which pyarrow is imported: fewer are written and read by Python meanwhile
MANY = 50_000
#: sizes between which pyarrow and Python write a number alike, unless it is whole
ALIKE = 1e-4, 1e10


def _pyarrow(size):
    """Return pyarrow, or None where it is not worth while or not there."""
    if size >= MANY:
        with suppress(ImportError):
            import pyarrow.compute
            import pyarrow.csv

            return pyarrow
    return None


def texts_of(values, size):
    """Return numbers as the shortest texts that are those numbers, as Python writes them.

    Parameters
    ----------
    values : ndarray of float64 or integers, shape (n,)

    size : int
        Values of the whole table.

    Returns
    -------
    list of str or `pyarrow.LargeStringArray`

    Examples
    --------
    >>> texts_of(np.array([0.1, 1e-5]), 2)
    ['0.1', '1e-05']
    """
    arrow = _pyarrow(size)
    if arrow is None or values.dtype.str[1:] not in ("f8", "i1", "i2", "i4", "i8"):
        return list(map(repr, values.tolist()))
    values = np.ascontiguousarray(values)
    texts = arrow.compute.cast(arrow.array(values), arrow.large_string())
    if values.dtype.kind == "f":
        large = np.abs(values)
        other = ~((large >= ALIKE[0]) & (large < ALIKE[1])) | (values == np.rint(values))
        if other.any():
            written = arrow.array(map(repr, values[other].tolist()), arrow.large_string())
            texts = arrow.compute.replace_with_mask(texts, arrow.array(other), written)
    return texts


def lines_of(columns):
    r"""Return columns of texts as lines of text, a space between columns.

    Parameters
    ----------
    columns : list of list of str, or of what `texts_of` gives

    Returns
    -------
    bytes

    Examples
    --------
    >>> lines_of([["1", "2"], ["a", "b"]])
    b'1 a\n2 b\n'
    """
    arrow = _pyarrow(sum(map(len, columns)))
    if arrow is None:
        return "".join(f"{row}\n" for row in map(" ".join, zip(*columns, strict=True))).encode()
    text = arrow.large_string()
    arrays = [arrow.array(c, text) if isinstance(c, list) else c for c in columns]
    join = arrow.compute.binary_join_element_wise
    ends = [arrow.scalar(end, text) for end in (" ", "", "\n")]
    rows = join(join(*arrays, ends[0]), ends[1], ends[2])  # nothing after each row's end
    return rows.buffers()[2].to_pybytes()


def columns_of(body, names, dtypes):
    r"""Read lines of values with one space between.

    Parameters
    ----------
    body : bytes

    names : list of str

    dtypes : list of `numpy.dtype`
        Of the columns.

    Returns
    -------
    list of ndarray or None
        None where pyarrow is not worth while or not there, or something is not as it was written.

    Examples
    --------
    >>> columns_of(b"1 2.5\n", ["n", "x"], [np.dtype(int), np.dtype(float)])  # one line: not worth while
    """
    arrow = _pyarrow(body.count(b"\n") * len(names))
    if arrow is None or b"0x" in body or b"(" in body:  # numbers to pyarrow, not to Python
        return None
    types = {
        name: arrow.string() if dtype.kind == "U" else arrow.from_numpy_dtype(dtype)
        for name, dtype in zip(names, dtypes, strict=True)
    }
    try:
        table = arrow.csv.read_csv(
            arrow.py_buffer(body),
            arrow.csv.ReadOptions(use_threads=False, column_names=names),
            arrow.csv.ParseOptions(delimiter=" ", quote_char=False, ignore_empty_lines=False),
            arrow.csv.ConvertOptions(
                column_types=types, null_values=[], true_values=["True"], false_values=["False"],
                strings_can_be_null=False, check_utf8=False,
            ),
        )  # fmt: skip
    except arrow.ArrowInvalid:
        return None
    columns = []
    for name, dtype in zip(names, dtypes, strict=True):
        column = table[name].to_pylist() if dtype.kind == "U" else table[name].to_numpy()
        if dtype.kind == "U" and "" in column:  # two spaces between values
            return None
        columns.append(np.array(column, None if dtype.kind == "U" else dtype))
    return columns
