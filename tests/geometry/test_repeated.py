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
    two["ra"] += 1e-5
    check_no_list_twice([one, two])
