"""A Step's spec, made from the science function whose parameters it takes."""

import inspect
import re

__all__ = ["PROVIDED", "spec_from"]

#: keyword arguments of science functions that a Step provides by itself
PROVIDED = ("executor", "progress", "rng")
#: where docstrings say that no paper gives a value: of no use to who types it
CHOICE = " (this project's choice)"


def _documented(function):
    """Return {parameter: (type, help)} from a numpydoc docstring."""
    lines = (inspect.getdoc(function) or "").splitlines()
    out, k = {}, 0
    while k < len(lines) and not lines[k].startswith("Parameters"):
        k += 1
    body = lines[k + 2 :]
    for n, line in enumerate(body):
        if re.match(r"^(-{3,}|Returns|Yields)", line):
            break
        head = re.match(r"^(\w[\w, *]*?)\s*:\s*(.+)$", line)
        if head:
            text = " ".join(t.strip() for t in _indented(body[n + 1 :]))
            for name in head.group(1).split(","):
                first = re.split(r"(?<=[.;])\s", text)[0]
                # of a choice all is said: one sentence seldom explains every value
                help_text = (text if head.group(2).startswith("{") else first).rstrip(".; ")
                out[name.strip(" *")] = (head.group(2), help_text.replace(CHOICE, ""))
    return out


def _indented(lines):
    for line in lines:
        if line and not line.startswith(" "):
            return
        yield line


def spec_from(function, exclude=()):
    """Make a Step's spec from a science function's keyword-only parameters and its docstring.

    Parameters
    ----------
    function : callable
        Its keyword-only parameters become the Step's, with their defaults.

    exclude : collection of str
        Parameters that the Step provides itself, beside `PROVIDED`.

    Returns
    -------
    str
        Lines of a configobj spec.
    """
    documented, lines = _documented(function), []
    for p in inspect.signature(function).parameters.values():
        if p.kind is not p.KEYWORD_ONLY or p.name in (*PROVIDED, *exclude):
            continue
        kind, text = documented.get(p.name, ("", ""))
        choices = re.match(r"^\{(.+?)\}", kind)
        default = p.default
        if choices:
            values = [c.strip().strip("\"'") for c in choices.group(1).split(",")]
            spec = "option(" + ", ".join(repr(v) for v in values if v != "None")
        elif isinstance(default, bool) or kind.startswith("bool"):
            spec = "boolean("
        elif isinstance(default, int) or (default is None and kind.startswith("int")):
            spec = "integer("
        elif isinstance(default, float) or (default is None and kind.startswith("float")):
            spec = "float("
        else:
            spec = "string("
        value = repr(str(default)) if choices and default is not None else repr(default)
        sep = ", " if choices else ""
        lines.append(f"{p.name} = {spec}{sep}default={value})" + (f"  # {text}" if text else ""))
    return "\n".join(lines) + "\n"
