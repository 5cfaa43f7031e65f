"""One list under two names is refused."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.geometry import check_no_list_twice


def test_a_list_given_twice_is_refused_but_not_at_another_pointing():
    rng = np.random.default_rng(1)
    one = Table({c: rng.uniform(size=9) for c in ("x", "y", "ra", "dec")}, meta={"filename": "one"})
    two = one[rng.permutation(9)]
    two.meta["filename"] = "two"
    with pytest.raises(BadCatalogError, match=r"same stars at the same pixels in one and two"):
        check_no_list_twice([one, two])
    other = Table({c: rng.uniform(size=9) for c in ("x", "y", "ra", "dec")}, meta={"filename": "other"})
    with pytest.raises(BadCatalogError, match=r"same stars at the same pixels in one and two"):
        check_no_list_twice([one, other, two[:4]])  # cut otherwise
    two["ra"] += 1e-5
    check_no_list_twice([one, other, two])


def test_an_exposure_measured_twice_is_refused_by_its_name_and_time():
    rng = np.random.default_rng(2)
    lists = [
        Table(
            {c: rng.uniform(size=9) for c in ("x", "y")}, meta={"filename": "f_master.ecsv", "epoch": epoch}
        )
        for epoch in (2022.1, 2023.4, 2022.1)
    ]
    check_no_list_twice(lists[:2])
    with pytest.raises(BadCatalogError, match=r"two star lists of f_master.ecsv, at one time"):
        check_no_list_twice(lists)


def test_two_chips_of_one_file_are_two_lists():
    rng = np.random.default_rng(3)
    meta = {"filename": "ib01_flc.fits", "epoch": 2015.2}
    chips = [Table(rng.uniform(0, 4096, (500, 2)), names=("x", "y"), meta=meta) for _ in range(2)]
    check_no_list_twice(chips)
    anew = chips[0].copy()
    anew["x"] += rng.normal(0, 0.01, 500)
    with pytest.raises(BadCatalogError, match=r"two star lists of ib01_flc.fits, at one time"):
        check_no_list_twice([*chips, anew])


@pytest.mark.parametrize(("part", "noise"), [(1.0, 0.0), (0.3, 0.0), (1.0, 0.01)])
def test_stars_that_a_list_has_twice_are_refused(part, noise):
    rng = np.random.default_rng(4)
    once = rng.uniform(0, 2048, (300, 2))
    again = once[: int(part * 300)] + noise * rng.normal(size=(int(part * 300), 2))
    table = Table(np.r_[once, again], names=("x", "y"), meta={"filename": "a_stars.ecsv"})
    with pytest.raises(BadCatalogError, match=r"a_stars.ecsv: found \d+ of \d+ rows at the place of another"):
        check_no_list_twice([table])


def test_crowded_and_doubtful_stars_are_not_refused():
    rng = np.random.default_rng(5)
    crowded = Table(rng.uniform(0, 40, (2000, 2)), names=("x", "y"))  # more than a star a pixel
    few = Table(np.r_[rng.uniform(0, 2048, (60, 2)), [[3.0, 4.0], [3.0, 4.0]]], names=("x", "y"))
    unknown = Table({"x": np.full(50, np.nan), "y": np.zeros(50)})
    check_no_list_twice([crowded, few, unknown, crowded[:0]])
