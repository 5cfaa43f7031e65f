"""What a build is asked to do, and what it finds out itself."""

import pytest

from jwst_hpastrom.epsf.build import BuildConfig
from jwst_hpastrom.epsf.build.diffraction import band_limit

MADE_FOR = {"instrument": "NIRISS", "detector": "NIS", "filter": "F115W"}


def test_band_is_that_of_the_filter():
    assert BuildConfig().of_filter(MADE_FOR).band_limit == band_limit("F115W", 0.0656)


@pytest.mark.parametrize("given", [0.0, 0.3])
def test_band_that_is_given_stays(given):
    assert BuildConfig(band_limit=given).of_filter(MADE_FOR).band_limit == given


@pytest.mark.parametrize(
    "unknown", [{}, {"filter": "F606W", "instrument": "WFC3"}, MADE_FOR | {"filter": "N/A"}]
)
def test_no_band_is_known_of_other_filters(unknown):
    assert BuildConfig().of_filter(unknown).band_limit is None


def test_builds_go_on_where_held_out_stars_tell_when_to_stop():
    config = BuildConfig()
    assert config.n_iterations > config.without_judge().n_iterations == 20
    assert config.of_given_library().n_iterations == 20
    assert BuildConfig(n_iterations=12).without_judge().n_iterations == 12
