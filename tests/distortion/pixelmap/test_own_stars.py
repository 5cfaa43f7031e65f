"""What stars that a correction was made from share in their exposures, against errors of known size."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.distortion import ErrorModel
from jwst_hpastrom.distortion.pixelmap.own_stars import with_own_stars

SIZE = 0.01


@pytest.fixture(scope="module")
def model():
    flat = np.full((2, 3, 3), SIZE**2)
    correlation = np.zeros((4, 9))
    correlation[0, 4] = 1.0
    return ErrorModel(flat, correlation, 4.0, (512, 512))


@pytest.fixture(scope="module")
def solution(model):
    """Four exposures of 1500 stars; of the brighter half the correction's errors are the same in all."""
    rng = np.random.default_rng(2)
    n, m = 1500, 4
    star, exposure = np.tile(np.arange(n), m), np.repeat(np.arange(m), n)
    error = np.where(np.arange(n) < n // 2, 0.002, 0.03)[star]
    pairs = SimpleNamespace(
        star=star, exposure=exposure, held_out=np.zeros(n, bool), x_err=error, y_err=error,
        x=rng.uniform(0, 511, n * m), y=rng.uniform(0, 511, n * m),
        metas=[{"filename": f"e{k}_cal.fits"} for k in range(m)],
    )  # fmt: skip
    samples = []
    for _ in range(2):
        noise = rng.normal(0, 1, (2, n * m)) * error
        common = rng.normal(0, SIZE, (2, n))[:, star]
        apart = rng.normal(0, SIZE, (2, n * m))
        field = np.where(star < n // 2, common, apart)
        trend = 0.05 * np.stack([pairs.x - 255, pairs.y - 255]) / 256  # a transformation's
        samples.append(np.stack([noise + field + trend, noise]))
    return with_own_stars(model, pairs, samples, np.ones(n * m, bool)), pairs, samples


def test_the_share_is_that_of_the_class(solution):
    found, pairs, _ = solution
    names = [m["filename"] for m in pairs.metas]
    bright, faint = found.share(np.array([0.002, 0.03]), names).T
    np.testing.assert_allclose(bright, 1.0, atol=0.1)
    np.testing.assert_allclose(faint, 0.0, atol=0.1)


def test_other_exposures_share_nothing_of_their_own(solution, model):
    found, _, _ = solution
    assert not found.share(np.array([0.002, 0.03]), ["another_cal.fits"]).any()
    assert not model.share(np.array([0.002]), ["e0_cal.fits"]).any()


def test_files_keep_it(solution, model):
    found, _, _ = solution
    again = ErrorModel.from_meta(found.to_meta())
    assert again.exposures == found.exposures
    np.testing.assert_array_equal(again.own_share, found.own_share)
    np.testing.assert_array_equal(again.own_error, found.own_error)
    plain = ErrorModel.from_meta(model.to_meta())
    assert plain.own_share is None
    assert plain != replace(plain, own_error=found.own_error, own_share=found.own_share)


def test_few_stars_tell_nothing(solution, model):
    _, pairs, samples = solution
    assert with_own_stars(model, pairs, samples, pairs.star < 100) is model
