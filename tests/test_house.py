"""How large functions, files and folders may be. The limits are what is reached: they only go down."""

import ast
from collections import Counter
from pathlib import Path

import jwst_hpastrom

PACKAGE = Path(jwst_hpastrom.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
#: of functions: arguments and lines, docstring included, and how many may have more: two kernels, whose loops
#: share a dozen work arrays, and `build_library`, of which the docstring is most
MOST_ARGUMENTS, MANY = 10, 14
MOST_LINES, LONG = 80, 3
#: of files and folders, and how many files may be longer
MOST_LINES_OF_FILE, LONG_FILES = 400, 0
MOST_FILES = 14


def functions():
    """Place, number of arguments and of lines of every function."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                a, place = node.args, f"{path.relative_to(PACKAGE)}:{node.name}"
                lines = node.end_lineno - node.lineno + 1
                yield place, len(a.posonlyargs + a.args + a.kwonlyargs), lines


def test_functions_of_many_arguments():
    found = [(n, place) for place, n, _ in functions() if n > MOST_ARGUMENTS]
    assert len(found) <= MANY, sorted(found)


def test_long_functions():
    found = [(n, place) for place, _, n in functions() if n > MOST_LINES]
    assert len(found) <= LONG, sorted(found)


def test_long_files():
    lines = {p.relative_to(PACKAGE): p.read_text().count("\n") for p in PACKAGE.rglob("*.py")}
    found = {str(p): n for p, n in lines.items() if n > MOST_LINES_OF_FILE}
    assert len(found) <= LONG_FILES, found


def test_full_folders():
    count = Counter(p.parent.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py"))
    assert not {str(folder): n for folder, n in count.items() if n > MOST_FILES}


def test_the_architecture_page_names_every_folder():
    text = (DOCS / "architecture.rst").read_text()
    assert not [str(p.parent.relative_to(PACKAGE)) for p in PACKAGE.glob("**/__init__.py")
                if p.parent != PACKAGE and f" {p.parent.name}/ " not in text]  # fmt: skip


def test_text_is_opened_in_one_encoding():
    """Else the locale's: an association that reads well on one machine ends in an error on another."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            modes = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            text = name in ("read_text", "write_text") or (
                isinstance(node.func, ast.Name) and name == "open" and not any("b" in m for m in modes)
            )
            text |= any(k.arg == "text" for k in node.keywords) and name in ("Popen", "run")
            if text and not any(k.arg == "encoding" for k in node.keywords):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert not found
