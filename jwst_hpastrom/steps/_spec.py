"""A Step's spec, made from the science function whose parameters it takes."""

import inspect

from jwst_hpastrom.ranges import choices_of, documented

__all__ = ["PROVIDED", "spec_from"]

#: keyword arguments of science functions that a Step provides by itself
PROVIDED = ("config", "executor", "progress", "rng", "store")


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
    known, lines = documented(function), []
    for p in inspect.signature(function).parameters.values():
        if p.kind is not p.KEYWORD_ONLY or p.name in (*PROVIDED, *exclude):
            continue
        kind, text = known.get(p.name, ("", ""))
        choices = choices_of(kind)
        default = p.default
        if choices:
            spec = "option(" + ", ".join(repr(v) for v in choices if v != "None")
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
