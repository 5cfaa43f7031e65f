"""Building a library from dithered images of analytic stars."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from jwst_hpastrom.epsf.build import BuildConfig, build, build_library, iterations
from jwst_hpastrom.epsf.build.trust import (
    kept_phase_error,
    one_phase,
    pixel_phases,
    trusted,
    warn_of_few,
    warn_of_phases,
    well_sampled,
)
from jwst_hpastrom.epsf.image import Image
from jwst_hpastrom.epsf.library import EPSFLibrary
from jwst_hpastrom.epsf.stamps.frames import open_frame
from jwst_hpastrom.errors import DegenerateSolutionError, NotEnoughStarsError, ParameterError
from jwst_hpastrom.geometry import IdentityMapping
from jwst_hpastrom.io.files.checkpoint import Checkpoint
from jwst_hpastrom.storage import Store

SIDE = 300
MIDDLE = (SIDE - 1) / 2


def psi(dx, dy, x):
    """A sharp core and wings, its width changing over the field; the volume within 5 pixels is not 1."""
    s = 0.62 * (1 + 0.02 * (x - MIDDLE) / MIDDLE)
    r2 = dx**2 + dy**2
    return 0.9 * np.exp(-r2 / (2 * s**2)) / (2 * np.pi * s**2) + 0.1 * 3 / np.pi / 9 / (1 + r2 / 9) ** 2.5


def render(x, y, flux, rng, sky=0.3, noise=0.03, gain=400.0):
    data = np.full((SIDE, SIDE), sky)
    for a, b, f in zip(x, y, flux, strict=True):
        i0, i1 = max(int(a) - 16, 0), min(int(a) + 18, SIDE)
        j0, j1 = max(int(b) - 16, 0), min(int(b) + 18, SIDE)
        if i1 <= i0 or j1 <= j0:
            continue
        jj, ii = np.mgrid[j0:j1, i0:i1]
        data[j0:j1, i0:i1] += f * psi(ii - a, jj - b, a)
    err = np.sqrt(noise**2 + np.maximum(data, 0) / gain)
    data = data + rng.normal(0, err)
    bad = rng.random(data.shape) < 0.002
    data[bad] = np.nan
    return Image(data.astype(np.float32), err.astype(np.float32), bad, np.zeros_like(bad), "made")


@dataclass
class Dithered:
    images: list
    planes: list
    x: list
    y: list
    flux: np.ndarray


def dithered(n_exposures, n_bright, n_faint, seed=3, whole_pixels=False):
    rng = np.random.default_rng(seed)
    n = n_bright + n_faint
    u, v = rng.uniform(-25, SIDE + 25, (2, n))
    flux = np.r_[rng.uniform(60, 300, n_bright), rng.uniform(2, 8, n_faint)]
    images, planes, xs, ys = [], [], [], []
    for _ in range(n_exposures):
        dx, dy, turn = *rng.uniform(-12, 12, 2), rng.normal(0, 2e-4)
        if whole_pixels:
            dx, dy, turn = round(dx), round(dy), 0.0
        error = rng.normal(0, 3, 2)  # of the pointing

        def to_plane(x, y, dx=dx, dy=dy, error=error):
            return x - dx + error[0], y - dy + error[1]

        x, y = u + turn * (v - MIDDLE) + dx, v - turn * (u - MIDDLE) + dy
        images.append(render(x, y, flux, rng))
        planes.append(to_plane)
        xs.append(x)
        ys.append(y)
    return Dithered(images, planes, xs, ys, flux)


OPTIONS = {"n_iterations": 12, "n_global": 5, "n_fitted": 2, "grid": 2, "mesh": 50}


@pytest.fixture(scope="module")
def field():
    return dithered(6, 260, 350)


@pytest.fixture(scope="module")
def result(field):
    return build_library(field.images, field.planes, **OPTIONS)


def truth(library, x):
    half = library.data.shape[-1] // 2
    offset = (np.arange(2 * half + 1) - half) / library.oversampling
    values = psi(offset, offset[:, None], x)
    r = np.hypot(offset, offset[:, None])
    return values / (values[r <= 5].sum() / library.oversampling**2), r


def test_recovers_the_true_epsf(result):
    library = result.library
    assert library.data.shape == (4, 101, 101)
    for k, psf in enumerate(library.data):
        true, r = truth(library, library.x[k % 2])
        error = (psf - true) / true.max()
        assert np.sqrt(np.mean(error[r < 2] ** 2)) < 0.008
        assert abs(error[50, 50]) < 0.012
        assert abs(error[(r > 6) & (r < 12)].mean()) < 2e-4  # no sky in the wings
        dots = (-1.0) ** np.add.outer(np.arange(101), np.arange(101))
        assert abs((error * dots)[r < 3].mean()) < 5e-4
    # the field's gradient is found: sharper at the left
    assert library.data[0, 50, 50] > 1.02 * library.data[1, 50, 50]
    np.testing.assert_allclose(library.volumes(), 1, atol=1e-12)
    assert not library.borrowed.any()


def test_positions_and_convergence(field, result):
    table = result.convergence
    assert len(table) == 12
    assert table["model_change"][-1] < 0.01 < table["model_change"][1]
    assert max(table["x_rms"][-1], table["y_rms"][-1]) < 0.006
    assert list(table["positions"][-2:]) == ["fitted"] * 2
    phases = result.phases
    assert phases["n_x_first"].sum() == phases["n_x_last"].sum() == result.stars["used"].sum()
    assert np.nanstd(phases["dy_last"]) < 0.3 * np.nanstd(phases["dy_first"])
    stars = result.stars[result.stars["used"]]
    one = stars[stars["exposure"] == 2]
    d = np.hypot(one["x"][:, None] - field.x[2], one["y"][:, None] - field.y[2])
    near = d.argmin(1)
    assert np.median(d.min(1)) < 0.02  # a few blends are off by more
    pulls = (one["x"] - field.x[2][near]) / one["x_err"]
    assert 0.7 < 1.4826 * np.median(np.abs(pulls)) < 1.6
    volume = 0.9 + 0.2 * (1 - (1 + 25 / 9) ** -1.5)  # of psi within 5 pixels
    np.testing.assert_allclose(np.median(one["flux"] / field.flux[near]), volume, rtol=0.01)


def test_workers_and_files_change_nothing(tmp_path):
    field = dithered(3, 120, 40, seed=5)
    options = OPTIONS | {"n_iterations": 4, "n_global": 2}
    alone = build_library(field.images, field.planes, **options)
    lazy = [lambda image=image: image for image in field.images]
    with Store(0, tmp_path) as store, ThreadPoolExecutor(2) as executor:
        together = build_library(lazy, field.planes, store=store, executor=executor, **options)
        assert store.held == 0
        assert store.written > 3 * SIDE**2 * 5  # pixels and where they are bad, beside the stamps
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(alone.library.data, together.library.data)
    for name in alone.stars.colnames:
        np.testing.assert_array_equal(alone.stars[name], together.stars[name])


def test_stars_that_memory_does_not_hold_are_refused(tmp_path):
    """Pixels and stamps go to files for them before that."""
    field = dithered(3, 120, 40, seed=5)
    options = OPTIONS | {"n_iterations": 4, "n_global": 2}
    work = 3 * SIDE**2 * 150  # of two workers, and half as much for the stars
    with Store(1e9, tmp_path, most=work, workers=2) as store:
        build_library(field.images, field.planes, store=store, **options)
        assert store.budget < work
        assert store.held <= store.budget
    with (
        Store(1e9, tmp_path, most=0.6 * work, workers=2) as store,
        pytest.raises(ParameterError, match=r"too little memory.*stars of 3 exposures in 3 processes"),
    ):
        build_library(field.images, field.planes, store=store, **options)


def test_thin_cells():
    field = dithered(3, 150, 0, seed=8)
    for image in field.images:
        image.bad[:, 200:] = True  # no stars at the right: those ePSFs are borrowed
    result = build_library(
        field.images,
        field.planes,
        **OPTIONS | {"n_iterations": 5, "n_global": 2, "grid": 3, "choose_grid": False},
    )
    assert result.library.borrowed.reshape(3, 3)[:, 2].all()
    assert not result.library.borrowed.reshape(3, 3)[:, 0].any()


def seen(x, y, star, use=None, row=None):
    """What is judged of a build."""
    use = np.ones(star.size, bool) if use is None else use
    state = {"star": star, "use": use, "rows": [row], "fine": False, "difference": None}
    return SimpleNamespace(stars=SimpleNamespace(x=x, y=y), **state)


@pytest.mark.parametrize(("rows", "said"), [(20, True), (14, False)])
def test_exposures_that_are_half_bad_are_named(rows, said, caplog):
    data, bad = np.random.default_rng(1).normal(1, 0.1, (40, 40)), np.zeros((40, 40), bool)
    bad[:rows] = True
    image = Image(data, np.full(data.shape, 0.1), bad, np.zeros_like(bad), "half.fits")
    open_frame(image, min_sn=100.0, isolation=7.0, max_stars=10, mesh=20)
    assert ("half.fits: 50 % of the pixels are bad" in caplog.text) == said


def test_hidden_phase_errors_are_said(caplog):
    """Four dithers at phases 0, 0, 0 and 1/2 are two phases, which hide what they have in common."""
    x = np.repeat(np.arange(40) * 17.3, 4) + np.tile([0, 8.0, 19.0, 5.5], 40)
    y = np.repeat(np.arange(40) * 11.1, 4) + np.tile([0, 8.25, 19.5, 5.75], 40)
    row = {"x_phase": 0.0025, "y_phase": 0.0025}
    run = seen(x, y, np.repeat(np.arange(40), 4), row=row)
    row |= {f"{a}_phase_error": kept_phase_error(run, np.zeros(160), a, row[f"{a}_phase"]) for a in "xy"}
    assert np.isnan(row["x_phase_error"])
    assert row["y_phase_error"] == pytest.approx(0.0025)  # four phases hide nothing
    run.rows.append(row | {"y_phase_error": 0.005})
    warn_of_phases(run)
    messages = [r.message for r in caplog.records]
    assert "in y may keep pixel-phase errors of up to 0.0050 px" in messages[1]
    caplog.clear()
    run.rows.append(row)
    warn_of_phases(run)
    (record,) = caplog.records  # two phases, however small the residuals
    assert "about 1.6 pixel phases in x" in record.message


def test_a_phase_error_that_nobody_measured_is_not_said(caplog):
    x = (np.arange(60) * 17.3)[:, None] + np.array([0.0, 0.4])
    row = dict.fromkeys(("x_phase", "y_phase", "x_phase_error", "y_phase_error"), np.nan)
    run = seen(x.ravel(), x.ravel(), np.repeat(np.arange(60), 2), row=row)
    assert one_phase(run) is None
    warn_of_phases(run)
    assert "about 2.3 pixel phases in x" in caplog.text
    assert "nan" not in caplog.text


def test_a_harmonic_that_three_phases_hide_is_said(caplog):
    """Phases a third of a pixel apart are three, and have the third harmonic in common."""
    x = (np.arange(60) * 17.3)[:, None] + np.array([0.0, 1 / 3, 2 / 3])
    row = {"x_phase": 0.0005, "y_phase": 0.0005}
    run = seen(x.ravel(), x.ravel(), np.repeat(np.arange(60), 3), row=row)
    row |= {f"{a}_phase_error": kept_phase_error(run, np.zeros(180), a, 0.0005) for a in "xy"}
    assert np.isnan(row["x_phase_error"])
    assert one_phase(run) is None
    warn_of_phases(run)
    assert "about 3.0 pixel phases in x" in caplog.text


@pytest.mark.parametrize("phases", [[0.0, 0.15, 0.4], [0.0, 0.5]])
def test_positions_keep_no_more_than_a_difference_from_optics_makes(phases, caplog):
    """What dithers show is one source, how large such a difference is another; two phases hide any."""
    x = ((np.arange(60) * 17.3)[:, None] + phases).ravel()
    run = seen(x, x, np.repeat(np.arange(60), len(phases)))
    free = kept_phase_error(run, np.zeros(x.size), "x", 0.003)
    run.difference = SimpleNamespace(phase_errors=(free / 10, np.inf))
    errors = {f"{a}_phase_error": kept_phase_error(run, np.zeros(x.size), a, 0.003) for a in "xy"}
    assert errors["y_phase_error"] == pytest.approx(free, nan_ok=True)
    assert errors["x_phase_error"] == pytest.approx(free / np.sqrt(101), nan_ok=True)
    run.rows = [errors | {"x_phase": 0.003, "y_phase": 0.003}]
    warn_of_phases(run)
    assert len(caplog.records) == (1 if len(phases) == 3 else 2)


def test_what_positions_keep_is_no_less_than_what_dithers_hide():
    """Three exposures converge slowly where their phases are alike; few stars leave noise."""
    rng = np.random.default_rng(2)
    x = (np.arange(400) * 17.3)[:, None] + np.array([0.0, 0.15, 0.4])
    run, turn = seen(x.ravel(), None, np.repeat(np.arange(400), 3)), 2j * np.pi * np.array([0.0, 0.15, 0.4])
    hidden = max(abs(np.mean(np.exp(k * turn))) for k in (1, 2, 3))
    assert kept_phase_error(run, np.zeros(1200), "x", 0.001) == pytest.approx(0.001 / (1 - hidden))
    noise = rng.normal(0, 0.01, (400, 3))
    offset = (noise - noise.mean(1, keepdims=True)).ravel()
    few = seen(x.ravel(), None, run.star, run.star < 100)
    kept = [kept_phase_error(one, offset, "x", 0.0) for one in (few, run)]
    assert kept[0] == pytest.approx(2 * kept[1], rel=0.15)
    assert 0.0005 < kept[1] < 0.0015
    true = []  # error of the harmonics that are fitted to noise
    for _ in range(40):
        noise = rng.normal(0, 0.01, (400, 3))
        waves = np.exp(2j * np.pi * np.stack([x, 2 * x]))
        waves -= waves.mean(-1, keepdims=True)
        design = np.concatenate([waves.real.reshape(2, -1), waves.imag.reshape(2, -1)])
        true.append(np.linalg.lstsq(design.T, noise.ravel(), rcond=None)[0])
    assert kept[1] == pytest.approx(np.sqrt(0.5 * np.mean(np.sum(np.square(true), 1))), rel=0.25)


@pytest.mark.parametrize(("n", "least", "most"), [(2, 1.0, 2.5), (3, 1.0, 6.0), (9, 3.0, 30.0)])
def test_pixel_phases_are_counted(n, least, most):
    rng = np.random.default_rng(n)
    for _ in range(30):
        dither = rng.uniform(0, 30, n)
        x = (np.arange(60) * 17.3)[:, None] + dither
        number, share = pixel_phases(seen(x.ravel(), None, np.repeat(np.arange(60), n)), "x")
        assert least <= number < most or share > 0.9  # of which the build is refused
        assert share == pytest.approx(abs(np.mean(np.exp(2j * np.pi * dither))))
    assert pixel_phases(seen(x.ravel(), None, np.arange(x.size)), "x") == (0.0, 1.0)


@pytest.mark.parametrize(
    ("n", "found"), [(4, "each star at one pixel phase in x"), (1, "no star in two exposures")]
)
def test_no_dithers_no_epsf_but_the_given_one(n, found, caplog):
    options = OPTIONS | {"n_iterations": 4, "n_global": 2}
    field = dithered(n, 150, 40, seed=6, whole_pixels=True)
    with pytest.raises(DegenerateSolutionError, match=found):
        build_library(field.images, field.planes, **options)
    offset = (np.arange(101) - 50) / 4
    start = EPSFLibrary(psi(offset, offset[:, None], MIDDLE)[None], [MIDDLE], [MIDDLE], 4).normalized()
    result = build_library(field.images, field.planes, start=start, **options | {"brighter_fatter": 1e-7})
    assert found in caplog.records[-1].message
    np.testing.assert_array_equal(result.library.data, start.data)
    assert result.library.brighter_fatter == 1e-7  # what is known of charge goes with the given library


@pytest.mark.parametrize(("n", "said"), [(15, True), (40, False)])
def test_a_handful_of_stars_is_said(n, said, caplog):
    star = np.r_[np.repeat(np.arange(n), 4), np.arange(n, 60), -1]
    warn_of_few(star, np.arange(star.size) < 4 * n)
    assert ("the ePSF is built from 15 stars" in caplog.text) == said


def test_a_build_says_it(caplog):
    field = dithered(4, 15, 0, seed=8)
    build_library(field.images, field.planes, **OPTIONS | {"n_iterations": 6, "n_global": 3})
    assert "the ePSF is built from" in caplog.text


@pytest.mark.parametrize("n", [1, 4])
def test_one_phase_is_refused_before_the_work(n, monkeypatch):
    done = []
    monkeypatch.setattr(build, "iterate", lambda *a: done.append(1) or iterations.iterate(*a))
    field = dithered(n, 150, 40, seed=7, whole_pixels=True)
    with pytest.raises(DegenerateSolutionError, match="no star in two exposures|one pixel phase"):
        build_library(field.images, field.planes, **OPTIONS | {"n_iterations": 20})
    assert len(done) == build.PHASES_TOLD


@pytest.mark.parametrize(("spread", "said"), [(0.03, "wherever they are"), (1.0, "each star at one")])
def test_sources_at_one_phase_are_no_matter_of_dithers(spread, said):
    rng = np.random.default_rng(3)
    place = np.round(rng.uniform(0, 2000, 50)) + rng.uniform(-spread, spread, 50) / 2
    x = np.repeat(place, 3) + rng.normal(0, 0.02, 150)
    assert said in one_phase(seen(x, x, np.repeat(np.arange(50), 3)))


def test_fine_pixels_need_no_phases(caplog, monkeypatch):
    """What follows the pixel phase changes an ePSF of long waves by waves that none of it has."""
    monkeypatch.setattr(f"{__name__}.psi", lambda dx, dy, x: np.exp(-(dx**2 + dy**2) / 2.9) / (2.9 * np.pi))
    field = dithered(4, 150, 0, seed=6, whole_pixels=True)
    options = OPTIONS | {"grid": 1, "band_limit": 0.4}
    result = build_library(field.images, field.planes, **options)
    true, r = truth(result.library, MIDDLE)
    assert np.abs(result.library.data[0] - true)[r < 3].max() < 0.004 * true.max()
    assert not [m for m in caplog.messages if "phase" in m]
    assert not result.convergence.meta  # phases are of no account
    assert result.convergence["x_phase_error"][-1] < 0.003
    with pytest.raises(DegenerateSolutionError, match="one pixel phase in x"):
        build_library(field.images, field.planes, **OPTIONS | {"grid": 1, "band_limit": 0.6})
    assert well_sampled(0.44)
    assert not any(map(well_sampled, (None, 0, 0.47)))


@pytest.mark.parametrize(("width", "said"), [(1.0, False), (1.5, True)])
def test_a_given_library_of_other_optics_is_told_from_one_of_another_date(width, said, caplog):
    field = dithered(4, 60, 0, seed=6)
    offset = (np.arange(101) - 50) / 4 / width
    data = psi(offset, offset[:, None], MIDDLE)[None]
    start = EPSFLibrary(data, [MIDDLE], [MIDDLE], 4).normalized()
    build_library(field.images, field.planes, start=start, **OPTIONS | {"n_iterations": 2})
    assert ("the given ePSF differs" in caplog.text) == said


def test_dithers_are_no_matter_of_warnings(caplog):
    options = OPTIONS | {"n_iterations": 4, "n_global": 2}
    field = dithered(4, 150, 40, seed=6)
    build_library(field.images, field.planes, **options)
    assert not [r for r in caplog.records if "one pixel phase" in r.message]


def test_a_build_that_diverges_is_not_kept():
    good, bad = (EPSFLibrary(np.ones((1, 101, 101)) * v, [0.0], [0.0], 4) for v in (1.0, 2.0))
    frames = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]

    def run(last, least):
        rows = [{"x_phase": last, "y_phase": 0.0}]
        return SimpleNamespace(rows=rows, least_phase=least, best=good, library=bad)

    assert trusted(run(0.004, 0.002), frames) is bad
    assert trusted(run(0.02, 0.002), frames) is good
    assert trusted(run(np.nan, np.inf), frames) is bad
    with pytest.raises(DegenerateSolutionError, match=r"0\.050 px"):
        trusted(run(0.07, 0.05), frames)


def test_hot_pixels_build_no_epsf():
    field = dithered(4, 150, 40, seed=6)
    rng = np.random.default_rng(2)
    j, i = rng.integers(5, SIDE - 5, (2, 150))
    light = 10 ** rng.uniform(0.8, 2, 150)
    for image in field.images:
        image.data[j, i] += light
    options = OPTIONS | {"n_iterations": 6, "n_global": 3}
    result = build_library(field.images, field.planes, **options)
    true = truth(result.library, MIDDLE)[0]
    middle = result.library.evaluate(0.0, 0.0, MIDDLE, MIDDLE)
    assert abs(middle / true.max() - 1) < 0.02
    found, made = {tuple(p) for p in result.hot_pixels}, set(zip(j, i, strict=True))
    assert len(found - made) <= 2
    assert len(found & made) > 80


def test_few_stars_pay_for_few_field_positions():
    field = dithered(4, 60, 0, seed=7)
    result = build_library(field.images, field.planes, **OPTIONS | {"grid": 5, "n_iterations": 8})
    assert len(result.library.x) < 5


def test_while_one_model_moves_a_part_of_many_stars_is_sampled_each_in_turn():
    config, use = BuildConfig(), np.arange(34000) % 4 > 0
    run = SimpleNamespace(it=0, last_fitted=17, held=SimpleNamespace(mask=np.arange(34000) % 10 == 1))
    parts = []
    for run.it in range(config.n_iterations):
        parts.append(iterations._sampled(run, use, config))
    few = config.n_global - iterations.LEARNED
    assert all(iterations.ENOUGH <= part.sum() < 2 * iterations.ENOUGH for part in parts[:few])
    np.testing.assert_array_equal(np.sum(parts[:few], 0) > 0, use)
    assert all((part == use).all() for part in parts[few : config.n_global] + parts[run.last_fitted :])
    assert all((part == use & ~run.held.mask).all() for part in parts[config.n_global : run.last_fitted])
    run.it, some = 0, np.arange(use.size) < 2 * iterations.ENOUGH
    assert (iterations._sampled(run, some & use, config) == (some & use)).all()


def test_stamps_are_cut_four_times():
    assert BuildConfig().refresh_at == [2, 4, 15, 29]  # twice with one model, twice with one at each position
    assert BuildConfig().refresh_at[2] == max(BuildConfig().optics_at) + 1  # after the trial
    assert BuildConfig().of_given_library().refresh_at == [2, 4, 12]


def test_refusals(field):
    with pytest.raises(ParameterError, match="plane"):
        build_library(field.images, field.planes[:1])
    with pytest.raises(ParameterError, match="a NoneType in to_plane"):
        build_library(field.images[:1], [None])
    with pytest.raises(ParameterError, match="grid"):
        build_library(field.images, field.planes, grid=0)
    empty = Image(
        np.full((SIDE, SIDE), np.nan, np.float32),
        np.ones((SIDE, SIDE), np.float32),
        np.ones((SIDE, SIDE), bool),
        np.zeros((SIDE, SIDE), bool),
        "empty",
    )
    with pytest.raises(NotEnoughStarsError, match="0 bright"):
        build_library([empty, empty], field.planes[:2])


def test_a_saved_run_is_given_its_correction_again(field, tmp_path):
    options = OPTIONS | {"n_iterations": 2, "n_global": 1, "n_fitted": 1, "correction": IdentityMapping()}
    saved = Checkpoint(tmp_path / "saved.npz", "key")
    one = build_library(field.images, field.planes, checkpoint=saved, **options)
    assert saved.load().averager.base is None  # the pixel map of a full detector has 34 MB
    two = build_library(field.images, field.planes, checkpoint=saved, **options)
    np.testing.assert_array_equal(one.library.data, two.library.data)
    np.testing.assert_array_equal(one.stars["dx"], two.stars["dx"])


def test_subarrays_give_and_take_what_is_of_the_full_detector(field):
    quick = {**OPTIONS, "n_iterations": 2, "n_global": 1, "n_fitted": 1}
    alone = build_library(field.images, field.planes, **quick).library
    moved = [replace(i, origin=(100, 200)) for i in field.images]
    found = build_library(moved, field.planes, **quick).library
    np.testing.assert_array_equal(found.data, alone.data)
    np.testing.assert_array_equal(found.x, alone.x + 100)
    again = build_library(moved, field.planes, start=found, **quick).library
    np.testing.assert_array_equal(again.y, found.y)
    with pytest.raises(ParameterError, match=r"begin at the detector's pixels \(0, 0\) and \(100, 200\)"):
        build_library([field.images[0], *moved[1:]], field.planes, **quick)
