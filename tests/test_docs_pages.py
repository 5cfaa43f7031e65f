"""The documentation's own parts: parameter tables, troubleshooting, formulas."""

import ast
import importlib
import importlib.util
import inspect
import pydoc
import re
from pathlib import Path

import pytest

from jwst_hpastrom import errors, plot, steps
from jwst_hpastrom.integration import get_steps

DOCS = Path(__file__).parents[1] / "docs"


def extension(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_alias():
    return {alias: getattr(steps, name.split(".")[-1]) for name, alias, _ in get_steps()}


@pytest.fixture(scope="module")
def tables():
    pytest.importorskip("docutils")
    return extension("step_parameters")


def test_every_step_has_its_table():
    text = (DOCS / "steps.rst").read_text()
    assert set(re.findall(r"step-parameters:: (\w+)", text)) == {"common", *by_alias()}


def test_tables_have_every_parameter_of_the_spec(tables):
    for step in by_alias().values():
        found = tables.parameters(step)
        assert set(found) == set(step.load_spec_file().scalars)
    fit = tables.parameters(by_alias()["hp_epsf_fit"])
    assert fit["perturb"][:2] == ("``none`` | ``global`` | ``zones``", "``none``")
    assert fit["regions"][:2] == ("boolean", "``False``")
    assert fit["threshold"][1] == "``5.0``"
    assert fit["fit_box"][2]


def test_every_error_has_a_remedy():
    text = (DOCS / "troubleshooting.rst").read_text()
    named = [n for n, c in vars(errors).items() if inspect.isclass(c) and n.endswith("Error")]
    missing = [n for n in named if n != "HPAstromError" and f"``{n}``" not in text]
    assert not missing


def test_every_verdict_has_its_causes_and_a_remedy():
    """The page has the table of all, which the code makes; the page of ranges has a row for each."""
    pytest.importorskip("docutils")
    rows = extension("verdict_names").rows()
    code = "".join(p.read_text() for p in (DOCS.parent / "jwst_hpastrom" / "checks").glob("*.py"))
    assert len(rows) > code.count(" judge(") - 5  # one of them is the definition, some judge for others
    assert all(name and causes and all(causes) and remedy for name, causes, remedy in rows)
    assert {"QFIT of bright stars", "years by which the stars are ahead of all epochs"} < {r[0] for r in rows}
    assert "verdict-names::" in (DOCS / "troubleshooting.rst").read_text()
    cells = re.findall(r"^   \* - (.*?)^     - ", (DOCS / "verdicts.rst").read_text(), re.M | re.S)
    ranges = [significant(c) for c in cells]
    missing = [n for n in (r[0] for r in rows) if max(len(significant(n) & c) for c in ranges) < likeness(n)]
    assert not missing


def significant(text):
    return {w for w in re.findall(r"[\wχ²-]+", text.lower().replace("chi-square", "χ²")) if len(w) > 3}


def likeness(name):
    """Words of a name that a row about it has, at the least."""
    return 0.5 * len(significant(name))


@pytest.mark.parametrize("word", ["ePSF", "QFIT", "RADXS", "pull", "gauge", "Cramér–Rao bound", "RUWE"])
def test_glossary(word):
    assert re.search(rf"^   {word}$", (DOCS / "glossary.rst").read_text(), re.M)


def test_benchmarks_that_the_docs_name_are_there():
    for page in DOCS.glob("*.rst"):
        for script in re.findall(r"benchmarks/(\w+\.py)", page.read_text()):
            assert (DOCS.parent / "benchmarks" / script).exists(), (page.name, script)


def test_formulas_are_pictures():
    pytest.importorskip("docutils")
    pytest.importorskip("matplotlib")
    text = "".join(p.read_text() for p in DOCS.glob("*.rst"))
    inline = re.findall(r":math:`([^`]+)`", text)
    assert inline
    for formula in inline:
        assert "data:image/svg+xml" in extension("drawn_math").image(formula)


SCRIPTS = [*sorted((DOCS / "tutorials").glob("*.py")), *sorted((DOCS / "gallery").glob("*.py"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_tutorials_import_what_is_offered(script):
    """They are run when the pages are built; here only that their names exist."""
    tree = ast.parse(script.read_text())
    assert ast.get_docstring(tree).count("\n===") == 1
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, a.name) for a in node.names)


def test_every_figure_is_in_the_gallery():
    shown = {p.stem.removeprefix("plot_"): p.read_text() for p in (DOCS / "gallery").glob("plot_*.py")}
    assert {*shown} == {*plot.__all__}
    for name, text in shown.items():
        assert f"hpa.plot.{name}(" in text
        assert f"`~jwst_hpastrom.plot.{name}` shows" in " ".join(text.split())


@pytest.mark.parametrize("path", sorted((DOCS / "_inventories").glob("*.txt")), ids=lambda p: p.stem)
def test_lists_of_other_packages_names(path, tmp_path):
    """Each name exists where the package is installed; each line makes an entry of an inventory."""
    address, *lines = path.read_text().splitlines()
    assert address.startswith("https://")
    assert address.endswith("/")
    for name in (line.split()[0] for line in lines):
        owner, _, last = name.rpartition(".")
        thing = getattr(pydoc.locate(owner or "builtins"), last)
        assert thing is not None, name
    intersphinx = pytest.importorskip("sphinx.util.inventory")
    (tmp_path / "_inventories").mkdir()
    (tmp_path / "_inventories" / path.name).write_text(path.read_text())
    written = extension("inventories").write_inventories(tmp_path)
    content = (tmp_path / written[path.stem][1]).read_bytes()
    loaded = intersphinx.InventoryFile.loads(content, uri=address)
    assert sum(len(v) for v in loaded.data.values()) == len(lines)


def test_there_are_three_tutorials():
    assert len([*(DOCS / "tutorials").glob("plot_*.py")]) == 3
