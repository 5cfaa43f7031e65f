"""Lists of hst1pass, xym2bar and KS2 as they come: columns by their codes, wherever they stand."""

import gzip

import numpy as np
import pytest

from jwst_hpastrom.columns import Flag
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.io import read_star_list, read_table
from jwst_hpastrom.io.tables.coded_lists import CODES, code_names

STARS = 8
VALUES = {
    "x": 100.25, "y": 200.5, "m": -9.1, "X": 100.26, "Y": 200.6, "M": -9.2, "u": 110.0, "v": 220.0,
    "w": -9.15, "U": 5110.0, "V": 5220.0, "W": -3.0, "r": 80.5, "d": -69.4, "p": 4000.0, "q": 0.03,
    "k": 2, "s": 31.0, "n": 0, "e": 0.012, "c": 1.1, "z": 4000.0, "i": 100, "j": 201, "t": 2011.83,
}  # fmt: skip


def columns(codes):
    """Numbers of each code, star by star; the last star is saturated."""
    rows = {c: VALUES.get(c, 1.0) + np.arange(STARS) * (1.0 if c in "xyXYuvUV" else 0.001) for c in codes}
    if "q" in rows:
        rows["q"][-1] = 0.0
    rows |= {"n": np.zeros(STARS)} if "n" in codes else {}
    text = {"N": [f"N{k:07d}" for k in range(STARS)], "K": ["K1"] * STARS}
    return {c: text.get(c, [f"{v:.4f}" for v in rows[c]]) for c in codes}


def write(path, codes, header="codes", keywords=()):
    """Write a list in hst1pass's layout, with its lines of columns, its ruler, or neither."""
    data = columns(codes)
    lines = [f"#  ARG0001: OUT={codes}", "#", *(f"# {k:>8s}: {v:>20s}" for k, v in keywords)]
    if header == "codes":
        lines += [
            f"# ({k:02d})  {c} -- some words of it      c{k:03d}-c{k + 3:03d}    F{k:03d}"
            for k, c in enumerate(codes, 1)
        ]
    ruler = "#" + " ".join(f"...{c}..." for c in codes)
    lines += ["#", ruler, "#"] if header in ("codes", "ruler") else []
    lines += [" " + " ".join(row) for row in zip(*(data[c] for c in codes), strict=True)]
    lines += ["#", ruler, "#"] if header in ("codes", "ruler") else []
    text = "\n".join(lines) + "\n"
    if str(path).endswith(".gz"):
        with gzip.open(path, "wt") as file:
            file.write(text)
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("header", ["codes", "ruler", "name"])
@pytest.mark.parametrize(
    "codes", ["xympqks", "xymXYMuvwrdpq", "XYMuvpq", "xymXYMuvwrdpqkKsnNecCzijt", "MYXqpyxm", "uvMq"]
)
def test_columns_are_found_by_their_codes(tmp_path, codes, header):
    name = f"j8_flc.{codes}" if header == "name" else "j8_flc.list"
    if header == "name" and not codes.startswith(("xy", "XY", "uv")):
        pytest.skip("a name that does not begin with a position is no sign")
    stars = read_star_list(write(tmp_path / name, codes, header))
    best = "XY" if "X" in codes else "xy" if "x" in codes else "uv"
    assert stars["x"][2] == pytest.approx(VALUES[best[0]] + 2 - 1)  # pixels from 0
    assert stars["y"][2] == pytest.approx(VALUES[best[1]] + 2 - 1)
    assert stars["mag"][0] == pytest.approx(VALUES["M" if "M" in codes else "m"])
    if "q" in codes:
        assert stars["qfit"][0] == pytest.approx(0.03)
        assert list(stars["flags"]) == [0] * (STARS - 1) + [int(Flag.SATURATED)]
    if "u" in codes:
        assert stars["x_corr"][3] == pytest.approx(VALUES["u"] + 3 - 1)
    if "r" in codes:
        assert (stars["ra"][0], stars["dec"][0]) == pytest.approx((80.5, -69.4))
    if "w" in codes:
        assert stars["mag_corr"][0] == pytest.approx(-9.15)
    if "e" in codes:
        assert stars["x_err"][0] == stars["y_err"][0] == pytest.approx(0.012)


def test_the_header_counts_not_the_name(tmp_path):
    stars = read_star_list(write(tmp_path / "a.xymXYM", "XYMxym"))
    assert stars["x"][0] == pytest.approx(VALUES["X"] - 1)
    assert stars["mag"][0] == pytest.approx(VALUES["M"])


def test_gzipped_and_renamed(tmp_path):
    assert len(read_star_list(write(tmp_path / "a.F606W_xympquvwrd.gz", "xympquvwrd", "name"))) == STARS


def test_filter_and_time_of_the_header(tmp_path):
    keywords = (("FILT", "F814W"), ("rDAT", "2011.83125000"), ("NAXIS1", "4096"))
    meta = read_star_list(write(tmp_path / "a.xymq", "xymq", keywords=keywords)).meta
    assert (meta["filter"], meta["epoch"], meta["filename"]) == ("F814W", 2011.83125, "a.xymq")
    bad = write(tmp_path / "b.xymq", "xymq", keywords=(("rDAT", "0.08219178"),))
    assert read_star_list(bad).meta["epoch"] is None


@pytest.mark.parametrize(
    ("name", "codes", "message"),
    [
        ("a.xympqk", "xympqks", "7 columns and the codes xympqk"),
        ("a.xym@", "xymq", "xym@"),
        ("a.xymmq", "xymsq", "xymmq"),
    ],
)
def test_codes_that_do_not_fit(tmp_path, name, codes, message):
    with pytest.raises(BadCatalogError, match=message):
        read_star_list(write(tmp_path / name, codes, "name"))


def test_a_list_that_was_cut(tmp_path):
    path = write(tmp_path / "a.xymq", "xymq")
    path.write_text("\n".join(" ".join(line.split()[:3]) if line[0] == " " else line
                              for line in path.read_text().splitlines()))  # fmt: skip
    with pytest.raises(BadCatalogError, match=r"a\.xymq: found 3 columns and 4 in the header"):
        read_star_list(path)


def test_every_code_has_a_name_of_its_own():
    assert len(set(code_names(CODES, "a"))) == len(CODES)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("MATCHUP.XYMEEE", ""),
        ("LOG.MATCHUP.XYMEEE.F814W", ""),
        ("F606W_MATCHUP_XYMEEE_final", ""),
        ("MATCHUP.F090W", "# xbar ybar mbar xsig ysig msig Nf\n"),
        ("MATCHUP.XYMEEE.F150W", "xbar ybar mbar xsig ysig msig Nf\n"),
        ("b.calib", "x y m xe ye me N_fnd\n"),
    ],
)
def test_means_of_xym2bar(tmp_path, name, header):
    path = tmp_path / name
    path.write_text(
        header + "10.5 20.5 -9.3 0.020 0.030 0.010 4\n11.5 21.5 -8.3 9.9 9.9 9.9 1\n12 30 -8 1 1 1 2\n"
    )
    stars = read_star_list(path)
    assert stars["mag"][1] == -8.3
    assert (stars["x_err"][0], stars["y_err"][0], stars["mag_err"][0]) == (0.02, 0.03, 0.01)
    assert stars["x"][0] == (10.5 if "calib" in name else 9.5)
    if "calib" not in name:  # the scatter of one measurement
        assert np.isnan(stars["x_err"][1])


def test_lists_of_ks2(tmp_path):
    path = tmp_path / "LOGR.XYVIQ1"
    path.write_text(
        "# KS2\n# umast0 vmast0 mmast1 NMAST zmast1 szmast1 q1 o1 zmast1 szmast1\n#\n"
        "100.1 200.2 -9.5 R0001 6309.0 60.0 0.02 0.1 3000.0 50.0\n"
    )
    stars = read_star_list(path)
    assert (stars["x"][0], stars["y"][0], stars["mag"][0]) == pytest.approx((99.1, 199.2, -9.5))
    assert (stars["qfit"][0], stars["flux"][0], stars["name"][0]) == (0.02, 6309.0, "R0001")
    measurements = tmp_path / "LOGR.FIND_NIMFO"
    measurements.write_text("# KS2\n1.0 2.0 3.0 4.0\n")
    with pytest.raises(BadCatalogError, match="all exposures in one list"):
        read_star_list(measurements)


def test_a_list_of_any_origin_counts_its_pixels_as_it_likes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("# x y mag\n1.5 2.5 -9.0\n")
    assert read_star_list(path)["x"][0] == 1.5


def test_a_comment_of_as_many_words_is_no_header(tmp_path):
    path = tmp_path / "a.xym"
    path.write_text("# made by John\n1.5 2.5 -9.0\n")
    assert read_table(path)["mag"][0] == -9.0
