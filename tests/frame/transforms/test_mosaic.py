"""Exposures solved for together: what errors of detections in common do to the transformations."""

from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_hpastrom.distortion.model.error_model import ErrorModel
from jwst_hpastrom.frame.transforms.correction_terms import with_corrections
from jwst_hpastrom.frame.transforms.mosaic import _parameters, solve_mosaic
from jwst_hpastrom.geometry import LinearTransform

SIZE, NOISE, TRUST = 512, 0.01, 0.1
#: pointings that the two detectors, one beside the other, have in common
DITHERS = np.array([(0.0, 0.0), (60.0, 10.0), (-20.0, 70.0), (-50.0, -40.0)])
WHICH = np.repeat([0, 1], len(DITHERS))


def exposures(rng, n=700):
    """Detections of two detectors whose stars only dithers tie to each other."""
    sky = rng.uniform(-80, [[2 * SIZE + 100], [SIZE + 80]], (2, n))
    x, y, star, exposure = [], [], [], []
    for k, (dx, dy) in enumerate(np.tile(DITHERS, (2, 1))):
        here = sky[0] - dx - WHICH[k] * (SIZE + 20), sky[1] - dy
        s = np.flatnonzero(np.all([(c > 0) & (c < SIZE - 1) for c in here], 0))
        x, y = [*x, here[0][s]], [*y, here[1][s]]
        star, exposure = [*star, s], [*exposure, np.full(s.size, k)]
    x, y, star, exposure = (np.concatenate(v) for v in (x, y, star, exposure))
    m = SimpleNamespace(
        x=x, y=y, raw_x=x, raw_y=y, exposure=exposure, n_exposures=len(WHICH), reference=star >= 0,
        vu=np.full(x.size, NOISE**2), vv=np.full(x.size, NOISE**2), of=lambda k: exposure == k,
    )  # fmt: skip
    at = np.tile(DITHERS, (2, 1)) + np.outer(WHICH, [SIZE + 20, 0])
    transforms = [LinearTransform(offset=a) for a in at]
    return m, star, transforms


def solved(m, star, transforms, errors):
    """The solution where corrected positions are off, and its parameters (2, 3 n_exposures)."""
    m.u, m.v = np.empty((2, star.size))
    for k, t in enumerate(transforms):
        s = m.of(k)
        m.u[s], m.v[s] = t.forward(m.x[s] + errors[0][s], m.y[s] + errors[1][s])
    averages = SimpleNamespace(used=np.ones(star.size, bool), n_used=np.zeros(star.max() + 1))
    trust = np.full((2, m.n_exposures), TRUST)
    fit = solve_mosaic(m, star, averages, transforms, transforms, floor=0.0, trust=trust, iterations=1)
    found = [_parameters(*v) for v in zip(fit.transforms, fit.center, fit.half_width, strict=True)]
    return fit, np.swapaxes(found, 0, 1).reshape(2, -1)


def test_responses_are_what_shifted_groups_do():
    m, star, transforms = exposures(np.random.default_rng(1))
    none = np.zeros((2, star.size))
    fit, before = solved(m, star, transforms, none)
    group = (m.x[fit.rows] // 100).astype(int) - 1  # the first 100 pixels are of none
    found = fit.responses(m, star, group)
    for g in range(found.shape[2]):
        moved = none.copy()
        moved[:, fit.rows[group == g]] = 0.003
        _, after = solved(m, star, transforms, moved)
        np.testing.assert_allclose(after - before, 0.003 * found[:, :, g], atol=1e-7)


def test_without_a_catalog_scales_scatter_as_the_corrections_errors_make_them():
    rng = np.random.default_rng(2)

    def fields(n):  # without offset and slopes over the detector
        raw = gaussian_filter(rng.normal(0, 1, (n, 2, 64, 64)), (0, 0, 3, 3), mode="wrap") * 0.1
        x, y = np.meshgrid(*2 * [np.linspace(-1, 1, 64)])
        q, _ = np.linalg.qr(np.stack([np.ones(x.size), x.ravel(), y.ravel()], 1))
        flat = raw.reshape(2 * n, -1)
        return (flat - (flat @ q) @ q.T).reshape(raw.shape)

    m, star, transforms = exposures(rng)
    model = ErrorModel.from_samples(fields(60), (SIZE, SIZE))
    fit, before = solved(m, star, transforms, np.zeros((2, star.size)))
    correction = SimpleNamespace(uncertainty=model)
    whole = with_corrections(fit, m, star, [correction] * m.n_exposures, WHICH)
    at, moved = [(m.y + 0.5) / 8 - 0.5, (m.x + 0.5) / 8 - 0.5], []
    detector = WHICH[m.exposure]
    for pair in fields(200).reshape(100, 2, 2, 64, 64):
        each = np.array([[map_coordinates(f, at, order=1, mode="nearest") for f in of] for of in pair])
        errors = np.where(detector == 0, each[0], each[1])
        moved.append(solved(m, star, transforms, errors)[1] - before)
    # first slope of u, second of v: scales of the second detector relative to the first
    for axis, slope in ((0, 1), (1, 2)):
        pick = np.zeros(before.shape[1])
        pick[slope::3] = np.where(WHICH == 1, 1, -1) / len(DITHERS)
        own, stated = (np.sqrt(pick @ f.covariance[axis] @ pick) for f in (fit, whole))
        scatter = np.std([v[axis] @ pick for v in moved])
        expected = np.sqrt(stated**2 - own**2)
        assert 0.7 < scatter / expected < 1.4, (scatter, expected)
        assert stated > 1.2 * own
