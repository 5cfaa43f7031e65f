"""Head, tables, linked diagrams and the ten lines of a run."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.columns import MASTER, MOTION, make_table
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.products import Products, find_products
from jwst_hpastrom.report import write_page
from jwst_hpastrom.report.captions import CAPTIONS
from jwst_hpastrom.report.page import document, interactive
from jwst_hpastrom.report.page.document import report_sections
from jwst_hpastrom.report.page.header import facts
from jwst_hpastrom.report.page.tables import table_html
from jwst_hpastrom.report.story import ending, story

pytest.importorskip("matplotlib")


def motions(n=4205, **more):
    """Like an HST list: calibrated magnitudes, no colors, across 0 h."""
    rng = np.random.default_rng(2)
    data = {"id": np.arange(n), "ra": rng.uniform(-0.02, 0.02, n) % 360, "dec": rng.uniform(0, 0.02, n)}
    data |= {c: rng.normal(-3, 0.3, n) for c in ("pmra", "pmdec")}
    data |= {c: np.full(n, 0.4) for c in ("pmra_error", "pmdec_error")}
    data |= {"mag": rng.uniform(15, 24, n), "flags": np.zeros(n), "ref_epoch": np.full(n, 2015.5)}
    return make_table(MOTION, data | more, {"filter": "F814W", "instrument": "ACS"})


def test_lists_of_another_instrument():
    products = Products(Path(), "hst", motions=motions())
    head = dict(facts(products))
    assert head["Camera, filters"] == "ACS, F814W"
    assert head["Epochs"] == "2015.5000"
    assert head["Number"] == "4205 motions"
    assert "motions 0.4000 mas/yr" in head["Precision (bright stars)"]
    assert (
        float(re.search(r"ra ([\d.]+)", head["Field"])[1]) % 360 == pytest.approx(0, abs=1)
        or "359.9" in head["Field"]
    )
    found = dict(report_sections(products))
    errors, diagram = found["Proper motions"]
    assert errors.here == "bright stars: median 0.4000 mas/yr"
    axis = diagram.figure.axes[0]
    assert sum(line.get_xdata().size for line in axis.lines) == 4205
    assert len(found["What is missing"]) == 3


def test_head_says_precision_in_pixels_and_mas():
    n = 300
    data = {"ra": np.full(n, 10.0), "dec": np.full(n, 5.0), "mag": np.linspace(-7, -4, n)}
    data |= {c: np.full(n, 0.02) for c in ("x_err", "y_err")}
    meta = {"scale_mas": 50.0, "instrument": "NIRISS", "detector": "NIS", "epoch": 2022.33}
    head = dict(facts(Products(Path(), "f", master=make_table(MASTER, data, meta))))
    assert re.search(r"mean positions 1\.00 mas = 0\.015\d pixel", head["Precision (bright stars)"])
    assert head["Camera, filters"] == "NIRISS NIS"
    scatter = make_table(MASTER, data | {c: np.full(n, 0.013) for c in ("x_rms", "y_rms")}, meta)
    head = dict(facts(Products(Path(), "f", master=scatter)))
    assert re.search(r"single positions 0\.009\d pixel = 0\.65 mas", head["Precision (bright stars)"])


def test_tables_have_units_digits_and_keys_to_sort_by():
    table = Table({"rms": [0.0123456, 12.0, np.nan], "ra": [10.12345678, 1, 2], "name": ["<a>", "b", "c"]})
    table["rms"].unit, table["rms"].description = "pix", "scatter"
    text = table_html(table)
    assert '<th title="scatter">rms<span class="unit">pix</span></th>' in text
    assert "10.1234568" in text
    assert 'data-v="12.0"' in text
    assert '<td class="words" data-v="&lt;a&gt;">&lt;a&gt;</td>' in text  # words begin at the left
    assert "nan" not in text
    assert "… and 300 more rows" in table_html(Table({"a": np.arange(500)}))
    scale = Table({"scale": [65.57, 65.5702543], "scale_error": [2e-4, 3e-4], "value": [109.0, 0.25]})
    text = table_html(scale)
    for words in (">65.57025<", ">65.57000<", ">109<", ">0.25<"):
        assert words in text
    assert ">1.0e-09<" in table_html(Table({"a": [1.0, 1e-9]}))


def test_every_caption_says_what_good_looks_like():
    for see, good in CAPTIONS.values():
        assert len(see) > 30
        assert len(good) > 20


def test_linked_diagrams_share_their_stars(tmp_path):
    pytest.importorskip("bokeh")
    from bokeh.models import GlyphRenderer

    table = motions(n=50, color=np.linspace(0, 2, 50))
    table["pmra"][3] = np.nan
    layout = interactive.linked_motions(table)
    sources = {id(r.data_source): r.data_source for r in layout.select({"type": GlyphRenderer})}
    assert len(sources) == 1
    assert len(next(iter(sources.values())).data["ra"]) == 49
    text = Path(write_page(tmp_path / "p.html", "p", [("A <look>", [layout])])).read_text()
    assert 'href="#a-look"' in text
    assert '<section id="a-look" class="interactive">' in text  # which print leaves out
    assert "A &lt;look&gt;" in text
    table["pmra"] = np.nan
    assert interactive.linked_motions(table) is None


@pytest.mark.parametrize("most", [20, 50])
def test_page_says_that_stars_are_left_out_only_where_they_are(monkeypatch, most):
    pytest.importorskip("bokeh")
    monkeypatch.setattr(interactive, "MOST", most)
    products = SimpleNamespace(motions=motions(n=50, color=np.linspace(0, 2, 50)), residuals=None)
    text = document._closer(products)[0][1][0]
    assert ("20 of 50 stars are drawn" in text) == (most == 20)
    assert ("drawn" in text) == (most == 20)


def test_residual_maps_zoom_together():
    pytest.importorskip("bokeh")
    from bokeh.models import Plot

    rng = np.random.default_rng(1)
    names = ("dx", "dy", "dx_raw", "dy_raw")
    residuals = Table(
        {c: rng.uniform(0, 500, 900) for c in "xy"} | {c: rng.normal(0, 0.01, 900) for c in names}
    )
    plots = list(interactive.residual_maps(residuals).select({"type": Plot}))
    assert len(plots) == 4
    assert len({id(p.x_range) for p in plots}) == 1


def test_ten_lines(tmp_path):
    write_table(motions(zero=np.zeros(4205)), tmp_path / "f_pm.ecsv")
    fit = {"filename": ["a", "b"], "n_stars": [100, 200], "qfit": [0.014, 0.016]}
    write_table(Table(fit), tmp_path / "f_epsf_fit_quality.ecsv")
    lines = story(tmp_path)
    assert lines[0] == "star lists: 2 exposures, 100 to 200 stars each, median QFIT 0.0140 to 0.0160"
    end = ending(tmp_path)
    assert [line.split(":")[0] for line in end] == [
        "products",
        "precision of the bright stars",
        "verdict",
        "next",
    ]
    assert len(lines) + len(end) <= 10
    assert find_products(tmp_path).quality["f_epsf_fit_quality.ecsv"]["qfit"].description


def test_a_refined_distortion_has_its_line(tmp_path):
    write_table(motions(zero=np.zeros(4205)), tmp_path / "f_pm.ecsv")
    meta = {"refined": "given", "stars": 52, "degree": 3, "stated_error_px": 0.0112}
    table = Table({"degree": [0], "rms": [0.02]}, meta=meta)
    write_table(table, tmp_path / "f_distortion_refine_quality.ecsv")
    expected = "distortion: given, refined by 52 reference stars to degree 3; stated error 0.0112 pixel"
    assert story(tmp_path)[0] == expected
