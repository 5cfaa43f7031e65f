"""Dispersions of motions within a limit, freed of the cut."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import DegenerateSolutionError
from jwst_hpastrom.kinematics import bulk_motion


def group(rng, sigma, n=300, error=0.02):
    e = np.full((2, n), error)
    names = ("pmra", "pmdec", "pmra_error", "pmdec_error")
    return Table([*rng.normal(0, np.hypot(sigma, e)), *e], names=names)


@pytest.mark.parametrize(("sigma", "limit"), [(0.05, None), (0.2, None), (0.6, None), (0.04, 0.091)])
def test_bulk_dispersion_is_freed_of_the_cut(sigma, limit):
    rng = np.random.default_rng(10)
    found = [bulk_motion(group(rng, sigma), limit=limit) for _ in range(6)]
    assert np.sqrt(np.mean([(f.motion / f.error) ** 2 for f in found])) < 1.6
    assert abs(np.mean([(f.dispersion.sigma - sigma) / f.dispersion.sigma_error for f in found])) < 1.3
    assert np.mean([f.dispersion.sigma for f in found]) == pytest.approx(sigma, rel=0.15)


def test_a_limit_inside_the_motions_is_refused():
    with pytest.raises(DegenerateSolutionError, match="limit"):
        bulk_motion(group(np.random.default_rng(11), 0.4, n=4000), limit=0.091)
