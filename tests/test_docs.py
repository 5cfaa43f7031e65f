"""What README and docs tell users to type exists: imports, commands, their parameters."""

import ast
import contextlib
import io
import re
import shlex
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from jwst.stpipe.integration import get_steps as official_steps
from stpipe.config_parser import ValidateError, Validator

import jwst_hpastrom as hpa
from jwst_hpastrom.cli.commands import _parser
from jwst_hpastrom.integration import get_steps

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.rst"))]
LINE = r"(?:^|&& |true )((?:strun|hpastrom) .*)"
CLUSTERS = ("dask_jobqueue", "dask_kubernetes")


def blocks(path):
    """Indented or fenced blocks of a page."""
    text = path.read_text()
    if path.suffix == ".md":
        return re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    found = re.findall(r"(?:::|code-block:: \w+)\n\n((?:[ ]{4,}.*\n|\n)+)", text + "\n")
    return [re.sub(rf"^{re.match(r' *', b)[0]}", "", b, flags=re.M) for b in found]


def command_lines(path):
    """Command lines of a page: those of blocks, and those within the text."""
    found = re.findall(LINE, "\n".join(blocks(path)).replace("\\\n", " "), re.M)
    tick = "`" if path.suffix == ".md" else "``"
    text = " ".join(path.read_text().split())
    return found + re.findall(rf"(?<!`){tick}((?:strun|hpastrom) [^`]+){tick}(?!`)", text)


def commands():
    for path in PAGES:
        for line in dict.fromkeys(command_lines(path)):
            yield pytest.param(line.split(" -> ")[0], id=f"{path.stem}: {line[:60]}")


def words_of(line):
    """Words of a command line, without what says that there may be less or more of them."""
    return shlex.split(re.sub(r"[\[\]…]| \| ", " ", line), comments=True)


def value_of(word):
    """The option of a word and the values that it may have: ``--mode=a|b`` has two."""
    option, _, value = word.removeprefix("--").partition("=")
    return option, value.split("|") if value else []


def is_placeholder(value):
    """Whether a value stands for what a user puts there: DIR, N, R."""
    return value.isupper() or not value


@cache
def step_class(alias):
    """The Step of an alias, of this package or of the official pipeline."""
    known = {a: name for name, a, _ in (*official_steps(), *get_steps())}
    module, _, name = known[alias].rpartition(".")
    return getattr(import_module(module), name)


def check_hpastrom(words):
    """Parse them as the program does."""
    action = next(a for a in _parser()._actions if a.choices)
    if words[0].startswith("--"):
        return None
    parser = action.choices[words[0]]
    options = [w for w in words[1:] if w.startswith("--")]
    known = {o for a in parser._actions for o in a.option_strings}
    assert {w.split("=")[0] for w in options} <= known
    needed = [a.dest for a in parser._actions if a.required and not a.option_strings]
    if len(words) > 1 + len(options) or not needed:  # in the text the program's name may do
        with contextlib.redirect_stderr(io.StringIO()) as told:
            try:
                return _parser().parse_args([re.sub(r"^[A-Z]$", "1", w) for w in words])
            except SystemExit:
                pytest.fail(told.getvalue())
    return None


def check_strun(name, options):
    """Options are parameters of the Step, or of a pipeline's Step; their values can be what is said."""
    if name.isupper():  # ALIAS
        return
    if name.endswith(".asdf"):
        assert not options
        return
    step = step_class(name)
    for option, found in map(value_of, options):
        if option in ("help", "save-parameters", "verbose", "log-level", "log-file"):
            continue
        owner, parameter = step, option
        if option.startswith("steps."):
            inner, parameter = option.removeprefix("steps.").split(".")
            owner = step.step_defs[inner]
        spec = owner.load_spec_file()
        if parameter.startswith("override_"):
            assert parameter.removeprefix("override_") in owner.reference_file_types, option
            continue
        assert parameter in spec, option
        for value in found:
            if parameter.endswith("_hooks"):
                module, _, hook = value.rstrip(",").rpartition(".")
                assert hasattr(import_module(module), hook), value
            elif not is_placeholder(value):
                Validator().check(spec[parameter], value)


@pytest.mark.parametrize("line", [*commands()])
def test_commands(line):
    program, *words = words_of(line)
    if program == "hpastrom":
        check_hpastrom(words)
    else:
        check_strun(words[0], [w for w in words if w.startswith("--")])


@pytest.mark.parametrize(
    "line",
    ["strun hp_no_step x", "strun hp_epsf_fit x --no_such=1", "strun hp_epsf_fit x --mode=none_such",
     "strun calwebb_image3 x --steps.tweakreg.no_such=1", "hpastrom report --no-such", "hpastrom none x"],
)  # fmt: skip
def test_wrong_commands_are_noticed(line):
    with pytest.raises((KeyError, AssertionError, ValidateError, pytest.fail.Exception)):
        test_commands(line)


def test_extras_that_are_installed_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path in PAGES:
        for group in re.findall(r"(?:jwst_hpastrom|\.)\[([\w,]+)\]", path.read_text()):
            assert {*group.split(",")} <= {*extras}, (path.name, group)


def test_modules_that_are_run_exist():
    for path in PAGES:
        for name in re.findall(r"python -m (jwst_hpastrom[\w.]*)", path.read_text()):
            assert find_spec(f"{name}.__main__"), (path.name, name)


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
    assert len(list(commands())) > 50
    assert len(list(python_blocks())) > 5
