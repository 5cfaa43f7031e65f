"""Figures of the distortion, from small tables; what they show is looked at by eye."""

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.distortion import (
    DistortionCorrection,
    PixelMapCorrection,
    PolynomialCorrection,
)
from jwst_hpastrom.report import distortion_figures as figures

SHAPE = (256, 256)


@pytest.fixture(scope="module")
def correction():
    x = np.broadcast_to(np.arange(256.0), SHAPE)
    data = np.stack([0.02 * np.sin(x / 12), np.zeros(SHAPE)], -1).astype(np.float32)
    polynomial = PolynomialCorrection(2, *np.full((2, 5), 0.1), np.array([127.0, 127.0]), 128.0)
    return DistortionCorrection(polynomial, pixel_map=PixelMapCorrection(data), shape=SHAPE)


@pytest.fixture(scope="module")
def residuals():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 255, (2, 4000))
    return Table({"x": x, "y": y, "mag": rng.uniform(-7, -4, 4000), "dx": rng.normal(0, 0.004, 4000),
                  "dy": rng.normal(0, 0.004, 4000)})  # fmt: skip


def test_amplifiers(correction, residuals):
    figure = figures.amplifier_panels(residuals, correction)
    assert len(figure.axes) == 8
    medians = [axis.lines[-1].get_ydata() for axis in figure.axes]
    # the wave that the pixel map takes out is there with the polynomial alone, and gone with all parts
    assert np.nanmax(np.abs(medians[0])) > 0.015
    assert np.nanmax(np.abs(medians[1])) < 0.01


def test_amplifiers_along_x(residuals):
    y = np.arange(SHAPE[0])[:, None] * np.ones(SHAPE[1])
    data = np.stack([np.zeros(SHAPE), 0.02 * np.sin(y / 12)], -1).astype(np.float32)
    polynomial = PolynomialCorrection(2, *np.full((2, 5), 0.1), np.array([127.0, 127.0]), 128.0)
    turned = DistortionCorrection(polynomial, pixel_map=PixelMapCorrection(data), shape=SHAPE)
    nircam = residuals.copy()
    nircam.meta = {"instrument": "NIRCAM", "detector": "NRCB1"}
    axes = figures.amplifier_panels(nircam, turned).axes
    assert axes[0].get_ylabel() == "Δy (pixel)"
    assert "x 192 to 256" in axes[0].get_title()
    medians = [axis.lines[-1].get_ydata() for axis in axes]
    assert np.nanmax(np.abs(medians[0])) > 0.015
    assert np.nanmax(np.abs(medians[1])) < 0.01


def test_amplifiers_of_one_output_and_of_interleaved_ones(correction, residuals):
    one, miri = residuals.copy(), residuals.copy()
    one.meta = {"instrument": "NIRISS", "noutputs": 1}
    assert [a.get_title() for a in figures.amplifier_panels(one, correction).axes] == [
        "polynomial, one output",
        "all parts, one output",
    ]
    miri.meta = {"instrument": "MIRI", "detector": "MIRIMAGE"}
    miri["dx"] = np.where(np.round(miri["x"]) % 4 == 2, 0.02, 0.0)
    axes = figures.amplifier_panels(miri, correction).axes
    assert "columns 3, 7, …" in axes[5].get_title()
    level = [np.nanmedian(a.lines[-1].get_ydata()) for a in axes[1::2]]
    assert level == pytest.approx([0.0, 0.0, 0.02, 0.0], abs=1e-6)


def test_maps_of_the_finest_structure(correction, residuals):
    images = [
        axis.images[0].get_array()
        for axis in figures.fine_maps(correction, residuals).axes
        if axis.images and not axis.get_label()
    ]
    assert np.abs(images[0]).max() == pytest.approx(20, rel=0.02)
    assert np.nanmax(np.abs(images[2])) < 3
    assert len(figures.fine_maps(correction).axes) == 4


def test_rms_against_magnitude(residuals):
    axis = figures.position_rms(residuals).axes[0]
    assert axis.lines[1].get_ydata() == pytest.approx(0.004, rel=0.2)
    assert "0.00" in axis.get_legend().get_texts()[1].get_text()


def test_filters(correction):
    other = DistortionCorrection(correction.polynomial, shape=SHAPE)
    figure, table = figures.filter_maps({"F150W": correction, "F277W": other})
    assert table["filter"].tolist() == ["F150W", "F277W"]
    assert table["rms_x"][0] == pytest.approx(0.5 * 0.02 / np.sqrt(2), rel=0.1)
    assert [a.get_title() for a in figure.axes[:2]] == ["F150W: x minus average", "F150W: y minus average"]


def test_pixel_scale_in_time():
    columns = {"epoch": 2022.3 + np.arange(5) / 1e4, "pixel_scale": 65.57 + np.arange(5) / 1e4,
               "pixel_scale_error": np.full(5, 1e-4)}  # fmt: skip
    table = Table(columns, meta={"filter": "F277W", "pixel_scale_error": 1e-4})
    figure, summary = figures.scale_history([table])
    assert summary["n_exposures"][0] == 5
    assert figure.axes[0].get_legend().get_texts()[0].get_text().startswith("F277W: 65.570")
