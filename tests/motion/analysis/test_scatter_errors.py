"""Errors of motions from the exposures' scatter: those of the measurements, whatever is stated."""

import numpy as np
from astropy.table import Table

from jwst_hpastrom.motion.analysis.scatter_errors import scatter_errors, structure_error

SCALE, YEARS, N = 65.0, 10.0, 400  # mas per pixel


def tables(rng, n_used=9, sigma=0.02, catalog=0.3):
    scatter = sigma * np.sqrt(rng.chisquare(n_used - 1, (2, N)) / (n_used - 1))
    master = Table({"n_used": np.full(N, n_used), "mag": rng.uniform(-10, -5, N),
                    "x_rms": scatter[0], "y_rms": scatter[1]},
                   meta={"scale_mas": SCALE})  # fmt: skip
    first = Table({"ra_error": np.full(N, catalog), "dec_error": np.full(N, catalog)})
    rows = np.arange(N)
    return Table({"first_epoch_row": rows, "master_row": rows}, meta={"baseline": -YEARS}), first, master


def test_errors_are_those_of_the_measurements():
    found = scatter_errors(*tables(np.random.default_rng(1)))
    expected = np.hypot(SCALE * 0.02 / np.sqrt(9), 0.3) / YEARS
    np.testing.assert_allclose(np.median(found, axis=1), expected, rtol=0.05)


def test_unknown_where_nothing_tells_it():
    motions, first, master = tables(np.random.default_rng(2))
    master["n_used"][:200] = 2
    found = scatter_errors(motions, first, master)
    assert np.isnan(found[:, :200]).all()
    assert np.isfinite(found[:, 200:]).all()
    no_catalog, no_scatter = Table({"ra_error": first["ra_error"]}), Table({"n_used": master["n_used"]})
    for given in ((first,), (no_catalog, master), (first, no_scatter)):
        assert np.isnan(scatter_errors(motions, *given)).all()
    motions.meta["baseline"] = 0.0
    assert np.isnan(scatter_errors(motions, first, master)).all()


def test_structure_counts_where_the_distortion_is_limited():
    motions, _, master = tables(np.random.default_rng(3))
    master.meta |= {"correction_error_pix": 0.03, "instrument": "NIRISS", "detector": "NIS"}
    assert structure_error(motions, master) == structure_error(motions, None) == 0.0
    master.meta["distortion_limited_by"] = "few reference stars"
    np.testing.assert_allclose(structure_error(motions, master), 0.03 * 65.6 / YEARS, rtol=0.02)
