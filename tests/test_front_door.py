"""What the packages offer: names that exist, are documented, and cost nothing until they are used."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import jwst_hpastrom as hpa

DOCS = Path(__file__).parents[1] / "docs"
# the command line is no API
PACKAGES = sorted({p.parent.name for p in Path(hpa.__file__).parent.glob("*/__init__.py")} - {"cli"})


def documented():
    """Modules whose members the pages show."""
    text = "".join(p.read_text() for p in DOCS.glob("*.rst"))
    return re.findall(r"automodule:: (\S+)\n   :members:\n", text)


def loaded(code, *heavy):
    """Which of some modules are there after a program has run in a process of its own."""
    code += f"\nimport sys; print(*[m for m in {heavy} if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_it_imports_nothing():
    own = [f"jwst_hpastrom.{p}" for p in PACKAGES]
    assert not loaded("import jwst_hpastrom", "numpy", "scipy", "astropy", "jwst", "numba", "asdf", *own)


@pytest.mark.parametrize("arguments", [["--help"], ["frame", "--help"], ["run", "--help"]])
def test_help_imports_nothing(arguments):
    code = (
        "import contextlib, io\nfrom jwst_hpastrom.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):\n"
        f"    main({arguments})\nassert 'usage' in text.getvalue()"
    )
    assert not loaded(code, "numpy", "scipy", "astropy", "jwst", "numba", "asdf")


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_what_is_offered_is_there(package):
    module = import_module(f"jwst_hpastrom.{package}".rstrip("."))
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_offered_and_has_a_page(package):
    assert package in hpa.__all__
    assert f"jwst_hpastrom.{package}" in documented()


def test_pages_and_front_door_agree():
    """What the top offers is on a page; what a page shows is offered, or is a module of figures."""
    pages = {name: import_module(name) for name in documented()}
    shown = {id(getattr(m, n)) for m in pages.values() for n in m.__all__}
    for name in hpa.__all__:
        if name not in PACKAGES and f"jwst_hpastrom.{name}" not in pages:
            assert id(getattr(hpa, name)) in shown, name
    for name in pages:
        inner = name.removeprefix("jwst_hpastrom.")
        parent, _, last = name.rpartition(".")
        offered = inner in hpa.__all__ or last in import_module(parent).__all__
        assert offered or re.fullmatch(r"report\.\w+_figures", inner), name
