"""What the figures draw: their numbers and positions; and what they look like, beside pictures kept here.

``HPASTROM_WRITE_BASELINES=1 pytest tests/plot`` writes the pictures anew: look at them before they are kept.
"""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom import plot
from jwst_hpastrom.columns import Flag
from jwst_hpastrom.distortion import DistortionCorrection, PixelMapCorrection, PolynomialCorrection
from jwst_hpastrom.epsf import EPSFLibrary, Image
from jwst_hpastrom.io.exposures.exposure import Exposure

plt = pytest.importorskip("matplotlib.pyplot")
SHAPE = (64, 80)
BASELINE = Path(__file__).parent / "baseline"
#: pixels a block: versions of matplotlib put edges of pixels to either side
BLOCK = 4
#: between matplotlib 3.9 and 3.11 they differ by up to 3.5, from another look by 8 and more
TOLERANCE = 5.0


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def rng():
    return np.random.default_rng(1)


@pytest.fixture(scope="module")
def residuals():
    r, n = rng(), 3000
    x, y = r.uniform(0, 255, (2, n))
    delta = r.normal(0, 0.01, (2, n))
    data = {"x": x, "y": y, "mag": r.uniform(-7, -4, n), "dx": delta[0], "dy": delta[1]}
    return Table(data | {"dx_raw": delta[0] + 1e-3 * (x - 127), "dy_raw": delta[1]})


def motions(n=400, mag=(-7, -4), **more):
    r = rng()
    data = {"mag": r.uniform(*mag, n), "pmra": r.normal(2, 0.1, n), "pmdec": r.normal(0, 0.1, n)}
    data |= {"pmra_error": np.full(n, 0.02), "pmdec_error": np.full(n, 0.02)}
    data |= {"ra": 10 + r.uniform(0, 0.01, n), "dec": r.uniform(0, 0.01, n)}
    return Table(data | more)


def image_of_noise():
    bad = np.zeros(SHAPE, bool)
    bad[3, 5] = True
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    stars = sum(np.exp(-((x - i) ** 2 + (y - j) ** 2) / 20) for i, j in ((20, 15), (50, 40), (65, 10)))
    data = rng().normal(1, 0.05, SHAPE) + 5 * stars
    return Image(data, np.ones(SHAPE), bad, np.zeros(SHAPE, bool), "a")


def correction():
    x = np.broadcast_to(np.arange(256.0), (256, 256))
    data = np.stack([0.02 * np.sin(x / 12), np.zeros(x.shape)], -1).astype(np.float32)
    polynomial = PolynomialCorrection(2, *np.full((2, 5), 0.1), np.array([127.0, 127.0]), 128.0)
    return DistortionCorrection(polynomial, pixel_map=PixelMapCorrection(data), shape=x.shape)


def library():
    return EPSFLibrary(rng().uniform(0, 1, (4, 21, 21)), [0, 79], [0, 63], borrowed=[0, 0, 1, 0])


def cases(residuals):
    mag = np.linspace(-7, -4, 300)
    faint = 10 ** (0.4 * (mag + 5))
    stars = Table({"mag": mag, "qfit": 0.1 * faint, "radxs": rng().normal(0, 0.05 * faint)})
    colored = motions(color=rng().normal(1, 0.2, 400), flags=np.zeros(400, int))
    rms = 0.01 + 0.01 * faint
    master = Table({"mag": mag, "x_rms": rms, "y_rms": rms * rng().uniform(0.8, 1.2, 300)})
    return {
        "image": (image_of_noise(),), "epsf_grid": (library(),), "qfit": (stars,), "radxs": (stars,),
        "phase_density": (residuals,), "phase_residuals": (residuals,), "residual_arrows": (residuals,),
        "residual_map": (residuals,), "residual_scatter": (residuals,), "residual_trend": (residuals,),
        "position_rms": (residuals,), "pixel_map": (correction(),), "distortion_arrows": (correction(),),
        "frame_rms": (master,), "motion_errors": (colored,), "motion_diagram": (colored,),
        "color_magnitude": (colored,), "sky_map": (colored,),
    }  # fmt: skip


def test_every_figure_takes_and_returns_axes(residuals):
    found = cases(residuals)
    assert set(found) == set(plot.__all__)
    for name, args in found.items():
        draw = getattr(plot, name)
        figure, ax = plt.subplots()
        assert draw(*args, ax=ax) is ax, name
        new = draw(*args)
        assert new.figure is not figure
        assert plt.fignum_exists(new.figure.number)  # a notebook shows it
        for axis in (ax, new):
            assert axis.get_xlabel()
            assert axis.get_ylabel()
            assert axis.lines or axis.images or axis.collections
        plt.close("all")


def picture(draw, args, path, **more):
    """Draw without text, whose fonts differ from machine to machine, at a fixed place of a small figure."""
    from matplotlib.text import Text

    with plt.style.context("default"):
        figure, ax = plt.subplots(figsize=(3.2, 2.4), dpi=60)
        draw(*args, ax=ax, **more)
        for text in figure.findobj(Text):
            text.set_visible(False)
        for legend in filter(None, (a.get_legend() for a in figure.axes)):
            legend.set_visible(False)  # as large as its words
        figure.savefig(path, metadata={"Software": None})


def difference(first, second):
    """Root mean square difference of two pictures' shades (0 to 255), in blocks of BLOCK pixels."""
    from matplotlib.image import imread

    shades = [255 * imread(path)[..., :3].astype(float) for path in (first, second)]
    assert shades[0].shape == shades[1].shape
    ny, nx = (n // BLOCK for n in shades[0].shape[:2])
    means = [s[: ny * BLOCK, : nx * BLOCK].reshape(ny, BLOCK, nx, BLOCK, 3).mean((1, 3)) for s in shades]
    return float(np.sqrt(np.mean((means[0] - means[1]) ** 2)))


@pytest.mark.parametrize("name", plot.__all__)
def test_looks(name, residuals, tmp_path):
    found, expected = cases(residuals)[name], BASELINE / f"{name}.png"
    if os.environ.get("HPASTROM_WRITE_BASELINES"):
        BASELINE.mkdir(exist_ok=True)
        picture(getattr(plot, name), found, expected)
    picture(getattr(plot, name), found, tmp_path / f"{name}.png")
    assert difference(expected, tmp_path / f"{name}.png") < TOLERANCE


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("epsf_grid", {"difference": True}),
        ("residual_arrows", {"raw": True}),
        ("phase_residuals", {"axis": "y"}),
    ],
)
def test_another_look_is_noticed(name, more, residuals, tmp_path):
    picture(getattr(plot, name), cases(residuals)[name], tmp_path / "a.png", **more)
    assert difference(BASELINE / f"{name}.png", tmp_path / "a.png") > 1.4 * TOLERANCE


def test_pictures_are_small():
    assert sum(p.stat().st_size for p in BASELINE.glob("*.png")) < 400_000
    assert {p.stem for p in BASELINE.glob("*.png")} == {*plot.__all__}


def test_pixels_without_weight_and_stars_are_shown():
    ax = plot.image(image_of_noise(), Table({"x": [10.0], "y": [20.0]}))
    assert ax.images[1].get_array().count() == 1
    assert list(ax.lines[0].get_xdata()) == [10.0]
    assert "0.02 %" in ax.get_title()


def test_arrows_are_the_medians_in_cells(residuals):
    raw = plot.residual_arrows(residuals, raw=True, cells=8).collections[0]
    slope = np.median(raw.U.reshape(8, 8), 0)
    np.testing.assert_allclose(slope / slope[-1], np.linspace(-1, 1, 8), atol=0.05)
    after = plot.residual_arrows(residuals, cells=8)
    assert re.search(r"RMS 0\.0(09|10)", after.get_title())


def test_cells_of_the_map_have_stars_enough(residuals):
    for step, share in ((1, 0.95), (10, 0.9)):
        shown = plot.residual_map(residuals[::step]).images[0].get_array()
        assert np.mean(np.isfinite(shown)) > share


def test_bright_range_of_any_magnitudes():
    for low, high in ((-7, -4), (15, 24)):
        ax = plot.motion_errors(motions(mag=(low, high)))
        assert ax.get_title() == "bright stars: median 0.0200 mas/yr"
        faint, bright = ax.get_ylim()
        assert bright > low - 0.5
        assert faint < high + 0.5


def test_motions_of_large_errors_are_pale_and_far_ones_are_counted():
    table = motions(mag=(15, 24))
    table["pmra_error"][:100] = 0.5
    table["pmra"][:3] = 80.0
    ax = plot.motion_diagram(table)
    assert [len(line.get_xdata()) for line in ax.lines] == [100, 300]
    assert "400 stars; pale: 100" in ax.get_title()
    assert "3 beyond the axes" in ax.get_title()
    assert np.ptp(ax.get_xlim()) < 2


def test_nothing_measured_draws_nothing_and_warns_of_nothing():
    table = motions(n=3)
    for name in ("pmra", "pmra_error"):
        table[name] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in (plot.motion_diagram, plot.motion_errors):
            draw(table).figure.canvas.draw()


def test_sky_across_0_hours():
    table = motions(ra=np.where(np.arange(400) % 2, 359.999, 0.001))
    x = plot.sky_map(table).collections[0].get_offsets()[:, 0]
    assert np.ptp(x) == pytest.approx(7.2, rel=0.01)
    assert plot.sky_map(table).xaxis_inverted()


def test_reference_stars_are_marked():
    flags = np.zeros(400, int)
    flags[:7] = int(Flag.REFERENCE)
    ax = plot.color_magnitude(motions(color=rng().normal(1, 0.2, 400), flags=flags))
    assert ax.get_legend().get_texts()[0].get_text() == "7 reference stars"


def test_methods_of_the_objects():
    exposure = Exposure(image_of_noise(), "e", "e", {"filter": "F150W"})
    assert "e F150W" in exposure.plot().get_title()
    assert exposure.image.plot().images
    ax = plt.subplots()[1]
    assert library().plot(ax, difference=True) is ax
    assert "borrowed" in [t.get_text() for t in ax.texts]
    assert correction().plot().collections
