"""The examples in docstrings and on pages: each runs by itself, and gives what it says.

Examples of public objects import what they use, so that a reader can paste them.
"""

import doctest
import inspect
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FunctionType

import pytest

import jwst_hpastrom as hpa

ROOT = Path(__file__).parents[1]
PACKAGE = Path(hpa.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
#: public objects whose examples are run, at least
FEWEST = 60
METHODS = (FunctionType, classmethod, staticmethod, property)
PARSER = doctest.DocTestParser()


@cache
def public_names():
    """The extension of the documentation that knows what is public."""
    path = ROOT / "docs" / "_ext" / "public_names.py"
    spec = spec_from_file_location("public_names", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def members(name, thing):
    """The object and, of a class, its own methods."""
    yield name, thing
    if inspect.isclass(thing):
        for key, value in vars(thing).items():
            if not key.startswith("_") and isinstance(value, METHODS):
                yield f"{name}.{key}", value


@cache
def public_examples():
    """{name: examples} of what the packages offer; an example starts from nothing, as a reader does."""
    found = {}
    for page, thing in public_names().pages().items():
        if public_names().kind(thing) == "values":  # their docstrings are their types'
            continue
        for name, member in members(page, thing):
            test = PARSER.get_doctest(inspect.getdoc(member) or "", {}, name, name, 0)
            if test.examples:
                found[name] = test
    return found


def run(test):
    """Run one; return what failed, as doctest tells it."""
    told = []
    # examples draw with pyplot, as readers do
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=told.append)
    plt = import_module("matplotlib.pyplot")
    plt.close("all")
    return "".join(told)


def sources():
    """Files of the package with examples."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>>" in path.read_text():
            yield pytest.param(path, id=str(path.relative_to(PACKAGE)))


@pytest.mark.parametrize("source", [*sources()])
def test_docstrings(source):
    """Those of public objects start from nothing, those of others in their module."""
    pytest.importorskip("matplotlib")
    name = ".".join(("jwst_hpastrom", *source.relative_to(PACKAGE).with_suffix("").parts))
    module = import_module(name.removesuffix(".__init__"))
    mine = {n: t for n, t in public_examples().items() if defined_in(module, n)}
    known = {t.docstring for t in mine.values()}
    others = [t for t in doctest.DocTestFinder().find(module) if t.examples]
    tests = [*mine.values(), *(t for t in others if inspect.cleandoc(t.docstring) not in known)]
    assert tests, "its examples belong to nothing"
    for test in tests:
        assert not (failed := run(test)), failed


def defined_in(module, name):
    """Whether a public object, or the class of a method, stands in that module."""
    pages = public_names().pages()
    owner = pages.get(name) or pages.get(name.rpartition(".")[0])
    return inspect.getmodule(inspect.unwrap(owner)) is module or (
        module.__name__.endswith(".errors") and ".errors." in name
    )


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.rst"))])
def test_pages(page):
    test = PARSER.get_doctest((ROOT / page).read_text(), {}, page, page, 0)
    assert not test.examples or not (failed := run(test)), failed


def test_there_are_enough():
    run_ones = [n for n, t in public_examples().items() if not all("+SKIP" in e.source for e in t.examples)]
    assert len(run_ones) >= FEWEST
