"""What README and docs tell users to type exists: imports, commands, their parameters."""

import ast
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import jwst_hpastrom as hpa
from jwst_hpastrom import steps
from jwst_hpastrom.cli.commands import _parser
from jwst_hpastrom.integration import get_steps

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.rst"))]
CLUSTERS = ("dask_jobqueue", "dask_kubernetes")
STEPS = {alias: getattr(steps, name.split(".")[-1]) for name, alias, _ in get_steps()}


def blocks(path):
    """Indented or fenced blocks of a page."""
    text = path.read_text()
    if path.suffix == ".md":
        return re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    found = re.findall(r"(?:::|code-block:: \w+)\n\n((?:[ ]{4,}.*\n|\n)+)", text + "\n")
    return [re.sub(rf"^{re.match(r' *', b)[0]}", "", b, flags=re.M) for b in found]


def commands():
    for path in PAGES:
        for block in blocks(path):
            for line in re.findall(r"(?:^|&& |true )((?:strun|hpastrom) .*)", block, re.M):
                yield pytest.param(line.split(" -> ")[0], id=f"{path.stem}: {line[:60]}")


@pytest.mark.parametrize("line", [*commands()])
def test_commands(line):
    program, name, *words = shlex.split(re.sub(r"[\[\]…]| \| ", " ", line), comments=True)
    if program == "hpastrom":
        action = next(a for a in _parser()._actions if a.choices)
        known = {o for a in action.choices[name]._actions for o in a.option_strings}
        assert {w.split("=")[0] for w in words if w.startswith("--")} <= known
    elif name in STEPS:
        spec = STEPS[name].load_spec_file()
        for option in (w[2:].split("=")[0] for w in words if w.startswith("--")):
            owner, _, parameter = option.removeprefix("steps.").partition(".")
            where = STEPS[owner].load_spec_file() if parameter else spec
            assert (parameter or owner) in {*where, "save-parameters"}, option


def python_blocks():
    for path in PAGES:
        for k, block in enumerate(b for b in blocks(path) if re.search(r"^(from|import) ", b, re.M)):
            yield pytest.param(block, id=f"{path.stem}-{k}")


@pytest.mark.parametrize("block", [*python_blocks()])
def test_python(block):
    for node in ast.parse(block).body:
        if isinstance(node, ast.ImportFrom):
            package, _, inner = node.module.partition(".")
            if package in CLUSTERS and find_spec(package) is None:  # of no extra of this package
                continue
            module = import_module(node.module)
            if package == "jwst_hpastrom":  # what the front door offers, not where it happens to stand
                assert inner in ("", *hpa.__all__) or inner.endswith("_figures"), node.module
            assert all(hasattr(module, a.name) for a in node.names), ast.unparse(node)


def test_pages_are_read():
    assert len(list(commands())) > 25
    assert len(list(python_blocks())) > 5
