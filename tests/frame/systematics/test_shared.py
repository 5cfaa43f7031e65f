"""What the exposures of a frame share, which their scatter does not show, against known amounts."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, Flag, make_table
from jwst_hpastrom.frame import build_master, combine_errors, position_errors
from jwst_hpastrom.frame.errors import empirical_errors
from jwst_hpastrom.frame.systematics.detector import HIDDEN, SHOWN, _pattern, _unit_size
from jwst_hpastrom.geometry import IdentityMapping, LinearTransform, TangentPlane, fit_linear, match_nearest

PLANE = TangentPlane(80.4875, -69.4975)
SCALE = 65.57
ERROR = 0.003


def smooth_pattern(x, y):
    p, q = x / 1024 - 1, y / 1024 - 1
    return 0.004 * (p**3 - q * q * p), 0.004 * (q**3 - 0.5 * p * p * q)


def random_pattern(rng, size=0.004, signs=False):
    """Every term of second to fourth degree, of one size; or all as large, of random sign."""
    terms = [(i, d - i) for d in (2, 3, 4) for i in range(d + 1)]
    a, b = size * rng.choice((-1.0, 1.0), (2, len(terms))) if signs else rng.normal(0, size, (2, len(terms)))

    def pattern(x, y):
        p, q = x / 1024 - 1, y / 1024 - 1
        each = [p**i * q**j for i, j in terms]
        return sum(c * t for c, t in zip(a, each, strict=True)), sum(
            c * t for c, t in zip(b, each, strict=True)
        )

    return pattern


def local_pattern(rng, cell=32, size=0.004):
    """A random error for every cell of the detector."""
    table = rng.normal(0, size, (2, 70, 70))
    return lambda x, y: tuple(t[(y / cell).astype(int), (x / cell).astype(int)] for t in table)


def lists(rng, pattern, n=6000, n_repeat=1, step=24.0, error=lambda mag: np.full(mag.size, ERROR)):
    """Nine dithers of stars whose positions err by a pattern of the detector; the truth."""
    xi, eta = rng.uniform(-95, 95, (2, n))
    mag = rng.uniform(-8, -5, n)
    out = []
    for k in range(9):
        for r in range(n_repeat):
            du, dv = step * (k % 3 - 1), step * (k // 3 - 1)
            x = 1023.5 - (xi - du) * 1e3 / SCALE
            y = 1023.5 + (eta - dv) * 1e3 / SCALE
            s = np.flatnonzero((x > 0) & (x < 2047) & (y > 0) & (y < 2047))
            x, y = x[s], y[s]
            dx, dy = pattern(x, y)
            ra, dec = PLANE.to_sky(xi[s], eta[s])
            own = error(mag[s])
            out.append(
                Table(
                    {"x": x + dx + rng.normal(0, own), "y": y + dy + rng.normal(0, own),
                     "x_err": own, "y_err": own, "mag": mag[s] + rng.normal(0, 0.003, s.size),
                     "mag_err": np.full(s.size, 0.003), "flags": np.zeros(s.size, int), "ra": ra, "dec": dec},
                    meta={"filename": f"e{k}{r}_cal.fits", "filter": "", "epoch": 2022.33},
                )
            )  # fmt: skip
    return out, PLANE.to_pixels(xi, eta)


def pulls(table, truth, radius=0.5):
    i, j, _ = match_nearest(table["x"], table["y"], *truth, radius)
    x, y = np.asarray(table["x"])[i], np.asarray(table["y"])[i]
    u, v = fit_linear(x, y, truth[0][j], truth[1][j]).transform.forward(x, y)
    return (u - truth[0][j]) / table["x_err"][i], (v - truth[1][j]) / table["y_err"][i]


def true_and_stated(table, truth):
    """Mean squares of the true errors, six parameters removed, and of the stated ones, of either axis."""
    i, j, _ = match_nearest(table["x"], table["y"], *truth, 0.5)
    x, y = np.asarray(table["x"])[i], np.asarray(table["y"])[i]
    u, v = fit_linear(x, y, truth[0][j], truth[1][j], sigma=None).transform.forward(x, y)
    true = np.array([np.mean((u - truth[0][j]) ** 2), np.mean((v - truth[1][j]) ** 2)])
    return true, np.array([np.mean(np.asarray(table[f"{c}_err"])[i] ** 2) for c in "xy"])


def no_pattern(x, y):
    return 0 * x, 0 * x


@pytest.mark.parametrize(
    ("pattern", "n_repeat"), [("none", 2), ("smooth", 1), ("smooth", 2), ("local", 1), ("local", 2)]
)
def test_errors_hold_what_dithers_share(pattern, n_repeat):
    rng = np.random.default_rng(5)
    of = {"none": no_pattern, "smooth": smooth_pattern, "local": local_pattern(rng)}[pattern]
    made, truth = lists(rng, of, n_repeat=n_repeat)
    frame = build_master(made, correction=IdentityMapping(), plane=PLANE)
    table = frame.table
    true, stated = true_and_stated(table, truth)
    for k, (p, axis) in enumerate(zip(pulls(table, truth), "xy", strict=True)):
        if pattern == "smooth":
            # this one has no quadratic terms, which the law takes to be as large as the others: without them
            # the terms that are seen, of 6000 stars to a few per cent, are all that there is
            seen = stated[k] - frame.table.meta[f"{axis}_curvature_error"] ** 2
            assert 0.9 < np.sqrt(true[k] / seen) < 1.12
        else:
            assert 0.9 < np.std(p[np.abs(p) < 6]) < (1.17 if pattern == "local" else 1.12)
        share = np.median(table[f"{axis}_err_systematic"] / table[f"{axis}_err"])
        assert share < 0.35 if pattern == "none" else share > (0.25 if pattern == "smooth" else -1)
        empirical = empirical_errors(table[f"{axis}_rms"], table["n_used"])
        np.testing.assert_allclose(table[f"{axis}_err_empirical"], empirical, rtol=1e-12)
    if pattern == "local":
        f = SCALE / 50 * 0.004
        # neighbors within half a cell share it half of the time, repeats always
        expected = f if n_repeat == 2 else f / np.sqrt(2)
        assert frame.table.meta["x_local_error"] == pytest.approx(expected, rel=0.2)
        assert frame.table.meta["x_smooth_error"] < 0.2 * f
        # one pointing's exposures share it, different pointings' do not
        assert (np.median(table["x_err_systematic"]) > 0.2 * f) == (n_repeat == 2)


def test_correction_errors_are_those_that_scatter_does_not_show():
    class Uncertain(LinearTransform):
        def error(self, x, y):
            return np.full(np.shape(x), 0.01), np.full(np.shape(x), 0.02)

    rng = np.random.default_rng(6)
    made, _ = lists(rng, no_pattern, n=1500)
    turned = Uncertain(np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([2047.0, 0.0]))
    # one for all; three each: 9 pairs of 36 share one; each its own: all shows in the scatter
    nine = [Uncertain(turned.matrix, turned.offset) for _ in made]
    for correction, share in ((turned, 1.0), (nine[:3] * 3, 0.25), (nine, 0.0)):
        table = build_master(made, correction=correction, plane=PLANE).table
        full = table[table["n_used"] == 9]
        # the correction turns by a right angle, the frame turns back
        for axis, error in (("x", 0.02), ("y", 0.01)):
            expected, found = error * SCALE / 50 * np.sqrt(share), np.asarray(full[f"{axis}_err_systematic"])
            # nine terms of a pattern that is not there are found with the noise of 13 000 measurements: more
            # than nothing, but a thirtieth of the star's own error at most, in quadrature
            if share:
                np.testing.assert_allclose(found, expected, rtol=0.02)
            else:
                assert np.all(found < 0.25 * np.asarray(full[f"{axis}_err_formal"]))


def test_kinds_of_errors():
    n = 60
    columns = {
        "mag": np.linspace(-7, -4, n), "n_used": np.full(n, 5), "x_err": np.full(n, 0.5),
        "x_err_empirical": np.full(n, 0.03), "x_err_formal": np.full(n, 0.02),
    }  # fmt: skip
    columns |= {c.replace("x_", "y_"): v for c, v in columns.items() if c.startswith("x_")}
    table = make_table(MASTER, columns)
    assert position_errors(table)[0][0] == 0.5
    assert position_errors(table, "empirical")[1][0] == 0.03
    assert position_errors(table, "formal")[0][0] == 0.02
    old = table[[c for c in table.colnames if not c.endswith("empirical")]]
    old["x_err"] = 0.03
    expected = combine_errors(table["x_err_empirical"], table["x_err_formal"], table["n_used"], table["mag"])
    np.testing.assert_allclose(position_errors(old)[0], expected)
    with_more = combine_errors(0.03 * np.ones(n), 0.02 * np.ones(n), table["n_used"], table["mag"], 0.04)
    np.testing.assert_allclose(with_more, np.hypot(expected, 0.04))


@pytest.mark.parametrize(("n", "n_exposures"), [(90, 9), (220, 9), (220, 2)])
def test_few_stars_give_upper_limits(n, n_exposures):
    """The terms that dithers show tell how large the three quadratic ones are, which make most of the error.

    With normal coefficients the true mean square over the stated one scatters like χ² of three degrees of
    freedom, by 0.8 an axis, and the pulls of six fields could be bounded by 1.3 only. All terms are as large
    here, of random sign: what is left is the products of different terms, about half as much, 0.12 for twelve
    axes, 0.06 for the root; and the law's factor of 1.03 for a size that is known from 18 numbers. The old
    bounds are three of these from one.
    """
    true, stated, share = np.zeros(2), np.zeros(2), []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        made, truth = lists(rng, random_pattern(rng, 0.02, signs=True), n=n)
        made = made if n_exposures == 9 else [made[0], made[4]]
        table = build_master(made, correction=IdentityMapping(), plane=PLANE).table
        both = true_and_stated(table, truth)
        true, stated = true + both[0], stated + both[1]
        share.append(np.min(table["x_err_systematic"]))
    assert 0.8 < np.sqrt(true.sum() / stated.sum()) < 1.2
    assert min(share) > 0


@pytest.mark.parametrize(("n", "step", "least", "most"), [(60, 4.0, 0.5, 1.0), (600, 4.0, 0.0, 1.0),
                                                          (600, 12.0, 0.0, 0.03)])  # fmt: skip
def test_a_limit_is_called_one(n, step, least, most, caplog):
    """Wide dithers of 600 stars would show any pattern that matters; narrow ones and few stars do not.

    How many stars narrow dithers leave below what may be is the field's luck; which, is not: those whose
    limit is the largest part of their errors, all of them from one share on.
    """
    shares = []
    for seed in range(1, 5 if n == 60 else 2):
        caplog.clear()
        made, _ = lists(np.random.default_rng(seed), no_pattern, n=n, step=step)
        table = build_master(made, correction=IdentityMapping(), plane=PLANE).table
        limited = np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0
        shares.append(np.mean(limited))
        assert ("SYSTEMATIC_LIMIT" in caplog.text) == limited.any()
        share = np.max([(table[f"{c}_err_systematic"] / table[f"{c}_err"]) ** 2 for c in "xy"], axis=0)
        assert limited[share > 0.5].all()
        if limited.any() and not limited.all():
            # without a pattern all that is not a star's own is a limit, at most (95 %) six times its
            # expectation: a half-Cauchy size that noise cuts off has 5.6
            assert share[limited].min() >= share[~limited].max()
            assert share[limited].min() > 1 / 6
    assert least <= np.mean(shares) <= most


@pytest.mark.parametrize(("seed", "step"), [(6, 6.0), (12, 12.0)])
def test_a_pattern_that_noise_hides_is_called_a_limit(seed, step):
    """Two exposures of few stars: seen as much smaller than it is by chance, or too few to see any."""
    rng = np.random.default_rng(seed)
    made, truth = lists(rng, random_pattern(rng, 0.02), n=90, step=step)
    table = build_master([made[0], made[4]], correction=IdentityMapping(), plane=PLANE).table
    assert max(np.sqrt(np.mean(p**2)) for p in pulls(table, truth, 3.0)) > 3  # what no star may pass for
    assert np.mean(np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0) > 0.9


def test_small_dithers_hide_quadratic_terms():
    """Relative positions of frames without a catalog err by terms that no dither shows."""
    z = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        made, (x, y) = lists(rng, random_pattern(rng, 0.05), n=800, step=3.0)
        table = build_master([made[k] for k in (0, 2, 6, 8)], correction=IdentityMapping(), plane=PLANE).table
        z.append(np.concatenate(pulls(table, (x, y), 3.0)))
        limited = np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0
        assert np.mean(limited) > 0.3  # what no dither shows is called a guess
    assert 0.8 < np.sqrt(np.mean(np.concatenate(z) ** 2)) < 1.2


@pytest.mark.parametrize(("n", "most"), [(20, 5.0), (60, 3.0)])
def test_limits_of_few_stars_are_not_much_more_than_noise(n, most):
    """A pattern that is not there may not be told from noise, but its likely size is."""
    ratio = []
    for seed in range(4):
        made, _ = lists(np.random.default_rng(seed), no_pattern, n=2 * n, step=6.0)
        table = build_master(made[:6], correction=IdentityMapping(), plane=PLANE).table
        ratio.append(np.median(table["x_err"] / table["x_err_formal"]))
    assert 1.0 < np.mean(ratio) < most


def test_what_only_an_official_wcs_corrects_is_as_good_as_its_documentation_says():
    made, _ = lists(np.random.default_rng(1), no_pattern, n=30)
    for t in made:
        t.meta["instrument"] = "NIRISS"
    table = build_master(made[3:5], plane=PLANE).table
    np.testing.assert_allclose(table["x_err_systematic"] * PLANE.scale_mas, 3.0, rtol=0.05)
    assert np.all(np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0)


def test_fine_structure_does_not_leave_the_pattern_to_the_brightest_stars():
    """Where it is the noise of all stars, all of them tell; no field's pattern is taken for a fraction."""
    ratio = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        smooth, fine = random_pattern(rng, 0.08, signs=True), local_pattern(rng, 60, 0.02)
        made, truth = lists(
            rng, lambda x, y, s=smooth, f=fine: tuple(np.add(s(x, y), f(x, y))), n=900, step=1.5,
            error=lambda mag: 0.001 * 10 ** (0.4 * (mag + 8)),
        )  # fmt: skip
        table = build_master([made[k] for k in (0, 2, 6, 8)], correction=IdentityMapping(), plane=PLANE).table
        true, stated = true_and_stated(table, truth)
        ratio.append(np.sqrt(true.sum() / stated.sum()))
    assert max(ratio) < 1.3
    assert 0.85 < np.sqrt(np.mean(np.square(ratio))) < 1.15


def test_what_no_dither_shows_of_a_wcs_is_believed_to_be_as_documented():
    """Dithers of three pixels of few stars tell nothing of their own; without it errors were 0.8 mas."""
    made, _ = lists(np.random.default_rng(1), no_pattern, n=60, step=0.2)
    for t in made:
        t.meta["instrument"] = "NIRISS"
    table = build_master(made[:4], plane=PLANE).table
    assert 1.5 < np.median(table["x_err_systematic"]) * PLANE.scale_mas < 6.0
    assert np.all(np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0)


def test_what_a_wcs_lacks_is_believed_to_fall_with_the_degree():
    """The quadratic terms, which no dither shows, are 1.5 times the cubic ones."""
    p, q = np.random.default_rng(3).uniform(-1, 1, (2, 50))
    same, falling = (_pattern(p, q, HIDDEN + SHOWN, falls) for falls in (0.0, 3.0))
    degree = np.array([2] * 3 + [3] * 4 + [4] * 5)
    np.testing.assert_allclose(falling / same, np.broadcast_to(3.0 / degree, same.shape))
    # a pattern documented to be of this size is, in its coefficients, so much larger as terms are small
    whole = np.sqrt(np.mean(np.sum(falling**2, axis=1)))
    assert 0.3 * whole < _unit_size(p, q, 3.0) < whole


@pytest.mark.parametrize("size", [0.0, 0.0003])
def test_errors_are_not_limits_where_one_exposure_is_far_deeper(size):
    """Its errors are a tenth of the others', who do not show its pattern, nor errors that it does not state.

    No catalog shows the quadratic terms, either: without a pattern errors are a fourth too large.
    """
    true, stated = np.zeros(2), np.zeros(2)
    for seed in range(8):
        both = []
        for error in (0.1 * ERROR, ERROR):
            rng = np.random.default_rng(seed)
            pattern = random_pattern(rng, size)
            both.append(lists(rng, pattern, n=900, step=6.0, error=lambda mag, e=error: np.full(mag.size, e)))
        (deep, truth), (others, _) = both
        made = [deep[0], *(others[k] for k in (2, 6, 8))]
        table = build_master(made, correction=IdentityMapping(), plane=PLANE).table
        both = true_and_stated(table, truth)
        true, stated = true + both[0], stated + both[1]
    assert np.all(np.sqrt(true / stated) > 0.75)
    assert np.all(np.sqrt(true / stated) < 1.15)


def test_a_limit_is_called_one_in_a_solution_of_all_exposures_at_once():
    made, _ = lists(np.random.default_rng(1), no_pattern, n=600, step=12.0)
    flags, errors = [], []
    for together in (False, True):
        table = build_master(made, correction=IdentityMapping(), plane=PLANE, together=together).table
        flags.append(np.mean(np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0))
        errors.append(np.median(table["x_err"]))
    assert max(flags) <= 0.03
    assert errors[1] == pytest.approx(errors[0], rel=0.05)


def test_unknown_is_not_zero(caplog):
    made, _ = lists(np.random.default_rng(1), no_pattern, n=30)
    table = build_master(made[3:5], correction=IdentityMapping(), plane=PLANE).table
    assert np.isnan(table["x_err_systematic"]).all()
    assert np.isfinite(table["x_err"]).all()
    assert "x_err_systematic is unknown" in caplog.text
    assert np.all(np.asarray(table["flags"]) & int(Flag.SYSTEMATIC_LIMIT) != 0)
