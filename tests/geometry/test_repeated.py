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
