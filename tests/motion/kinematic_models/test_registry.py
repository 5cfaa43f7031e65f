"""The registry of kinematic models: every file is in it, has a test, and reaches tables and docs."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from jwst_hpastrom.motion import kinematic_models
from jwst_hpastrom.motion.kinematic_models import KERNELS, MODEL_CODES, MODEL_SETS, N_CODES, scale
from jwst_hpastrom.motion.star_fits.models import fit_motions

FILES = {p.stem for p in Path(kinematic_models.__file__).parent.glob("*.py")} - {"__init__", "kernel"}


def test_a_file_is_a_model_and_has_its_test():
    assert set(KERNELS) == FILES
    for name in FILES:
        assert Path(__file__).with_name(f"test_{name}.py").exists()


def test_published_codes_stay():
    """Tables that were written hold them."""
    codes = {"poly": 0, "confusion": 1, "sqexp": 2, "additive": 3, "step": 5, "group": 6}
    assert codes.items() <= MODEL_CODES.items()
    assert MODEL_SETS["h25"] == ("poly", "confusion", "sqexp", "additive", "step")
    assert MODEL_SETS["linear"] == ("poly",)


def test_models_are_described():
    for kernel in KERNELS.values():
        assert f"``{kernel.name}`` (code {kernel.code}" in kinematic_models.__doc__
        assert len(kernel.parameters) <= 2


def test_every_model_is_fitted_under_its_code():
    rng = np.random.default_rng(0)
    t, group = np.linspace(2012.0, 2022.0, 9), np.arange(9) % 2
    x, y = rng.normal(size=(2, 2, 9))
    fits = fit_motions(t, x, y, np.ones_like(x), np.ones_like(x), models=tuple(KERNELS), group=group)
    assert fits.elpd.shape == (2, N_CODES)
    assert set(np.flatnonzero(np.isfinite(fits.elpd).all(0))) == set(MODEL_CODES.values())


def test_bounds_of_the_second_parameter():
    gap, base, sigma, speed, n = 0.4, 10.0, 0.3, 2.0, 9
    for name in ("sqexp", "step"):
        low, high = scale(MODEL_CODES[name], gap, base, sigma, speed, n)
        np.testing.assert_allclose(np.exp([low, high]), [gap / 2, base])
    low, high = scale(MODEL_CODES["confusion"], gap, base, sigma, speed, n)
    np.testing.assert_allclose(np.exp([low, high]), [speed * base / (2 * n), 2 * speed * base])
    assert np.isnan(scale(4, gap, base, sigma, speed, n)).all()


def test_motions_need_no_docstrings():
    command = [sys.executable, "-B", "-OO", "-c", "import jwst_hpastrom.motion.kinematic_models"]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
