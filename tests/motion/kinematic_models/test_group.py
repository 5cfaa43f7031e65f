"""The group offset against its formula, and that it needs several groups."""

import numpy as np

from jwst_hpastrom.motion.star_fits.models import fit_motions


def twin(t, group, aux, amplitude, scale):
    return amplitude**2 * (group[:, None] == group)


def test_equals_its_definition(check_kernel):
    check_kernel("group", twin)


def test_is_not_tried_without_several_groups():
    rng = np.random.default_rng(1)
    t = np.linspace(2012.0, 2022.0, 8)
    x, y = rng.normal(size=(2, 3, 8))
    fits = fit_motions(t, x, y, np.ones_like(x), np.ones_like(x), models=("poly", "group"), group=np.ones(8))
    assert np.isnan(fits.elpd[:, 6]).all()
    assert np.isfinite(fits.elpd[:, 0]).all()
