"""The builder's cores against slow, obvious twins."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_hpastrom.epsf.fit import add_models
from jwst_hpastrom.epsf.kernels.star_fit import N_OUT
from jwst_hpastrom.epsf.stamps import _kernels as kernels
from jwst_hpastrom.epsf.stamps._sample_kernels import grid_samples
from jwst_hpastrom.epsf.stamps._sky_kernels import mesh_means
from jwst_hpastrom.epsf.stamps.neighbors import HALF, Stamps
from jwst_hpastrom.epsf.stamps.samples import (
    BINS,
    MISFIT_FLOOR,
    RINGS,
    Samples,
    collect_samples,
    hat_weights,
    sample_scatter,
)

SIDE = 2 * HALF + 1


def library_args(library):
    return library.coefficients, library.x, library.y, library.knots


@pytest.fixture
def stamps(library):
    """Six stamps of noisy stars at known places, with a few pixels missing."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(20, 107, (2, 6))
    flux = rng.uniform(50, 200, 6)
    ox, oy = np.round(x).astype(int) - HALF, np.round(y).astype(int) - HALF
    k = np.arange(SIDE)
    dx = ox[:, None, None] + k - x[:, None, None]
    dy = oy[:, None, None] + k[:, None] - y[:, None, None]
    model = library.evaluate(dx, dy, x[:, None, None], y[:, None, None])
    clean = flux[:, None, None] * model * 1.03 + rng.normal(0, 0.05, (6, SIDE, SIDE))
    clean[rng.random(clean.shape) < 0.01] = np.nan
    base = np.full(clean.shape, 0.05**2)
    return clean.astype(np.float32), base.astype(np.float32), ox, oy, x, y, flux


def slow_samples(library, clean, base, ox, oy, x, y, flux, slope, limit, nodes):
    n = library.data.shape[-1]
    fields = nodes[0].size * nodes[1].size
    sum_wr, sum_w = np.zeros((fields, n, n)), np.zeros((fields, n, n))
    overlap, histogram = np.zeros((RINGS, fields, fields)), np.zeros((RINGS, BINS))
    used = dropped = 0
    for s in range(x.size):
        share = hat_weights(nodes, x[s : s + 1], y[s : s + 1])[0]
        for j in range(SIDE):
            for i in range(SIDE):
                dx, dy = ox[s] + i - x[s], oy[s] + j - y[s]
                if max(abs(dx), abs(dy)) > library.half_width or not np.isfinite(clean[s, j, i]):
                    continue
                m = float(library.evaluate(dx, dy, x[s], y[s]))
                r = float(clean[s, j, i]) / flux[s] - m
                var = (base[s, j, i] + slope * flux[s] * m) / flux[s] ** 2 + (MISFIT_FLOOR * m) ** 2
                chi, ring = abs(r) / np.sqrt(var), min(int(np.hypot(dx, dy)), RINGS - 1)
                histogram[ring, min(int(10 * chi), BINS - 1)] += 1
                if chi > limit[ring]:
                    dropped += 1
                    continue
                used += 1
                overlap[ring] += np.outer(share, share) / var
                u, v = dx * library.oversampling + n // 2, dy * library.oversampling + n // 2
                for gj in range(n):
                    for gi in range(max(int(u) - 1, 0), min(int(u) + 3, n)):
                        w = max(0.0, 1 - abs(gj - v)) * max(0.0, 1 - abs(gi - u)) / var
                        if w > 0:
                            sum_w[:, gj, gi] += share * w
                            sum_wr[:, gj, gi] += share * w * r
    return sum_wr, sum_w, overlap, histogram, used, dropped


@pytest.mark.parametrize("nodes", [(np.array([60.0]), np.array([60.0])), (np.array([0.0, 127.0]),) * 2])
@pytest.mark.parametrize("knots", [4, 8])
def test_grid_samples(library, stamps, nodes, knots):
    library = replace(library)
    library.__dict__["knots"] = knots
    stamps = tuple(a[:2] for a in stamps)
    limit = np.full(RINGS, 3.0)
    expected = slow_samples(library, *stamps, 0.01, limit, nodes)
    sums = [np.zeros_like(a) for a in expected[:4]]
    clean, base, ox, oy, x, y, flux = stamps
    tally = grid_samples(
        clean, base, ox, oy, np.arange(2), x, y, flux, *library_args(library), library.oversampling,
        library.half_width, 0.01, MISFIT_FLOOR, limit, *nodes, *sums, np.zeros((2, 2)),
    )  # fmt: skip
    assert tally == expected[4:]
    if nodes[0].size == 1:  # one field position has nothing to overlap with
        expected[2][:] = 0
    for got, want in zip(sums, expected[:4], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6 * np.abs(want).max() + 1e-300)


def test_samples_of_parts_of_the_stars_are_those_of_all(library, stamps):
    clean, base, ox, oy, x, y, flux = stamps
    limit, odd = np.full(RINGS, 3.0), np.arange(6) % 2 == 1

    def sampled(use):
        return collect_samples(Stamps(clean, base, ox, oy), library, x, y, flux, use, 0.01, limit)

    whole, both = (
        sampled(np.arange(6) != 4),
        Samples.of_all([sampled(odd), sampled(~odd & (np.arange(6) != 4))]),
    )
    for name in ("sum_w", "sum_wr", "overlap", "histogram", "misfit", "used", "dropped"):
        np.testing.assert_allclose(
            getattr(both, name), getattr(whole, name), rtol=1e-6, atol=1e-3, err_msg=name
        )
    assert np.isnan(both.misfit[4])


def test_fit_stamps_finds_the_stars(library, stamps):
    clean, base, ox, oy, x, y, flux = stamps
    out = np.empty((x.size, N_OUT))
    kernels.fit_stamps(
        clean, base, ox, oy, *library_args(library), x + 0.1, y - 0.1, flux, 0.0, 2, 1e-5, 2.0, out
    )
    assert (np.abs(out[:, 0] - x) < 5 * np.sqrt(out[:, 4])).all()
    assert (np.abs(out[:, 1] - y) < 5 * np.sqrt(out[:, 5])).all()
    assert (np.abs(out[:, 2] - 1.03 * flux) < 5 * np.sqrt(out[:, 7])).all()


def test_stamps_and_catalog_leave_one_star(library):
    """Subtracting all stars and adding one back gives the image of that star alone."""
    rng = np.random.default_rng(2)
    x, y = np.array([60.2, 66.1, 50.7]), np.array([60.4, 57.9, 71.3])
    flux, radius = np.array([100.0, 30.0, 50.0]), np.full(3, 12.5)
    image = np.zeros((128, 128))
    add_models(image, library, x, y, flux, 1.0, radius)
    jj, ii = np.mgrid[:128, :128]
    slow = sum(
        f * library.evaluate(ii - a, jj - b, a, b) * (np.hypot(ii - a, jj - b) <= 12.5)
        for a, b, f in zip(x, y, flux, strict=True)
    )
    np.testing.assert_allclose(image, slow, atol=1e-9)
    resid = image.copy()
    add_models(resid, library, x, y, flux, -1.0, radius)
    np.testing.assert_allclose(resid, 0, atol=1e-9)
    bad = rng.random(image.shape) < 0.01
    clean, base = np.empty((1, SIDE, SIDE), np.float32), np.empty((1, SIDE, SIDE), np.float32)
    ox, oy = np.array([60 - HALF]), np.array([60 - HALF])
    kernels.cut_stamps(
        image,
        resid,
        bad,
        *library_args(library),
        x[:1],
        y[:1],
        flux[:1],
        radius,
        ox,
        oy,
        0.1,
        0.5,
        clean,
        base,
    )
    part = np.s_[60 - HALF : 61 + HALF, 60 - HALF : 61 + HALF]
    own = flux[0] * library.evaluate(ii - x[0], jj - y[0], x[0], y[0])[part]
    own[np.hypot(ii - x[0], jj - y[0])[part] > 12.5] = 0
    assert (np.isnan(clean[0]) == bad[part]).all()
    good = ~bad[part]
    np.testing.assert_allclose(clean[0][good], own[good], atol=1e-5)
    np.testing.assert_allclose(
        base[0][good], (0.1 + 0.5 * np.maximum(image[part] - own, 0))[good], rtol=1e-5, atol=1e-5
    )


def test_refine_catalog_separates_neighbors(library):
    rng = np.random.default_rng(4)
    x, y = np.array([60.2, 62.6, 40.0]), np.array([60.4, 58.9, 30.5])
    flux, radius = np.array([100.0, 40.0, 20.0]), np.full(3, 12.5)
    image = rng.normal(0, 0.01, (128, 128))
    add_models(image, library, x, y, flux, 1.0, radius)
    u, v = x + np.array([0.2, -0.2, 0.1]), y - np.array([0.1, 0.2, 0.2])
    f = flux * np.array([0.9, 1.2, 1.0])
    resid = image.copy()
    add_models(resid, library, u, v, f, -1.0, radius)
    weight, order, half = np.full(image.shape, 1e4), np.array([0, 1, 2]), np.full(3, 2)
    for _ in range(15):
        kernels.refine_catalog(resid, weight, *library_args(library), u, v, f, radius, half, order, 1.0, 1e-4)
    np.testing.assert_allclose(u, x, atol=5e-3)
    np.testing.assert_allclose(v, y, atol=5e-3)
    np.testing.assert_allclose(f, flux, rtol=5e-3)
    after = image.copy()
    add_models(after, library, u, v, f, -1.0, radius)
    np.testing.assert_allclose(resid, after, atol=1e-9)  # kept up to date


def test_mesh_means():
    rng = np.random.default_rng(5)
    image, skip = rng.normal(1, 0.1, (96, 96)), rng.random((96, 96)) < 0.2
    image[rng.random(image.shape) < 0.03] += 50
    mean, count = np.empty((3, 3)), np.empty((3, 3))
    mesh_means(image, skip, 32, 3.0, mean, count)
    jj, ii = np.mgrid[:32, :32]
    for b in range(3):
        for a in range(3):
            part = np.s_[32 * b : 32 * b + 32, 32 * a : 32 * a + 32]
            v = image[part][~skip[part] & ((jj + ii) % 2 == 0)]
            assert count[b, a] == v.size
            spread = 1.4826 * np.median(np.abs(v - np.median(v)))
            np.testing.assert_allclose(mean[b, a], v[np.abs(v - np.median(v)) <= 3 * spread].mean())


def test_sample_scatter():
    rng = np.random.default_rng(7)
    histogram = np.zeros((RINGS, BINS))
    histogram[3] = np.histogram(np.abs(rng.normal(0, 2.5, 20000)), np.arange(BINS + 1) / 10)[0]
    scatter = sample_scatter(histogram)
    np.testing.assert_allclose(scatter[3], 2.5, rtol=0.03)
    assert np.isinf(scatter[0])
