"""What CONTRIBUTING says of adding a filter, an imager, a column or a model: one place, and all follow."""

import numpy as np
import pytest
from astropy.io import fits

from jwst_hpastrom.columns import AVERAGED, MASTER, Column
from jwst_hpastrom.frame import assemble, build_master, measurements
from jwst_hpastrom.frame.systematics import light_errors
from jwst_hpastrom.instrument import (
    INSTRUMENTS,
    Detector,
    Filter,
    Instrument,
    filter_of,
    identify,
    pixel_mas,
    shape_of,
    wheels,
)
from jwst_hpastrom.io import exposure_root, read_exposure
from jwst_hpastrom.motion import kinematic_models
from tests.frame.visits import star_list, stars_of

KERNEL = '''"""Exponential in time: A² exp(−Δt/τ)."""

import numpy as np
from numba import njit

from jwst_hpastrom.motion.kinematic_models.kernel import FAST, Kernel


@njit(nogil=True, fastmath=FAST)
def fill(t, group, aux, theta, k, dk, gradient):
    """Fill the covariance and its derivative by ln τ."""
    a2, tau = np.exp(2.0 * theta[0]), np.exp(theta[1])
    for i in range(t.size):
        for j in range(t.size):
            u = abs(t[i] - t[j]) / tau
            k[i, j] = a2 * np.exp(-u)
            if gradient:
                dk[1, i, j] = u * k[i, j]


KERNEL = Kernel("exponential", 9, "exponential", ("amplitude", "time scale"), fill)
'''


def test_a_filter_is_a_row(monkeypatch):
    row = Filter("CLEAR", "F187N", 1.874, 0.024)
    monkeypatch.setitem(INSTRUMENTS["NIRISS"].filters, "F187N", row)
    beam = identify("NIRISS", "NIS", "NIS_IMAGE", "CLEAR", "F187N")
    assert beam.filter == "F187N"
    assert filter_of("F187N") is row
    assert wheels({"instrument": "NIRISS", "filter": "F187N"}) == ("CLEAR", "F187N")
    stars = np.array([10.0, 40.0]), np.array([10.0, 10.0]), np.array([-8.0, -6.0]), np.zeros(2, int)
    assert (light_errors(*stars, "F187N", 1.0, "NIRISS") > 0).any()


def test_an_imager_is_an_entry(monkeypatch, tmp_path):
    toy = Instrument(
        "TOY_IMAGE",
        {"TOYDET": Detector((512, 640), 0.05, 10.0, -300.0, 1.5, stripes="y")},
        {"F150W": Filter("F150W", "CLEAR", 1.5, 0.3)},
        ("CLEAR",),
    )
    monkeypatch.setitem(INSTRUMENTS, "TOYCAM", toy)
    header = {
        "TELESCOP": "JWST", "INSTRUME": "TOYCAM", "DETECTOR": "TOYDET", "EXP_TYPE": "TOY_IMAGE",
        "FILTER": "F150W", "PUPIL": "CLEAR", "EXPMID": 59700.5, "BUNIT": "MJy/sr",
    }  # fmt: skip
    arrays = (np.ones((512, 640), "f4"), np.full((512, 640), 0.1, "f4"), np.zeros((512, 640), "u4"))
    hdus = [fits.PrimaryHDU()]
    hdus[0].header.update(header)
    hdus += [fits.ImageHDU(a, name=name) for a, name in zip(arrays, ("SCI", "ERR", "DQ"), strict=True)]
    fits.HDUList(hdus).writeto(tmp_path / "a_cal.fits")
    meta = read_exposure(tmp_path / "a_cal.fits").meta
    assert (meta["filter"], meta["xstart"]) == ("F150W", 1)  # the whole detector, by its size
    assert (pixel_mas(meta), shape_of(meta), wheels(meta)) == (50.0, (512, 640), ("F150W", "CLEAR"))


@pytest.mark.parametrize("detector", [d for i in INSTRUMENTS.values() for d in i.detectors])
def test_names_of_exposures_end_with_any_detector(detector):
    root = f"jw01086004001_02101_00001_{detector.lower()}"
    assert exposure_root(f"{root}_other_suffix.fits") == root


def test_a_column_of_star_lists_reaches_the_frame(monkeypatch):
    monkeypatch.setattr(measurements, "AVERAGED", (*AVERAGED, "toy"))
    monkeypatch.setattr(assemble, "AVERAGED", (*AVERAGED, "toy"))
    monkeypatch.setattr(assemble, "MASTER", (*MASTER, Column("toy", "", "f8", "mean of a toy")))
    rng = np.random.default_rng(4)
    truth = stars_of(rng, density=0.03)
    lists = [
        star_list(rng, truth, "NRCB1", dither, 0.0, k=k)
        for k, dither in enumerate([(0.0, 0.0), (1.0, 0.5), (-0.7, 1.2)])
    ]
    for k, table in enumerate(lists):
        table["toy"] = table["true"] + k
    master = build_master(lists).table
    whole = np.asarray(master["n_used"]) == 3
    assert whole.sum() > 50
    assert np.allclose(np.asarray(master["toy"])[whole] % 1, 0.0, atol=1e-9)  # the mean of k, k + 1, k + 2


def test_a_model_is_a_file(monkeypatch, tmp_path):
    (tmp_path / "exponential.py").write_text(KERNEL)
    monkeypatch.setattr(kinematic_models, "__path__", [*kinematic_models.__path__, str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "jwst_hpastrom.motion.kinematic_models.exponential", False)
    found = kinematic_models._found()
    assert set(found) == {*kinematic_models.KERNELS, "exponential"}
    kernel = found["exponential"]
    t, k, dk = np.array([0.0, 1.0, 3.0]), np.empty((3, 3)), np.empty((2, 3, 3))
    kernel.fill.py_func(t, None, None, np.log([2.0, 1.5]), k, dk, True)
    np.testing.assert_allclose(k, 4 * np.exp(-np.abs(t[:, None] - t) / 1.5))
