"""What functions return is judged as products are: wrong epochs, signs, axes and errors have a verdict."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.checks import check_results, overall
from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.motion import two_epoch_motions


def field(seed=2, n=400):
    """Four star lists and a catalog of 2006."""
    rng, plane = np.random.default_rng(seed), TangentPlane(80.0, -69.5)
    xi, eta = rng.uniform(-30, 30, (2, n))
    pm, mag = rng.normal([[1.9], [0.3]], 0.2, (2, n)), rng.uniform(-8, -4, n)
    ra, dec = plane.to_sky(xi - 16e-3 * pm[0], eta - 16e-3 * pm[1])
    catalog = Table({"ra": ra, "dec": dec, "mag": mag}, meta={"epoch": 2006.4})
    for name, v in zip(("ra", "dec"), pm, strict=True):
        catalog[f"pm{name}"] = v + rng.normal(0, 0.05, n)
        catalog[f"pm{name}_error"] = catalog[f"{name}_error"] = 0.05
    ra, dec = plane.to_sky(xi, eta)
    error, lists = 0.004 * 10 ** (0.15 * (mag + 8)), []
    for k in range(4):
        x, y = 1024 - xi / 0.0656 + 20.3 * k, 1024 + eta / 0.0656 - 15.7 * k
        t = Table({"x": x + rng.normal(0, error), "y": y + rng.normal(0, error), "ra": ra, "dec": dec})
        t["mag"], t["x_err"], t["y_err"], t["mag_err"], t["qfit"], t["flags"] = (
            mag,
            error,
            error,
            error,
            0.02,
            0,
        )
        t.meta = {"filename": f"e{k}_cal.fits", "epoch": 2022.4}
        lists.append(t)
    return lists, catalog


def judged(lists, catalog):
    frame = build_master(lists, reference=catalog)
    return check_results(frame, two_epoch_motions(frame.table, catalog), lists=lists)


def exchange(lists, catalog):
    lists[1]["x"], lists[1]["y"] = lists[1]["y"].copy(), lists[1]["x"].copy()


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda lists, catalog: catalog.meta.update(epoch=2011.4), "epoch"),
        (lambda lists, catalog: catalog.replace_column("pmra", -catalog["pmra"]), "pmra of the catalog"),
        (exchange, "x and y"),
    ],
    ids=["epoch", "sign", "axes"],
)
def test_what_is_wrong_is_bad(spoil, cause):
    lists, catalog = field()
    spoil(lists, catalog)
    checks = judged(lists, catalog)
    assert overall(checks) == "bad"
    assert cause in checks[0].causes[0]


def test_what_is_good_is_ok():
    assert overall(judged(*field())) == "ok"


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ParameterError, match="a Table, needed what build_master"):
        check_results(Table())
    with pytest.raises(ParameterError, match="lists without a frame"):
        check_results(lists=[])
    lists, _ = field(n=100)
    with pytest.raises(ParameterError, match="2 star lists, needed the 4 lists that the frame"):
        check_results(build_master(lists), lists=iter(lists[:2]))
