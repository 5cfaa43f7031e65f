"""Two epochs are held together by the motions of all stars, as far as the catalog lets the field stream."""

import numpy as np
import pytest

from jwst_hpastrom.geometry import TangentPlane
from jwst_hpastrom.motion import fit_epochs
from tests.motion.jwst_epochs import DEC, RA, simulate


def expanding(seed, rate):
    """Lists and catalog of two epochs whose field expands by ``rate`` (1/yr), and the true motions."""
    lists, gaia, truth = simulate(seed, n=900, when=((2022.33, 10.0), (2024.33, 107.0)))
    for table in lists:
        for c in ("x", "y"):
            table[c] = 1024 + (np.asarray(table[c]) - 1024) * (1 + rate * (table.meta["epoch"] - 2016))
    position = TangentPlane(RA, DEC).from_sky(np.asarray(gaia["ra"]), np.asarray(gaia["dec"]))
    for c, at in zip(("pmra", "pmdec"), position, strict=True):
        gaia[c] = np.asarray(gaia[c]) + rate * at * 1e3
    return lists, gaia, truth


@pytest.mark.parametrize("rate", [0.0, 5e-6])  # 0.45 mas/yr at the edge
def test_all_stars_hold_two_epochs(rate):
    bright, pulls, systematic = [], [], []
    for seed in (1, 2):
        lists, gaia, truth = expanding(seed, rate)
        table = fit_epochs(lists, gaia, degree=1).table
        rows = np.array([int(name[1:]) for name in table["source_name"]])
        at = TangentPlane(RA, DEC).from_sky(np.asarray(table["ra"]), np.asarray(table["dec"]))
        for c, x in zip(("pmra", "pmdec"), at, strict=True):
            d = np.asarray(table[c]) - np.asarray(truth[c])[rows] - rate * x * 1e3
            d = d - np.nanmedian(d)
            pulls.append(d / np.asarray(table[f"{c}_error"]))
            bright.append(d[np.asarray(truth["mag"])[rows] < -4])
            systematic.append(np.nanmedian(table[f"{c}_error_systematic"]))
    # with a free motion each, 0.12 mas/yr of scatter and 0.07 of systematics
    assert 1.4826 * np.nanmedian(np.abs(np.concatenate(bright))) < 0.085
    assert np.mean(systematic) < 0.05
    assert 1.4826 * np.nanmedian(np.abs(np.concatenate(pulls))) == pytest.approx(1.0, abs=0.1)
