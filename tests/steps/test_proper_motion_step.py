"""ProperMotionStep with many epochs; with two it is run by tests/pipeline."""

import inspect
import json
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from stpipe.config_parser import ConfigObj

from jwst_hpastrom.errors import HPAstromError, ParameterError
from jwst_hpastrom.geometry import robust_sigma
from jwst_hpastrom.io.products import find_products
from jwst_hpastrom.motion.many_epoch import fit_epochs
from jwst_hpastrom.motion.two_epoch import two_epoch_motions
from jwst_hpastrom.report import epochs_figures
from jwst_hpastrom.steps.proper_motion_step import OWN, ProperMotionStep

DATA = (
    Path(os.environ.get("HPASTROM_DATA", Path(__file__).parents[3] / "shared" / "data")) / "flystar_mb10364"
)
real = pytest.mark.skipif(
    not DATA.is_dir(), reason="no flystar_mb10364 under $HPASTROM_DATA or ../shared/data"
)


def association(path, members, name="field"):
    members = [{"expname": str(m), "exptype": "science"} for m in members]
    path.write_text(json.dumps({"asn_type": "image3", "products": [{"name": name, "members": members}]}))
    return str(path)


def write_field(folder, n=120, n_gaia=20):
    rng = np.random.default_rng(4)
    e, h, pm = rng.uniform(-20, 20, n), rng.uniform(-20, 20, n), rng.normal(0, 2, (n, 2))
    paths = []
    for k, t in enumerate((2012.0, 2014.0, 2016.0, 2018.0, 2020.0, 2022.0)):
        turned = 1 - 2 * (k % 2)  # every second list upside down
        x = 300 - turned * (e * 1e3 + pm[:, 0] * (t - 2016)) / 65 + rng.normal(0, 0.003, n)
        y = 300 + turned * (h * 1e3 + pm[:, 1] * (t - 2016)) / 65 + rng.normal(0, 0.003, n)
        table = Table(
            {"x": x, "y": y, "x_err": [0.003] * n, "y_err": [0.003] * n, "mag": np.linspace(14, 17, n)}
        )
        table.meta = {"epoch": t, "position_angle": 180.0 * (k % 2), "pixel_scale_mas": 65.0}
        paths.append(folder / f"e{k}.ecsv")
        table.write(paths[-1])
    g = slice(0, n_gaia)
    gaia = Table({"source_id": np.arange(n_gaia), "ra": 80 + e[g] / 3600, "dec": h[g] / 3600})
    for name in ("ra_error", "dec_error", "pmra_error", "pmdec_error"):
        gaia[name] = 0.05
    gaia["pmra"], gaia["pmdec"], gaia["ref_epoch"] = pm[g, 0], pm[g, 1], 2016.0
    gaia.write(folder / "gaia.ecsv")
    return association(folder / "epochs_asn.json", [p.name for p in paths]), str(folder / "gaia.ecsv")


def test_spec_has_the_functions_defaults():
    spec = ConfigObj(ProperMotionStep.spec.splitlines(), interpolation=False, list_values=False, _inspec=True)
    for function in (two_epoch_motions, fit_epochs):
        for p in inspect.signature(function).parameters.values():
            if p.kind is p.KEYWORD_ONLY and p.name not in OWN:
                assert (
                    f"default={str(p.default)!r})" in spec[p.name]
                    or f"default={p.default!r})" in spec[p.name]
                )


def test_many_epochs_through_the_step(tmp_path):
    asn, gaia = write_field(tmp_path)
    out = tmp_path / "out"
    table = ProperMotionStep.call(
        asn, gaia_catalog=gaia, models="linear", save_residuals=True, compare=True, output_dir=str(out)
    )
    written = Table.read(out / "field_pm.ecsv")
    assert len(written) == len(table) == 120
    assert {"pmra", "pmdec_error", "model", "elpd", "chi2_loo_ra", "n_epochs"} <= set(written.colnames)
    assert len(Table.read(out / "field_pm_residuals.ecsv")) == 720
    assert len(Table.read(out / "field_proper_motion_quality.ecsv")) == 20
    assert written.meta["seed"] == 1
    models = Table.read(out / "field_motion_models_quality.ecsv")
    assert set(models["models"]) == {"linear", "h25", "auto"}
    assert np.all(models["n_stars"] == 120)
    (heading, figures), *_ = epochs_figures.sections(find_products(out))
    assert heading == "Many epochs"
    captions = " ".join(shown.title for shown in figures)
    assert all(f"Fig. {k})" in captions for k in (2, 3, 4, 5, 6, 10, 11))
    offsets = figures[-2][0].axes[0].lines[0].get_ydata()
    assert np.all(np.abs(offsets) < 0.2)  # mas: the lists have no offset between angles
    differences = epochs_figures.catalog_differences(written, written[::3])
    assert "40 stars" in differences.axes[0].get_title()
    assert "0% more" in epochs_figures.error_ratio(written, written[::3]).axes[0].get_title()
    assert sorted(p.name for p in out.iterdir() if p.name.startswith(".")) == []


def test_motions_that_memory_does_not_hold_are_refused(tmp_path, monkeypatch):
    asn, gaia = write_field(tmp_path)
    monkeypatch.setattr("jwst_hpastrom.steps.proper_motion_step.PAIR", 1e6)
    with pytest.raises(ParameterError, match=r"4.3 GB for motions of 120 stars and more in 6 epochs"):
        ProperMotionStep(output_dir=str(tmp_path), gaia_catalog=gaia).run(asn)


def test_the_road_must_be_named(tmp_path):
    asn, gaia = write_field(tmp_path)
    for kwargs in ({}, {"gaia_catalog": gaia, "first_epoch": gaia}):
        with pytest.raises(ParameterError, match="one of the two"):
            ProperMotionStep.call(asn, output_dir=str(tmp_path), **kwargs)


def test_errors_name_the_file_and_leave_no_product(tmp_path):
    asn, gaia = write_field(tmp_path)
    table = Table.read(tmp_path / "e2.ecsv")
    table.remove_column("x_err")
    table.write(tmp_path / "e2.ecsv", overwrite=True)
    with pytest.raises(HPAstromError, match=r"e2\.ecsv: found no column x_err"):
        ProperMotionStep.call(asn, gaia_catalog=gaia, output_dir=str(tmp_path / "out"))
    first = table["mag",]
    first["ra"], first["dec"] = 80 - (table["x"] - 300) * 0.065 / 3600, (table["y"] - 300) * 0.065 / 3600
    for name, epoch in (("first.ecsv", 2006.0), ("no_master.ecsv", 2022.0)):
        first.meta = {"epoch": epoch, "ra_tangent": 80.0, "dec_tangent": 0.0}
        first.write(tmp_path / name)
    step = ProperMotionStep(first_epoch=str(tmp_path / "first.ecsv"), output_dir=str(tmp_path / "out"))
    with pytest.raises(HPAstromError, match=r"no_master\.ecsv: found no column x_err, y_err, n_used"):
        step.run(str(tmp_path / "no_master.ecsv"))
    assert not list((tmp_path / "out").iterdir())


@real
def test_real_hst_epochs(tmp_path):
    """Issue 2: three real epochs, turned against each other, followed by position."""
    names = [p.name for p in sorted(DATA.glob("*.calib"))]
    for name in names:
        (tmp_path / name).symlink_to(DATA.resolve() / name)
    asn = association(tmp_path / "asn.json", names, "mb10364")
    table = ProperMotionStep.call(
        asn,
        gaia_catalog=str(DATA / "my_gaia.fits"),
        pixel_scale_mas=39.77,
        save_residuals=True,
        output_dir=str(tmp_path),
    )
    through = table["n_epochs"] == 3
    assert through.sum() >= 3400
    assert set(table["model"]) == {0}
    rows = Table.read(tmp_path / "mb10364_pm_residuals.ecsv")
    rows = rows[np.isin(rows["id"], table["id"][through])]
    bright = table["mag"][through] < np.median(table["mag"][through])
    t = np.asarray(rows["epoch"]).reshape(-1, 3)[bright]
    residuals = []
    for name in ("xi", "eta"):
        v, e = (np.asarray(rows[c]).reshape(-1, 3)[bright] for c in (name, f"{name}_error"))
        w = e**-2.0
        mean_t, mean_v = (np.sum(w * c, 1) / w.sum(1) for c in (t, v))
        dt, dv = t - mean_t[:, None], v - mean_v[:, None]
        residuals.append(dv - dt * (np.sum(w * dt * dv, 1) / np.sum(w * dt * dt, 1))[:, None])
    assert robust_sigma(np.ravel(residuals)) / 1.4826 <= 0.20
    bias, error = (np.array(table.meta[f"frame_bias_pm{k}_mas_yr"]) for k in ("", "_error"))
    assert np.all(np.abs(bias) < 3 * error)
