"""What the typed packages offer is annotated in full; mypy checks that it is true."""

import inspect
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

SETTINGS = Path(__file__).parents[1] / "pyproject.toml"
TYPED = tomllib.loads(SETTINGS.read_text())["tool"]["mypy"]["packages"]


def functions(value):
    """Return the function, or the public methods that a class defines itself, not what astropy adds to it."""
    if not inspect.isclass(value):
        return [value] if inspect.isfunction(value) else []
    members = [getattr(m, "fget", None) or getattr(m, "__func__", m) for m in vars(value).values()]
    ours = [m for m in members if inspect.isfunction(m) and m.__module__.startswith("jwst_hpastrom")]
    # astropy takes the annotations of a model's evaluate for units
    return [m for m in ours if not m.__name__.startswith("_") and m.__name__ != "evaluate"]


@pytest.mark.parametrize("package", TYPED)
def test_public_names_are_annotated(package):
    module = import_module(package)
    for name in module.__all__:
        for function in functions(getattr(module, name)):
            parameters = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
            missing = {*parameters, "return"} - set(function.__annotations__)
            assert not missing, (name, function.__name__, missing)
