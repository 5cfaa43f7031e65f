"""Figures and page of a field's kinematics."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.cli import main
from jwst_hpastrom.columns import MOTION, make_table
from jwst_hpastrom.io.products import Products
from jwst_hpastrom.kinematics import study_field
from jwst_hpastrom.report import kinematics_figures as figures
from jwst_hpastrom.report.motion_figures import motion_errors

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def motions():
    rng = np.random.default_rng(1)
    n, n_cluster = 5000, 250
    kind = np.r_[rng.choice(3, n - n_cluster, p=(0.5, 0.42, 0.08)), np.full(n_cluster, 3)]
    means = np.array([(1.90, 0.38), (1.95, 0.30), (1.62, 0.47), (1.873, 0.321)])
    v = means[kind].T + rng.normal(0, 1, (2, n)) * np.array((0.144, 0.075, 0.045, 0.006))[kind]
    v += rng.normal(0, 0.02, (2, n))
    x, y = np.where(kind == 3, rng.normal(0, 10, (2, n)), rng.uniform(-90, 90, (2, n)))
    data = {
        "ra": 80.5 + x / 3600 / np.cos(np.deg2rad(69.5)), "dec": -69.5 + y / 3600,
        "pmra": v[0], "pmdec": v[1], "pmra_error": np.full(n, 0.02), "pmdec_error": np.full(n, 0.02),
        "mag": rng.uniform(-7.5, -4, n), "flags": np.where(kind == 0, 8192, 0),
        "ref_epoch": np.full(n, 2022.3), "qfit": rng.uniform(0.01, 0.02, n),
        "color": np.where(kind == 0, 0.95, 0.1) + rng.normal(0, 0.05, n),
    }  # fmt: skip
    return make_table(MOTION, data)


def words(figure):
    return " ".join(axis.get_title() for axis in figure.axes)


def test_figures_show_the_numbers(motions):
    study = study_field(motions, rng=np.random.default_rng(1), n_realizations=100, center="densest")
    assert f"{study.old.sum()} stars, σ = {study.old_dispersion.sigma:.4f}" in words(
        figures.populations(study)
    )
    assert "median 0.0200" in words(motion_errors(motions))
    assert len(motion_errors(motions).axes) == 2
    without = motions.copy()
    without.remove_column("color")
    assert len(motion_errors(without).axes) == 1
    labels = [t.get_text() for t in figures.groups(study).axes[1].get_legend().get_texts()]
    assert labels[0].startswith(f"{100 * study.groups.fraction[0]:.0f} ±")
    assert f"{study.members.sum()} likely members" in words(figures.cluster_members(study))
    shown = figures.place_of_the_cluster(study).axes[0].collections[0]
    np.testing.assert_allclose(shown.get_array(), study.cluster.membership)
    titles = [t if isinstance(t, Table) else t[1] for t in figures.study_contents(study)]
    assert len(titles) == 5


def test_comparison_with_another_catalog(motions):
    rng = np.random.default_rng(2)
    other = Table(
        {c: np.asarray(motions[c]) for c in ("ra", "dec", "pmra", "pmdec", "pmra_error", "pmdec_error")}
    )
    other["mag"] = np.asarray(motions["mag"]) + 24
    for c in ("pmra", "pmdec"):
        other[c] = other[c] + rng.normal(0, 0.1, len(other))
    other.meta["epoch"] = 2022.3
    figure = figures.comparison(motions, other, [17, 18, 19])
    assert len(figure.axes) == 4
    assert "here, 17 to 18" in words(figure)


def test_report_section_needs_colors(motions, tmp_path):
    assert figures.sections(Products(tmp_path, "a")) == []
    without = motions.copy()
    without.remove_column("color")
    assert figures.sections(Products(tmp_path, "a", motions=without)) == []
    (heading, contents), *_ = figures.sections(Products(tmp_path, "a", motions=motions[:5]))
    assert heading == "Kinematics"
    assert contents[-1].startswith("No kinematics: ")


def test_command(motions, tmp_path, capsys):
    path = tmp_path / "field_pm.ecsv"
    motions.write(path)
    assert main(["kinematics", str(path), "--bright", "-6.5", "-5", "--center", "80.5", "-69.5"]) == 0
    out = capsys.readouterr().out
    assert "old: dispersion" in out
    assert (tmp_path / "field_kinematics.html").stat().st_size > 50_000
    assert main(["kinematics", str(tmp_path / "no_pm.ecsv")]) == 1
    assert "BadFileError" in capsys.readouterr().err
