"""What must not change results, or changes them in a known way, whatever the data."""

import numpy as np
import pytest
from astropy import units as u
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from jwst_hpastrom.distortion import DistortionCorrection, PolynomialCorrection, TableCorrection
from jwst_hpastrom.epsf import Image, measure_stars
from jwst_hpastrom.errors import BadCatalogError
from jwst_hpastrom.frame import build_master
from jwst_hpastrom.geometry import fit_linear, fit_polynomial
from jwst_hpastrom.motion.many_epoch import fit_epochs
from jwst_hpastrom.motion.two_epoch import two_epoch_motions
from tests.epsf.conftest import make_field, make_library
from tests.frame.test_master import dithers, reference_of, sky
from tests.motion.many_epoch.test_motions import field as epochs_field
from tests.motion.many_epoch.test_motions import star_numbers
from tests.motion.two_epoch.test_motions import scene

#: the same cases each time; failing ones are not made simpler, which takes minutes
COMMON = {"deadline": None, "derandomize": True, "phases": [Phase.explicit, Phase.generate]}
few = settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow], **COMMON)
many = settings(max_examples=30, **COMMON)
SEEDS = st.integers(0, 2**32 - 1)
SIDE = 96
ONE = make_library(0.8, np.array([SIDE / 2]))  # round, and the same all over the field


# -- star fits
def stars_on_sky(seed, n=14):
    """Stars that keep clear of the borders and of each other, noisy."""
    rng = np.random.default_rng(seed)
    y, x = (g.ravel()[:n] + rng.uniform(-2, 2, n) for g in np.mgrid[26:70:4j, 26:70:4j])
    flux = 10 ** rng.uniform(1.8, 2.8, n)
    return make_field(x, y, flux, shape=(SIDE, SIDE), rng=rng, one_sigma=0.8).image


def changed(image, change, scale=1.0):
    data, err = (np.ascontiguousarray(change(np.asarray(a) * scale)) for a in (image.data, image.err))
    bad, saturated = (np.ascontiguousarray(change(a)) for a in (image.bad, image.saturated))
    return Image(data, err, bad, saturated, image.name)


def fitted(image):
    t = measure_stars(image, ONE)
    return {
        c: np.asarray(t[c], float) for c in ("x", "y", "x_err", "y_err", "flux", "flux_err", "mag", "sky")
    }


def same_fluxes(one, two, row):
    """To a fiftieth of their errors: the fits stop when they have converged to that."""
    assert np.all(np.abs(two["flux"][row] - one["flux"]) < 0.02 * one["flux_err"])
    np.testing.assert_allclose(two["flux_err"][row], one["flux_err"], rtol=1e-3)


def nearest(a, b, x, y):
    """Rows of b that are at (x, y)."""
    d = np.hypot(b["x"] - x[:, None], b["y"] - y[:, None])
    assert len(a["x"]) == len(b["x"])
    assert d.min(1).max() < 1e-3
    return d.argmin(1)


@few
@given(SEEDS, st.integers(-9, 9), st.integers(-9, 9))
def test_a_shift_by_whole_pixels_shifts_stars(seed, i, j):
    image = stars_on_sky(seed)
    one, two = fitted(image), fitted(changed(image, lambda a: np.roll(a, (j, i), (0, 1))))
    row = nearest(one, two, one["x"] + i, one["y"] + j)
    for c, plus in (("x", i), ("y", j)):
        np.testing.assert_allclose(two[c][row], one[c] + plus, atol=2e-4)
    same_fluxes(one, two, row)


@few
@given(SEEDS)
def test_a_quarter_turn_turns_stars(seed):
    image = stars_on_sky(seed)
    one, two = fitted(image), fitted(changed(image, np.rot90))
    x, y = one["y"], SIDE - 1 - one["x"]
    row = nearest(one, two, x, y)
    np.testing.assert_allclose(two["x"][row], x, atol=1e-4)
    np.testing.assert_allclose(two["y"][row], y, atol=1e-4)
    np.testing.assert_allclose(two["x_err"][row], one["y_err"], rtol=1e-3)
    same_fluxes(one, two, row)


@few
@given(SEEDS, st.floats(-6, 6))
def test_units_of_the_pixels_scale_fluxes_only(seed, power):
    image, scale = stars_on_sky(seed), 10**power
    one, two = fitted(image), fitted(changed(image, np.asarray, scale))
    row = nearest(one, two, one["x"], one["y"])
    np.testing.assert_allclose(two["x"][row], one["x"], atol=1e-4)
    np.testing.assert_allclose(two["x_err"][row], one["x_err"], rtol=1e-3)
    for c in ("flux", "flux_err", "sky"):
        np.testing.assert_allclose(two[c][row], one[c] * scale, rtol=1e-3, atol=1e-4 * scale)
    np.testing.assert_allclose(two["mag"][row], one["mag"] - 2.5 * power, atol=1e-3)


# -- transformations
def pairs(seed, n=60):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 2048, (2, n))
    u, v = x + 1e-4 * y + 3 + rng.normal(0, 0.01, n), y - 2e-4 * x - 8 + rng.normal(0, 0.01, n)
    u[:3] += 5  # that do not belong
    return x, y, u, v


FITS = {
    "4": lambda *a: fit_linear(*a, parameters=4), "6": lambda *a: fit_linear(*a, parameters=6),
    "cubic": lambda *a: fit_polynomial(*a, 3),
}  # fmt: skip


@pytest.mark.parametrize("fit", FITS)
@many
@given(SEEDS, st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.integers(0, 3), st.floats(1e-3, 1e3))
@example(seed=249, a=-38790.428, b=0.0, turns=0, scale=115.743)
def test_fits_of_transformations_follow_the_plane(fit, seed, a, b, turns, scale):
    """Whatever origin, axes and unit the target has: the same pairs, and residuals in that unit.

    By quarter turns only, since pairs are clipped by the scatter along either axis.
    """
    x, y, u, v = pairs(seed)
    turn = 90 * turns
    c, s = scale * np.cos(np.deg2rad(turn)), scale * np.sin(np.deg2rad(turn))
    one, two = FITS[fit](x, y, u, v), FITS[fit](x, y, c * u - s * v + a, s * u + c * v + b)
    np.testing.assert_array_equal(one.keep, two.keep)
    p, q = one.transform.forward(x, y)
    size = 1e-9 * (scale * 3000 + abs(a) + abs(b))
    np.testing.assert_allclose(
        two.transform.forward(x, y), [c * p - s * q + a, s * p + c * q + b], rtol=0, atol=size
    )


@pytest.mark.parametrize("fit", FITS)
@many
@given(SEEDS, st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.randoms(use_true_random=False))
def test_fits_of_transformations_know_no_order_and_no_origin(fit, seed, a, b, random):
    x, y, u, v = pairs(seed)
    order = random.sample(range(x.size), x.size)
    one, two = FITS[fit](x, y, u, v), FITS[fit](x[order] + a, y[order] + b, u[order], v[order])
    np.testing.assert_array_equal(one.keep[order], two.keep)
    np.testing.assert_allclose(
        two.transform.forward(x + a, y + b), one.transform.forward(x, y), rtol=0, atol=1e-6
    )


# -- master frame
def lists_of(seed, n=4, stars=250):
    rng = np.random.default_rng(seed)
    truth = sky(rng, stars)
    return dithers(rng, truth, n), truth


def compare_tables(one, two, columns, shift=(0.0, 0.0), rtol=1e-6, atol=1e-6):
    assert len(one) == len(two)
    d = np.hypot(
        *(
            np.subtract.outer(np.asarray(one[c]) + s, np.asarray(two[c]))
            for c, s in zip("xy", shift, strict=True)
        )
    )
    row = d.argmin(1)
    assert d.min(1).max() < 1e-4
    for c in columns:
        np.testing.assert_allclose(
            np.asarray(two[c])[row], np.asarray(one[c]), rtol=rtol, atol=atol, err_msg=c
        )


FRAME = ("x_err", "y_err", "mag", "mag_err", "n_used", "x_rms")


@few
@given(SEEDS, st.randoms(use_true_random=False))
def test_a_frame_knows_no_order_of_exposures_and_stars(seed, random):
    lists, truth = lists_of(seed)
    reference = reference_of(truth)
    one = build_master(lists, reference=reference).table
    mixed = [t[random.sample(range(len(t)), len(t))] for t in random.sample(lists, len(lists))]
    two = build_master(mixed, reference=reference[random.sample(range(len(reference)), len(reference))]).table
    compare_tables(one, two, FRAME)


@few
@given(SEEDS, st.floats(-5, 5))
def test_a_frame_s_magnitudes_move_with_the_unit_of_flux(seed, more):
    lists, truth = lists_of(seed)
    one = build_master(lists, reference=reference_of(truth)).table
    for t in lists:
        t["mag"] += more
    two = build_master(lists, reference=reference_of(truth)).table
    one["mag"] += more
    compare_tables(one, two, FRAME)


@few
@given(SEEDS, st.floats(-150, 150))
def test_a_frame_moves_around_the_sky_with_its_exposures(seed, angle):
    lists, _ = lists_of(seed)
    one = build_master(lists).table
    for t in lists:
        t["ra"] = (t["ra"] + angle) % 360
    two = build_master(lists).table
    compare_tables(one, two, FRAME, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.sort((one["ra"] + angle) % 360), np.sort(two["ra"]), atol=1e-8)


def refused_or_no_better(make, lists, again, columns):
    """An exposure given again, under another name, must not make errors smaller."""
    one = make(lists).table
    copy = lists[again].copy()
    copy.meta["filename"] = "jw09999999999_nis_cal.fits"
    try:
        two = make([*lists, copy]).table
    except BadCatalogError:
        return
    for c in columns:
        assert np.nanmedian(two[c]) >= 0.99 * np.nanmedian(one[c]), c


@few
@given(SEEDS, st.integers(0, 3))
def test_an_exposure_given_twice_makes_no_frame_better(seed, again):
    refused_or_no_better(build_master, lists_of(seed)[0], again, ("x_err", "y_err", "mag_err"))


# -- motions of two epochs
MOTIONS = ("pmra", "pmdec", "pmra_error", "pmdec_error")


def motions(master, first):
    t = two_epoch_motions(master, first).table
    return t[np.argsort(t["id"])]


@few
@given(SEEDS, st.randoms(use_true_random=False))
def test_motions_know_no_order(seed, random):
    master, first, _, _ = scene(seed, n=300)
    one = motions(master, first)
    two = motions(*(t[random.sample(range(len(t)), len(t))] for t in (master, first)))
    for c in MOTIONS:
        np.testing.assert_allclose(two[c], one[c], rtol=1e-6, atol=1e-7, err_msg=c)


@few
@given(
    SEEDS,
    st.sampled_from([(u.deg, u.mas, u.mas / u.yr), (u.rad, u.arcsec, u.arcsec / u.yr),
                     (u.hourangle, u.uas, u.mas / (100 * u.yr))]),
)  # fmt: skip
def test_motions_know_no_units(seed, units):
    master, first, _, _ = scene(seed, n=300)
    one = motions(master, first)
    kinds = {u.deg: ("ra", "dec"), u.mas: ("ra_error", "dec_error"), u.mas / u.yr: MOTIONS}
    for own, to in zip(kinds, units, strict=True):
        for c in kinds[own]:
            first[c] = (np.asarray(first[c]) * own).to(to)
    two = motions(master, first)
    for c in MOTIONS:
        np.testing.assert_allclose(two[c], one[c], rtol=1e-5, atol=1e-6, err_msg=c)


@few
@given(SEEDS, st.floats(-150, 150), st.floats(0.1, 10.0))
def test_motions_follow_sky_and_time(seed, angle, slower):
    """A turned sky changes nothing; the same displacements in a longer time are slower motions."""
    master, first, _, _ = scene(seed, n=300)
    first.remove_columns(["pmra", "pmdec", "pmra_error", "pmdec_error"])
    one = motions(master, first)
    master.meta["epoch"] = first.meta["epoch"] + slower * (master.meta["epoch"] - first.meta["epoch"])
    for t in (master, first):
        t["ra"] = (np.asarray(t["ra"]) + angle) % 360
        t.meta["ra_tangent"] = (t.meta["ra_tangent"] + angle) % 360
    two = motions(master, first)
    for c in MOTIONS:
        np.testing.assert_allclose(two[c] * slower, one[c], rtol=1e-3, atol=1e-4, err_msg=c)


# -- motions of many epochs
def many_epochs(lists, gaia):
    t = fit_epochs(lists, gaia, models="linear", transformation_errors="formal").table
    return t[np.argsort(star_numbers(t))]


@few
@given(SEEDS, st.randoms(use_true_random=False))
def test_motions_of_many_epochs_know_no_order(seed, random):
    lists, gaia, _ = epochs_field(seed, n=80)
    one = many_epochs(lists, gaia)
    mixed = [t[random.sample(range(len(t)), len(t))] for t in random.sample(lists, len(lists))]
    two = many_epochs(mixed, gaia[random.sample(range(len(gaia)), len(gaia))])
    assert list(one["source_name"]) == list(two["source_name"])
    for c in MOTIONS:
        np.testing.assert_allclose(two[c], one[c], rtol=1e-5, atol=1e-6, err_msg=c)


@few
@given(SEEDS, st.integers(0, 7))
def test_an_epoch_given_twice_makes_no_motion_better(seed, again):
    lists, gaia, _ = epochs_field(seed, n=80)

    def make(lists):
        return fit_epochs(lists, gaia, models="linear", transformation_errors="formal")

    refused_or_no_better(make, lists, again, ("pmra_error", "pmdec_error"))


# -- distortion
def correction_of(seed, shape=(256, 256)):
    rng = np.random.default_rng(seed)
    n = 20  # terms of degree 5 beyond the shift
    a, b = rng.normal(0, 0.3, (2, n))
    middle, half = (127.5, 127.5), 128.0
    polynomial = PolynomialCorrection(5, a, b, middle, half)
    tables = rng.normal(0, 0.02, (2, 8, 8))
    nothing = np.zeros((8, 8))
    table = TableCorrection(*tables, nothing, nothing, nothing.astype(int), shape)
    return DistortionCorrection(polynomial, table, shape=shape)


@many
@given(SEEDS)
def test_a_distortion_is_undone(seed):
    correction = correction_of(seed)
    x, y = np.random.default_rng(seed + 1).uniform(-0.5, 255.5, (2, 300))
    u, v = correction.forward(x, y)
    np.testing.assert_allclose(correction.inverse(u, v), [x, y], atol=1e-6)
    order = np.argsort(x)  # one by one, in whatever order
    np.testing.assert_array_equal(correction.forward(x[order], y[order]), [u[order], v[order]])
    np.testing.assert_array_equal(correction.forward(x[7], y[7]), [u[7], v[7]])
