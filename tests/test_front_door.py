"""What the packages offer: names that exist, are documented, and cost nothing until they are used."""

import inspect
import subprocess
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import jwst_hpastrom as hpa

EXTENSIONS = Path(__file__).parents[1] / "docs" / "_ext"
# the command line is no API
PACKAGES = sorted({p.parent.name for p in Path(hpa.__file__).parent.glob("*/__init__.py")} - {"cli"})


@pytest.fixture(scope="module")
def public_names():
    """The extension that gives each name its page."""
    spec = spec_from_file_location("public_names", EXTENSIONS / "public_names.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


#: measures the sky level, and draws motions on the sky
TWO_THINGS = {"sky_map"}


def test_a_name_is_one_thing_in_all_packages():
    found = {}
    for package in PACKAGES:
        module = import_module(f"jwst_hpastrom.{package}")
        for name in module.__all__:
            found.setdefault(name, set()).add(id(getattr(module, name)))
    assert {name for name, things in found.items() if len(things) > 1} <= TWO_THINGS


def test_every_package_is_offered_and_has_a_page(public_names):
    assert {*PACKAGES} <= {*hpa.__all__}
    assert {f"jwst_hpastrom.{p}" for p in PACKAGES} <= {*public_names.modules()}
    assert "jwst_hpastrom.motion.kinematic_models" in public_names.modules()
    assert "jwst_hpastrom.report.epsf_figures" in public_names.modules()


def test_every_public_name_has_one_page(public_names):
    """Whatever package offers it, and whatever it is."""
    shown = {id(v) for v in public_names.pages().values()}
    for module in ("jwst_hpastrom", *public_names.modules()):
        for name, thing in vars_of(module).items():
            assert inspect.ismodule(thing) or id(thing) in shown, (module, name)
    assert len(public_names.front_door()) == sum(not inspect.ismodule(getattr(hpa, n)) for n in hpa.__all__)
    listed = [f"{m}.{n}" for m in public_names.modules() for n in below(public_names, m)]
    assert sorted(listed) == sorted(public_names.pages())


def below(public_names, module):
    return [n for k, found in public_names.contents(module).items() if k != "elsewhere" for n in found]


def vars_of(module):
    module = import_module(module)
    return {name: getattr(module, name) for name in module.__all__}


def test_every_page_has_a_text(public_names):
    """A docstring, or above values a comment with a colon."""
    pages = public_names.pages()
    values = {n for n, v in pages.items() if public_names.kind(v) == "values"}
    assert not [n for n, v in pages.items() if n not in values and not inspect.getdoc(v)]
    # the docstring of a dataclass that nobody wrote is its signature
    assert not [n for n, v in pages.items() if inspect.isclass(v) and v.__doc__.startswith(f"{v.__name__}(")]
    assert not [n for n in values if not public_names.comment(n)]


def test_references_find_their_pages(public_names):
    for target, page in {
        "jwst_hpastrom.epsf.library.EPSFLibrary": "jwst_hpastrom.epsf.EPSFLibrary",
        "EPSFLibrary": "jwst_hpastrom.epsf.EPSFLibrary",
        "jwst_hpastrom.geometry.robust_sigma": "jwst_hpastrom.numerics.robust_sigma",
        "jwst_hpastrom.epsf.EPSFLibrary.plot": "jwst_hpastrom.epsf.EPSFLibrary.plot",
        "jwst_hpastrom.plot": "jwst_hpastrom.plot",
        "jwst_hpastrom.epsf.no_such_name": None,
        "no_such_name": None,
    }.items():
        assert public_names.resolve(target) == page, target
    assert public_names.is_inside("jwst_hpastrom.epsf.fit.FitResult")
    assert not public_names.is_inside("jwst_hpastrom.epsf.no_such_name")
    assert not public_names.is_inside("no_such_name")
