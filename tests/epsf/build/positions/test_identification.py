"""Stars of dithered exposures are told from each other by positions and magnitudes alone."""

import numpy as np

from jwst_hpastrom.epsf.build.positions import cross_identify, pointing_error


def exposures(rng, shifts, n=300, lost=0.1):
    x, y, mag = rng.uniform(0, 500, n), rng.uniform(0, 500, n), rng.uniform(15, 20, n)
    planes, mags, truth = [], [], []
    for dx, dy in shifts:
        k = np.flatnonzero(rng.random(n) > lost)
        noise = rng.normal(0, 0.05, (2, k.size))
        planes.append((x[k] + dx + noise[0], y[k] + dy + noise[1]))
        mags.append(mag[k])
        truth.append(k)
    return planes, mags, truth


def test_the_same_star_has_the_same_number():
    rng = np.random.default_rng(1)
    planes, mags, truth = exposures(rng, [(0, 0), (7.3, -4.1), (-12.0, 20.0)])
    planes.append(tuple(rng.uniform(0, 500, (2, 200))))  # another field: matches none
    mags.append(rng.uniform(15, 20, 200))
    ids = cross_identify(planes, mags)
    assert (ids[3] == -1).all()
    number = {}
    right = [number.setdefault(s, i) == i for own, k in zip(ids, truth, strict=False) for s, i in zip(k, own)]
    assert np.mean(right) > 0.99
    assert len(set(number.values())) > 0.99 * len(number)  # and different ones different numbers


def test_an_offset_is_found_or_none_is_given():
    rng = np.random.default_rng(2)
    planes, mags, _ = exposures(rng, [(0, 0), (31.0, -18.0)])
    shift = pointing_error(*planes[1], mags[1], *planes[0], mags[0], 60.0)
    np.testing.assert_allclose(shift, (-31.0, 18.0), atol=0.05)
    other = rng.uniform(0, 500, (2, 250))
    assert pointing_error(*other, rng.uniform(15, 20, 250), *planes[0], mags[0], 60.0) is None
    assert pointing_error(*other[:, :2], np.ones(2), *planes[0], mags[0], 60.0) is None
