"""Star lists: where they are looked for, and damaged or foreign ones."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from jwst_hpastrom.errors import BadCatalogError, BadFileError
from jwst_hpastrom.geometry import LinearTransform
from jwst_hpastrom.io.tables.star_lists import find_star_list, read_star_list, star_list_path


@pytest.fixture
def star_list():
    columns = {"x": [1.0], "y": [2.0], "x_err": [0.1], "y_err": [0.1], "flux": [3.0], "mag": [4.0]}
    return Table(columns, meta={"filename": "jw1_nis_cal.fits"})


def test_output_folder_comes_before_the_exposures(tmp_path, star_list):
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    exposure = tmp_path / "in" / "jw1_nis_cal.fits"
    assert find_star_list(exposure, [tmp_path / "out"]) is None
    star_list.write(star_list_path(exposure, tmp_path / "in"))
    assert find_star_list(exposure, [tmp_path / "out"]) == str(tmp_path / "in" / "jw1_nis_stars.ecsv")
    star_list.write(star_list_path(exposure, tmp_path / "out"))
    assert find_star_list(exposure, [tmp_path / "out"]) == str(tmp_path / "out" / "jw1_nis_stars.ecsv")


@pytest.mark.parametrize("extension", ["ecsv", "fits"])
def test_a_list_of_another_exposure_is_refused(tmp_path, star_list, extension):
    path = tmp_path / f"jw2_nis_stars.{extension}"
    star_list.write(path)
    assert len(read_star_list(path)) == 1
    assert len(read_star_list(path, "jw1_nis_crf.fits")) == 1
    with pytest.raises(BadCatalogError, match="a star list of jw1_nis_cal.fits"):
        read_star_list(path, "jw2_nis_cal.fits")


def test_a_detector_has_one_name(tmp_path, star_list):
    star_list.meta["detector"] = "NRCA5"
    star_list.write(tmp_path / "a_stars.ecsv")
    assert read_star_list(tmp_path / "a_stars.ecsv").meta["detector"] == "NRCALONG"


def test_damaged_lists(tmp_path):
    path = tmp_path / "a_stars.ecsv"
    path.write_text("nonsense")
    with pytest.raises((BadFileError, BadCatalogError), match="a_stars.ecsv"):
        read_star_list(path)
    Table({"x": [1.0]}).write(path, overwrite=True)
    with pytest.raises(BadCatalogError, match="no column y, x_err, y_err, flux, mag"):
        read_star_list(path)


def test_masked_positions_are_not_zero(tmp_path, star_list):
    star_list["x"] = MaskedColumn(star_list["x"], mask=[True])
    star_list.write(tmp_path / "a_stars.ecsv")
    assert np.isnan(read_star_list(tmp_path / "a_stars.ecsv")["x"][0])


def test_corrected_positions_are_on_the_full_detector(tmp_path, star_list):
    star_list.meta |= {"xstart": 101, "ystart": 201}
    star_list.write(tmp_path / "a_stars.ecsv")
    shift = LinearTransform(offset=np.array([0.5, -0.5]))
    table = read_star_list(tmp_path / "a_stars.ecsv", correction=shift)
    assert (table["x_corr"][0], table["y_corr"][0]) == (101.5, 201.5)


def test_errors_that_cannot_be(tmp_path):
    data = {n: np.arange(1.0, 5.0) for n in ("x", "y", "x_err", "y_err", "flux", "mag")}
    data["x_err"] = np.array([-0.1, 0.0, 99.0, 0.2])
    path = tmp_path / "a_stars.ecsv"
    Table(data).write(path)
    assert list(np.isfinite(read_star_list(path)["x_err"])) == [False, False, False, True]
    data["x_err"] = np.zeros(4)
    Table(data).write(path, overwrite=True)
    with pytest.raises(BadCatalogError, match=r"a_stars\.ecsv: found no positive finite x_err"):
        read_star_list(path)


@pytest.mark.parametrize(("name", "unit"), [("x_err", "mas"), ("x", "arcsec"), ("flux", "Jy"), ("mag", "Jy")])
def test_units_that_are_not_pixels_and_brightness(tmp_path, star_list, name, unit):
    star_list[name].unit = unit
    star_list.write(tmp_path / "a.ecsv")
    with pytest.raises(BadCatalogError, match=rf"a\.ecsv: found column {name} .*not convertible"):
        read_star_list(tmp_path / "a.ecsv")


@pytest.mark.parametrize(("stated", "year"), [(2022.3, 2022.3), ("2022-04-20", 2022.3), (59689.0, None)])
def test_the_epoch_of_a_list_is_a_year(tmp_path, star_list, stated, year):
    star_list.meta["epoch"] = stated
    star_list.write(path := tmp_path / "jw1_nis_stars.ecsv")
    if year is None:
        with pytest.raises(BadCatalogError, match="Julian year"):
            read_star_list(path)
    else:
        assert read_star_list(path).meta["epoch"] == pytest.approx(year, abs=0.01)


def edited(n=20, **columns):
    """A list of the package with columns changed."""
    rng = np.random.default_rng(4)
    flux = 10 ** rng.uniform(1, 4, n)
    t = Table(dict.fromkeys(("x", "y", "x_err", "y_err"), 1.0 + np.arange(n)))
    t["flux"], t["mag"], t["qfit"], t["flags"] = flux, -2.5 * np.log10(flux), 0.02, 0
    for name, column in columns.items():
        t.replace_column(name, Table({name: np.full(n, column) if np.ndim(column) == 0 else column})[name])
    return t


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"flags": "ok"}, "column flags"),
        ({"flags": np.zeros((20, 2), int)}, r"column flags \(\(2,\) values in a row\)"),
        ({"flags": 0.5}, "column flags with fractions"),
        ({"qfit": "good"}, "column qfit"),
        (
            {"mag": 2.5 * np.log10(edited()["flux"])},
            "magnitudes of this list that differ from its fluxes' by",
        ),
        ({"mag": np.roll(edited()["mag"], 1)}, "magnitudes of this list that differ"),
        ({"mag": np.sort(edited()["mag"])}, "magnitudes of this list that differ"),
    ],
)
def test_columns_edited_by_hand(tmp_path, columns, text):
    edited(**columns).write(tmp_path / "a_stars.ecsv")
    with pytest.raises(BadCatalogError, match=f"a_stars.ecsv: found {text}"):
        read_star_list(tmp_path / "a_stars.ecsv")


def test_magnitudes_with_a_zero_point_and_unknown_flags(tmp_path, caplog):
    t = edited()
    t["mag"] += 25.0
    t["flags"] = MaskedColumn(np.full(20, 4), mask=np.arange(20) < 3)
    t.write(tmp_path / "a_stars.ecsv")
    found = read_star_list(tmp_path / "a_stars.ecsv")
    assert found["flags"].dtype == np.int64
    assert found["flags"].tolist() == [0] * 3 + [4] * 17
    assert "no flags in 3 of 20 rows" in caplog.text


@pytest.mark.parametrize("first", ["one", 2])
def test_the_first_pixel_is_zero_or_one(star_list, first):
    star_list.meta["first_pixel"] = first
    with pytest.raises(BadCatalogError, match="first_pixel"):
        read_star_list(star_list)


def in_subarray(offset=0.0, **meta):
    rng = np.random.default_rng(5)
    t = edited(60, x=rng.uniform(0, 320, 60) + offset, y=rng.uniform(0, 320, 60) + offset)
    t.meta |= {"instrument": "NIRISS", "detector": "NIS"} | meta
    return t


@pytest.mark.parametrize("start", [{"xstart": 865, "ystart": 865}, {"ystart": 200}])
def test_pixels_of_the_full_detector_beside_a_subarrays_place(start, caplog):
    read_star_list(in_subarray(**start))
    assert not caplog.text
    with pytest.raises(BadCatalogError, match=r"[xy] from .* beside [xy]start"):
        read_star_list(in_subarray(864.0, **start))


def test_a_part_of_the_detector_without_a_place_is_warned_of(caplog):
    read_star_list(in_subarray())
    assert "no metadata xstart, ystart" in caplog.text
