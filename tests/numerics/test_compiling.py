"""Level of optimization: lower for this package's functions, as it was for all others and afterwards."""

import subprocess
import sys
from types import SimpleNamespace

import numba
import pytest

from jwst_hpastrom.numerics.compiling import LEVEL, LightOptimization


def compiling(name):
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=SimpleNamespace(__module__=name))})


@pytest.fixture
def level(monkeypatch):
    """Numba's level at its default."""
    monkeypatch.setattr(numba.config, "OPT", type(numba.config.OPT)(3))
    return lambda: int(numba.config.OPT)


def test_functions_within_ours_are_compiled_like_ours_and_others_as_before(level):
    listener = LightOptimization()
    for name, wanted in (("jwst_hpastrom.epsf.fit", LEVEL), ("numba.np.arrayobj", LEVEL)):
        listener.on_start(compiling(name))
        assert level() == wanted
    listener.on_end(None)
    assert level() == LEVEL
    listener.on_end(None)
    assert level() == 3
    for others in ("somebody.elses", None):  # None: of a function that `exec` made
        listener.on_start(compiling(others))
        assert level() == 3
        listener.on_start(compiling("jwst_hpastrom.epsf.fit"))  # called by it
        assert level() == LEVEL
        listener.on_end(None)
        assert level() == 3
        listener.on_end(None)


def test_a_lower_level_stays(level, monkeypatch):
    monkeypatch.setattr(numba.config, "OPT", type(numba.config.OPT)(1))
    LightOptimization().on_start(compiling("jwst_hpastrom.epsf.fit"))
    assert level() == 1


@pytest.mark.parametrize(("given", "wanted"), [(None, True), ("3", False)])
def test_kernels_register_it_unless_the_user_chose_a_level(given, wanted, monkeypatch):
    monkeypatch.delenv("NUMBA_OPT", raising=False)
    if given:
        monkeypatch.setenv("NUMBA_OPT", given)
    code = (
        "import jwst_hpastrom.numerics.robust_kernels\n"
        "from numba.core import event\n"
        "print([type(l).__name__ for l in event._registered['numba:compile']])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert ("LightOptimization" in out) == wanted
