"""Charge at the ends of ramps: rate times time, and less where late groups are left out."""

import numpy as np
import pytest

from jwst_hpastrom.epsf.exchange.charge import ramp_charge

GROUPS, TIME, CONVERSION = 5, 10.0, 2.0
SHAPE = (8, 8)


def meta(unit="MJy/sr", **other):
    return {"groups": GROUPS, "time": TIME, "conversion": CONVERSION, "unit": unit} | other


def charge(m, variance=None, dq=None, data=None):
    data = np.ones(SHAPE) if data is None else data
    dq = np.zeros(SHAPE, np.uint32) if dq is None else dq
    return ramp_charge(*m.values(), data, dq, np.zeros(SHAPE, bool), variance)


@pytest.mark.parametrize(
    ("unit", "full"), [("MJy/sr", 25.0), ("DN/s", 50.0), ("e", None), ("mJy/arcsec^2", None)]
)
def test_rate_times_time(unit, full):
    assert charge(meta(unit)) == full


@pytest.mark.parametrize("missing", ["groups", "time", "conversion"])
def test_unknown_times(missing):
    assert charge(meta(**{missing: None})) is None


def test_groups_that_were_used_show_in_the_variance():
    data, dq = np.ones(SHAPE), np.zeros(SHAPE, np.uint32)
    data[2, 3:6] = 100.0
    variance = data / (GROUPS - 1)  # a rate's, over the time between the first and the last group
    variance[2, 5] = data[2, 5] / 2  # two groups were left out
    found = charge(meta(), variance, dq, data)
    assert found[2, 5] == pytest.approx(25.0 * 3 / GROUPS)
    assert np.all(np.delete(found.ravel(), 2 * SHAPE[1] + 5) == 25.0)
    variance[2, 5] = variance[2, 4]
    assert charge(meta(), variance, dq, data) == 25.0
