"""Plain ECSV is what astropy writes, byte for byte, and what it reads."""

import io

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table

from jwst_hpastrom.io.files import arrow_columns
from jwst_hpastrom.io.files.plain_ecsv import plain_ecsv, read_plain_ecsv
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.tables.reading import read_table


@pytest.fixture(autouse=True, params=["Python", "pyarrow"])
def road(request, monkeypatch):
    """Every test by Python's numbers, and by pyarrow's as if tables were large."""
    if request.param == "pyarrow":
        pytest.importorskip("pyarrow")
    monkeypatch.setattr(arrow_columns, "MANY", 1 if request.param == "pyarrow" else np.inf)
    return request.param


def oracle(table):
    out = io.StringIO()
    table.write(out, format="ascii.ecsv")
    return out.getvalue().encode()


def plain_table(rng, n=300):
    wild = rng.integers(0, 2**63, n, dtype=np.uint64).view(float)
    wild[:6] = np.nan, np.inf, -np.inf, 0.0, -0.0, 1e16
    return Table(
        {
            "id": np.arange(n),
            "x": Column(rng.normal(0, 1e3, n), unit="pix", description="x of the star, from 0"),
            "wild": wild,
            "short": rng.integers(-100, 100, n).astype("i2"),
            "ok": rng.random(n) > 0.5,
            "name": Column(rng.choice(["jw01086006001_02101_nis", "a", "3.5", "None"], n), format="%20s"),
        },
        meta={"epoch": 2022.5, "filename": "a.fits", "list": [1, 2.5, {"b": None}]},
    )


def same(a, b):
    assert a.colnames == b.colnames
    assert a.meta == b.meta
    for name in a.colnames:
        assert type(a[name]) is type(b[name])
        assert a[name].dtype == b[name].dtype
        assert np.asarray(a[name]).tobytes() == np.asarray(b[name]).tobytes()
        for attribute in ("unit", "description", "format", "meta"):
            assert getattr(a[name], attribute) == getattr(b[name], attribute)


def test_the_bytes_and_the_table_are_astropys():
    table = plain_table(np.random.default_rng(1))
    text = plain_ecsv(table)
    assert text == oracle(table)
    same(read_plain_ecsv(text), Table.read(text.decode(), format="ascii.ecsv"))


def test_numbers_of_all_sizes_by_either_road():
    rng = np.random.default_rng(3)
    sizes = 10.0 ** rng.uniform(-8, 20, 20_000)
    table = Table(
        {"v": sizes, "rounded": np.round(sizes, 3), "whole": np.rint(sizes), "n": np.arange(20_000)}
    )
    text = plain_ecsv(table)
    assert text.split(b"\nv rounded whole n\n")[1].split() == [
        repr(v).encode() for row in zip(*(table[c].tolist() for c in table.colnames)) for v in row
    ]
    same(read_plain_ecsv(text), table)


@pytest.mark.parametrize("road", ["pyarrow"], indirect=True)
def test_pyarrow_is_asked_for_many_values(road, monkeypatch):
    table = plain_table(np.random.default_rng(1), 20)
    names, dtypes = ["id", "x"], [np.dtype(int), np.dtype(float)]
    lines = arrow_columns.lines_of([arrow_columns.texts_of(table[c].data, 40) for c in names])
    found = arrow_columns.columns_of(lines, names, dtypes)
    for name, column in zip(names, found, strict=True):
        np.testing.assert_array_equal(column, table[name])
    monkeypatch.setattr(arrow_columns, "MANY", 41)
    assert arrow_columns.columns_of(lines, names, dtypes) is None


@pytest.mark.parametrize("kind", ["f2", "f4", "u1", "u8", "f16"])
def test_numbers_of_other_widths_are_written_alike_and_read_by_astropy(kind):
    table = Table({"v": np.random.default_rng(2).uniform(0, 200, 50).astype(kind)})
    assert plain_ecsv(table) == oracle(table)
    assert read_plain_ecsv(plain_ecsv(table)) is None


def test_masked_values_are_written_as_astropy_does_and_left_to_it():
    table = Table(
        {"x": MaskedColumn([1.5, 2.5], mask=[True, False]), "s": MaskedColumn(["a", "b"], mask=[1, 0])}
    )
    text = plain_ecsv(table)
    assert text == oracle(table)
    assert read_plain_ecsv(text) is None


@pytest.mark.parametrize(
    "table",
    [
        Table({"s": ["two words", 'a "quote"']}),
        Table({"s": ["", "a"]}),
        Table({"v": np.ones((3, 2)), "x": np.arange(3.0)}),
        QTable({"q": [1.0, 2.0] * u.m}),
        Table({"o": np.array([{"a": 1}, None], dtype=object)}),
        Table({"b": np.array([b"a", b"b"])}),
        Table(),
    ],
)
def test_what_is_not_plain_is_left_to_astropy(table, tmp_path):
    assert plain_ecsv(table) is None
    if table.colnames:
        assert len(read_table(write_table(table, tmp_path / "t.ecsv"))) == len(table)


@pytest.mark.parametrize(
    "empty", [Table({"x": np.empty(0), "s": np.empty(0, "U3")}), Table({"x": [1.0]})[:0]]
)
def test_no_rows(empty, tmp_path):
    assert plain_ecsv(empty) == oracle(empty)
    assert len(read_table(write_table(empty, tmp_path / "t.ecsv"))) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n1 1.5\n", b"\n1 1.5 3\n"),  # a value too many
        (b"\n1 1.5\n", b"\n1\n"),  # one too few
        (b"\n1 1.5\n2 2.5\n", b"\n1 1.5 2\n2.5\n"),  # both
        (b"\n1 1.5\n", b"\n1.5 1.5\n"),  # no integer
        (b"\n1 1.5\n", b"\n1 1_0\n"),  # Python's own numbers
        (b"\n1 1.5\n", b"\n1_0 1.5\n"),
        (b"\n1 1.5\n", b"\n1 0x1p3\n"),
        (b"\n1 1.5\n", b"\n0x1 1.5\n"),
        (b"\n1 1.5\n", b"\n1 nan(1)\n"),
        (b"\n1 1.5\n", b"\n1 \n"),
        (b"\n1 1.5\n", b"\n99999999999999999999 1.5\n"),
        (b"\n1 1.5\n", b"\n# a comment\n1 1.5\n"),
        (b"\n1 1.5\n", b"\n\n1 1.5\n"),
        (b"\n1 1.5\n", b"\n1 text\n"),
        (b"\n1 1.5\n", b"\n1   1.5\n"),
        (b"\n1 1.5\n", b"\r\n1 1.5\r\n"),
        (b"\nid x\n", b"\nid y\n"),
        (b"\nid x\n", b"\nid,x\n"),
        (b"\n2 2.5\n", b"\n2 2.5"),
        (b"{name: x, datatype: float64}", b"{name: x, datatype: bool}"),
        (b"{name: id, datatype: int64}", b"{name: id, datatype: float128}"),
        (b"{name: id, datatype: int64}", b"{name: id, datatype: int8}"),
    ],
)
def test_a_changed_file_is_read_as_astropy_reads_it(old, new):
    text = plain_ecsv(Table({"id": [1, 2], "x": [1.5, 2.5]}))
    assert old in text
    text = text.replace(old, new)
    try:
        wanted = Table.read(text.decode(), format="ascii.ecsv")
    except Exception:
        wanted = None
    try:
        found = read_plain_ecsv(text)
    except Exception:
        assert wanted is None
    else:
        if found is not None:
            same(found, wanted)
