"""What the package offers: one page an object, and links that find it from wherever it is defined."""

import inspect
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = "jwst_hpastrom"
#: the parts of a module's page
KINDS = ("functions", "classes", "errors", "values")


def _offered(module):
    """Return {name: object} of a module's ``__all__``."""
    module = import_module(module)
    return {name: getattr(module, name) for name in module.__all__}


@cache
def modules():
    """Return names of the modules that have a page: what the front door offers, and modules of these.

    The report's modules of figures are among them, which nobody needs to import for a report.
    """
    found = [f"{ROOT}.{n}" for n, v in _offered(ROOT).items() if inspect.ismodule(v)]
    found += [f"{m}.{n}" for m in found for n, v in _offered(m).items() if inspect.ismodule(v)]
    report = Path(import_module(f"{ROOT}.report").__file__).parent
    inner = [p.relative_to(report).with_suffix("").parts for p in report.rglob("*_figures.py")]
    return (*found, *sorted(".".join((ROOT, "report", *p)) for p in inner))


def kind(thing):
    """Return which of `KINDS` a public object is."""
    if inspect.isclass(thing):
        return "errors" if issubclass(thing, Exception) else "classes"
    # a Numba function that was made from text has no docstring but a comment, as values have
    compiled = hasattr(thing, "py_func") and thing.__doc__
    return "functions" if inspect.isfunction(thing) or compiled else "values"


@cache
def _all_names():
    """Return {full name: object} of all that the modules offer."""
    offered = {f"{m}.{n}": v for m in modules() for n, v in _offered(m).items()}
    return {name: v for name, v in offered.items() if not inspect.ismodule(v)}


@cache
def page_of(full_name):
    """Return the one page of what several packages may offer: that of the package it is defined in."""
    thing, name = _all_names()[full_name], full_name.rpartition(".")[2]
    home = (getattr(thing, "__module__", None) or "").split(".")[:2]
    same = [p for p, other in _all_names().items() if other is thing and p.endswith(f".{name}")]
    return min(same, key=lambda p: (p.split(".")[:2] != home, len(p)))


def pages():
    """Return {full name: object} of all that has a page."""
    return {name: v for name, v in _all_names().items() if page_of(name) == name}


def contents(module):
    """Return {kind: names} of what has its page below a module's; "elsewhere" are full names of the rest."""
    out = {k: [] for k in (*KINDS, "elsewhere")}
    for name, thing in _offered(module).items():
        full = f"{module}.{name}"
        if full in pages():
            out[kind(thing)].append(name)
        elif full in _all_names():
            out["elsewhere"].append(page_of(full))
    return {k: found for k, found in out.items() if found}


def front_door():
    """Return the pages of what the package offers at the top."""
    by_object = {(id(v), n.rpartition(".")[2]): page_of(n) for n, v in _all_names().items()}
    found = [by_object[id(v), n] for n, v in _offered(ROOT).items() if not inspect.ismodule(v)]
    return sorted(found, key=lambda page: KINDS.index(kind(pages()[page])))


def comment(full_name):
    """Return what the ``#:`` comment above a value's definition says; '' where there is none."""
    value, name = _all_names()[full_name], full_name.rpartition(".")[2]
    for module in [m for n, m in sys.modules.items() if n.startswith(ROOT)]:
        if vars(module).get(name) is value and getattr(module, "__file__", None):
            found = re.search(rf"^((?:#:.*\n)+){name}\b.*=", Path(module.__file__).read_text(), re.M)
            if found:
                return " ".join(line[2:].strip() for line in found[1].splitlines())
    return ""


@cache
def resolve(target):
    """Return the page that a reference means: a path to where it is defined, or a name that only one has."""
    head, _, last = target.rpartition(".")
    if target in modules():
        return target
    if target in _all_names():
        return page_of(target)
    if not head:
        found = {page_of(p) for p in _all_names() if p.endswith(f".{last}")}
        return found.pop() if len(found) == 1 else None
    owner = resolve(head)  # a method or an attribute of a class
    if owner and owner not in modules():
        return f"{owner}.{last}"
    try:
        thing = getattr(import_module(head), last)
    except (ImportError, AttributeError):
        return None
    return next((page_of(p) for p, v in _all_names().items() if v is thing and p.endswith(f".{last}")), None)


def _defined(path):
    """Return the object of a path; None where there is none."""
    head, _, last = path.rpartition(".")
    owner = sys.modules.get(head) if head in sys.modules else head and _defined(head)
    return sys.modules.get(path) or getattr(owner, last, None)


@cache
def is_inside(target):
    """Return whether a name without a page is one of the package's own, which readers may meet as a word."""
    head, _, last = target.rpartition(".")
    own = [m for n, m in sys.modules.items() if n.startswith(ROOT)]
    if target.startswith(ROOT):
        owner = _defined(head)
        attribute = inspect.isclass(owner) and f"self.{last} = " in inspect.getsource(owner)
        return _defined(target) is not None or attribute
    if any(m.__name__.endswith(f".{target}") for m in own):
        return True
    classes = [v for v in _all_names().values() if inspect.isclass(v)]
    return any(last in vars(m) for m in own) or any(hasattr(c, last) for c in classes)


def find(app, env, node, contnode):
    """Link what Sphinx did not find; leave names without a page as they are."""
    if node.get("refdomain") != "py":
        return None
    page = resolve(node["reftarget"])
    if page not in (None, node["reftarget"]):
        plain = node.copy()
        plain["py:module"] = plain["py:class"] = None
        return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", page, plain, contnode)
    return contnode if is_inside(node["reftarget"]) else None


def context():
    """Return what the templates of pages ask for."""
    texts = {name: comment(name) for name, v in pages().items() if kind(v) == "values"}
    return {"contents": {m: contents(m) for m in modules()}, "comments": texts}


def write_lists(folder):
    """Write the lists that api.rst includes: what the top offers, and the modules."""
    lines = [".. autosummary::", "   :nosignatures:", "", *(f"   ~{p}" for p in front_door()), ""]
    (folder / "_front_door.rst").write_text("\n".join(lines))
    lines = [".. autosummary::", "   :toctree: api", "", *(f"   {m}" for m in modules()), ""]
    (folder / "_packages.rst").write_text("\n".join(lines))


def setup(app):
    """Register."""
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
