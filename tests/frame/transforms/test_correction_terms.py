"""What a correction's error does to offset and slopes of the transformation that rests on some stars."""

from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.frame.transforms.correction_terms import border_variances, correction_terms

SHAPE, BINS = (512, 512), 64


def fields(rng, n):
    """Smooth errors on square bins, twice as large in x, without offset and slopes over the detector."""
    raw = gaussian_filter(rng.normal(0, 1, (n, 2, BINS, BINS)), (0, 0, 3, 3), mode="wrap") * 0.1
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, BINS)])
    q, _ = np.linalg.qr(np.stack([np.ones(x.size), x.ravel(), y.ravel()], 1))
    flat = raw.reshape(2 * n, -1)
    return (flat - (flat @ q) @ q.T).reshape(raw.shape) * np.array([2.0, 1.0])[:, None, None]


def test_the_terms_scatter_as_stated():
    rng = np.random.default_rng(4)
    model = ErrorModel.from_samples(fields(rng, 60), SHAPE)
    x, y = rng.uniform(0, 511, (2, 70))
    weights = rng.exponential(1.0, 70) ** 2
    terms = np.stack([np.ones(70), (x - 255.5) / 256, (y - 255.5) / 256], 1)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    found = correction_terms(SimpleNamespace(uncertainty=model), x, y, terms, weights, turn)
    root = np.sqrt(weights)[:, None]
    at, moved = [(y + 0.5) / 8 - 0.5, (x + 0.5) / 8 - 0.5], []
    for field in fields(rng, 400):
        errors = turn @ np.stack([map_coordinates(f, at, order=1, mode="nearest") for f in field])
        moved.append(np.linalg.lstsq(terms * root, errors.T * root, rcond=None)[0].T.ravel())
    ratio = np.std(moved, axis=0) / np.sqrt(np.diag(found))
    assert np.all((ratio > 0.75) & (ratio < 1.2)), ratio
    seen = np.corrcoef(np.transpose(moved))
    stated = found / np.sqrt(np.outer(np.diag(found), np.diag(found)))
    assert np.abs(seen - stated).max() < 0.25


def test_no_stated_errors_and_windows():
    rng = np.random.default_rng(5)
    model = ErrorModel.from_samples(fields(rng, 20), SHAPE)
    x, y = rng.uniform(100, 200, (2, 30))
    terms, weights = np.stack([np.ones(30), x / 256, y / 256], 1), np.ones(30)
    whole = SimpleNamespace(uncertainty=model)
    window = SimpleNamespace(full=whole, origin=SimpleNamespace(forward=lambda x, y: (x + 100, y + 50)))
    here = correction_terms(whole, x, y, terms, weights, np.eye(2))
    there = correction_terms(window, x - 100, y - 50, terms, weights, np.eye(2))
    np.testing.assert_allclose(there, here, rtol=1e-10)
    assert not correction_terms(SimpleNamespace(), x, y, terms, weights, np.eye(2)).any()


def two_detectors(n_shared, n=400):
    """Two exposures each of two detectors, some stars on both; star 0 of every list is none."""
    star = np.concatenate([np.r_[-1, np.arange(1, n)], n - n_shared + np.arange(n)])
    star, rows = np.concatenate([star[:n], star[:n], star[n:], star[n:]]), np.arange(4 * n)
    m = SimpleNamespace(
        exposure=rows // n, raw_x=rows % n * 1.0, raw_y=rows % n * 0.0,
        of=lambda k: slice(k * n, (k + 1) * n),
    )  # fmt: skip
    return m, star, np.repeat([0, 1], 2)


def test_stars_of_a_border_together_say_what_one_place_does():
    m, star, which = two_detectors(20)
    error = SimpleNamespace(error=lambda x, y: (np.full(x.size, 0.003), np.full(x.size, 0.004)))
    found = border_variances(m, star, [error] * 4, which)
    both = np.isin(star, np.intersect1d(star[which[m.exposure] == 0], star[which[m.exposure] == 1]))
    both &= star >= 0
    assert both.sum() == 80
    assert not found[~both].any()
    for d in (0, 1):
        told = 1.0 / np.sum(1.0 / found[both & (which[m.exposure] == d)])
        np.testing.assert_allclose(told, 0.5 * (0.003**2 + 0.004**2))
    unknown = SimpleNamespace(error=lambda x, y: np.full((2, x.size), np.nan))
    assert not border_variances(m, star, [unknown] * 4, which).any()


def test_detectors_that_share_more_than_a_border_keep_their_weights():
    m, star, which = two_detectors(100)
    error = SimpleNamespace(error=lambda x, y: np.full((2, x.size), 0.003))
    assert not border_variances(m, star, [error] * 4, which).any()
