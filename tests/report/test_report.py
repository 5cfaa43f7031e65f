"""The report reads products only, and is one self-contained page."""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, MOTION, STAR_LIST, make_table
from jwst_hpastrom.epsf import EPSFLibrary, measure_stars
from jwst_hpastrom.errors import BadFileError
from jwst_hpastrom.geometry import TangentPlane, robust_sigma
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.products import find_products, frame_residuals
from jwst_hpastrom.report import describe, write_report, write_truth_plots
from jwst_hpastrom.report.epsf_figures import central_value_history, qfit_change, samplings
from jwst_hpastrom.simulation import simulate_field

pytest.importorskip("matplotlib")

PLANE = TangentPlane(80.0, -69.0)


def _write_products(folder, n=400):
    """Products of a made-up field: known positions, known noise, a known bend of the detector."""
    rng = np.random.default_rng(1)
    xi, eta = rng.uniform(-40, 40, (2, n))
    u, v = PLANE.to_pixels(xi, eta)
    ra, dec = PLANE.to_sky(xi, eta)
    mag = rng.uniform(-7, -4, n)
    common = {"id": np.arange(n), "ra": ra, "dec": dec, "mag": mag, "qfit": rng.uniform(0, 0.05, n)}
    for k in range(3):
        x, y = 1000 - xi / 0.0656 + 30 * k, 1000 + eta / 0.0656
        bend = 3.0 * ((x - 1000) / 1000) ** 2
        noise = rng.normal(0, 0.01, (2, n))
        data = common | {"x": x + bend + noise[0], "y": y + noise[1], "radxs": rng.normal(0, 0.01, n)}
        data |= {
            "flux": 10 ** (-0.4 * mag),
            "n_saturated": np.zeros(n),
            "flags": np.full(n, 8),
        } | dict.fromkeys(("x_err", "y_err"), np.full(n, 0.01))
        name = f"jw0100100100{k}_02101_00001_nis"
        meta = {"filename": f"{name}_cal.fits", "filter": "F150W", "epoch": 2022.4}
        write_table(make_table(STAR_LIST, data, meta), folder / f"{name}_stars.ecsv")
    data = common | {
        "x": u,
        "y": v,
        "x_rms": np.full(n, 0.01),
        "y_rms": np.full(n, 0.01),
        "n_used": np.full(n, 3),
    }
    write_table(make_table(MASTER, data, {"epoch": 2022.4, **PLANE.to_meta()}), folder / "field_master.ecsv")
    motion = {"pmra": rng.normal(2, 0.1, n), "pmdec": rng.normal(0, 0.1, n), "ref_epoch": np.full(n, 2022.4)}
    motion |= {"pmra_error": np.full(n, 0.02), "pmdec_error": np.full(n, 0.02)}
    write_table(make_table(MOTION, common | motion), folder / "field_pm.ecsv")
    write_table(
        Table({"stage": ["a", "b"], "rms": [1.0, np.nan]}), folder / "field_master_frame_quality.ecsv"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("products")
    _write_products(out)
    return out


def test_residuals_about_the_master_frame(folder):
    products = find_products(folder)
    assert products.name == "field"
    assert len(products.stars) == 3
    r = frame_residuals(products)
    assert len(r) > 1100
    # without a correction the bend stays, in x only; six parameters take what is linear in it
    assert r["dx"].std() > 0.2
    assert abs(r["dy"].std() - 0.01) < 0.002
    shape = np.polyfit(r["x"], r["dx"], 2)
    assert abs(shape[0] - 3e-6) < 3e-7


def test_residuals_of_a_subarray_are_at_its_place(folder):
    whole, part = find_products(folder), find_products(folder)
    for stars in part.stars.values():
        stars["x"] -= 300.0
        stars["y"] -= 100.0
        stars.meta |= {"xstart": 301, "ystart": 101}
    expected, found = frame_residuals(whole), frame_residuals(part)
    for c in ("x", "y", "dx", "dx_raw"):
        np.testing.assert_allclose(found[c], expected[c], atol=1e-9)


def test_page(folder):
    path = write_report(folder)
    text = Path(path).read_text(encoding="utf-8")
    assert path.endswith("field_report.html")
    assert text.count('<img alt="') == 9
    page = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", page)  # nothing is fetched
    assert "<script src" not in text
    assert len(text) < 15e6
    assert "field_master_frame_quality.ecsv" in text
    for heading in ("Star lists", "Distortion", "Master frame", "Proper motions", "Quality tables"):
        assert heading in text


def test_the_verdict_is_at_the_top(folder, tmp_path):
    for path in folder.iterdir():
        if path.suffix == ".ecsv":
            (tmp_path / path.name).symlink_to(path)
    names = [f"e{k}_cal.fits" for k in range(3)]
    fit = Table({"filename": names, "qfit": [0.015, 0.23, 0.2], "n_stars": [400] * 3})
    write_table(fit, tmp_path / "field_epsf_fit_quality.ecsv")
    text = Path(write_report(tmp_path)).read_text(encoding="utf-8")
    box = text[text.index("<h1>") : text.index("<nav")]
    assert "<b>BAD</b>" in box
    assert "Likely cause: the ePSF does not fit these stars" in box
    assert "e1_cal.fits and 1 more" in box
    write_table(fit[:1], tmp_path / "field_epsf_fit_quality.ecsv")
    text = Path(write_report(tmp_path)).read_text(encoding="utf-8")
    assert re.search(r"<b>OK</b>: All \d+ checks are ok\.", text)


def test_damaged_and_missing_products(tmp_path):
    with pytest.raises(BadFileError, match="no such folder"):
        find_products(tmp_path / "nowhere")
    with pytest.raises(BadFileError, match="no products"):
        find_products(tmp_path)
    (tmp_path / "a_distortion.asdf").write_text("nonsense")
    write_table(
        Table({"ra": [1.0], "x_rms": [0.1], "y_rms": [0.1], "mag": [-5.0]}), tmp_path / "a_master.ecsv"
    )
    products = find_products(tmp_path)
    assert any("a_distortion.asdf" in note for note in products.notes)
    assert "a_distortion.asdf" in Path(write_report(tmp_path)).read_text(encoding="utf-8")


def test_describe(folder, tmp_path):
    text = describe(folder / "jw01001001000_02101_00001_nis_stars.ecsv")
    assert "table of 400 rows" in text
    assert "filter=F150W" in text
    assert "CROWDED=400" in text
    with pytest.raises(BadFileError, match="no such file"):
        describe(tmp_path / "nothing.ecsv")


def test_truth_plots(tmp_path):
    rng = np.random.default_rng(1)
    n = 500
    stars = Table({"mag": rng.uniform(-7, -4, n), "isolated": np.ones(n, bool)})
    for c in ("dx", "dy"):
        stars[c] = rng.normal(0, 0.01, n)
    for c in ("x_err", "y_err", "x_bound", "y_bound"):
        stars[c] = np.full(n, 0.01)
    x, y = (a.ravel() for a in np.meshgrid(np.arange(9.0), np.arange(9.0)))
    grid = Table({"x": x, "y": y, "dx": 0.01 * x, "dy": -0.01 * y})
    motions = Table({"mag": stars["mag"], "isolated": stars["isolated"]})
    for c in ("pmra", "pmdec"):
        motions[c], motions[f"{c}_true"] = rng.normal(0, 1, (2, n))
        motions[f"d{c}"], motions[f"{c}_error"] = rng.normal(0, 0.02, n), np.full(n, 0.02)
    motions["bound"] = 0.02
    paths = write_truth_plots(
        {"stars": stars, "official": grid, "distortion": grid, "motions": motions}, tmp_path / "plots"
    )
    assert [p.rsplit("/", 1)[1] for p in paths] == ["positions.png", "distortion.png", "motions.png"]
    for p in paths:
        assert Path(p).read_bytes()[:4] == b"\x89PNG"


def test_figures_that_need_pixels():
    """Samples across the core lie on the ePSF from fitted positions, not from light centers."""
    sky = simulate_field(size=200, n_exposures=1, n_stars=400, mag_faint=-5.0, filter="F090W", seed=3)
    library = EPSFLibrary(*sky.epsf.sampled(), meta={"filter": "F090W"}).normalized()
    image = sky.exposures[0].image
    stars = measure_stars(image, library)
    figure = samplings(image, stars, library, width=0.06)
    scatter = []
    for axis in figure.axes:
        points, curve = axis.lines
        wanted = np.interp(points.get_xdata(), *curve.get_data())
        scatter.append(robust_sigma(points.get_ydata() - wanted))
    assert max(scatter[1], scatter[3]) < 0.5 * min(scatter[0], scatter[2])

    change = qfit_change(stars, stars)
    assert change.axes[0].get_title().split("stars")[1] == change.axes[1].get_title().split("stars")[1]
    quality = Table({"epoch": [2022.3, 2022.4], "central_before": [0.4, 0.4], "central_after": [0.41, 0.4]})
    quality["qfit_before"], quality["qfit_after"] = [0.02, 0.02], [0.01, 0.02]
    history = central_value_history(quality)
    assert list(history.axes[0].lines[1].get_ydata()) == [0.41, 0.4]


def test_artificial_stars(folder, tmp_path):
    rng = np.random.default_rng(5)
    true = rng.uniform(-6, 0, 2000)
    found = rng.uniform(size=2000) < 1 / (1 + np.exp(3 * (true + 2)))
    error = 10 ** (0.4 * true)
    data = {"mag_true": true, "found": found, "mag": np.where(found, true + rng.normal(0, error), np.nan)}
    for axis in "xy":
        data |= {f"d{axis}": np.where(found, rng.normal(0, error), np.nan), f"{axis}_err": error}
    data["neighbor"] = np.where(rng.uniform(size=2000) < 0.3, true + 1, np.inf)
    write_table(Table(data), tmp_path / "field_artificial.ecsv")
    (tmp_path / "field_master.ecsv").symlink_to(folder / "field_master.ecsv")
    text = Path(write_report(tmp_path)).read_text(encoding="utf-8")
    assert "2000 artificial stars" in text
    at = float(text.split("half of them at magnitude ")[1].split(".</p>")[0])
    assert at == pytest.approx(-2, abs=0.3)
