"""Configurations: frozen dataclasses whose fields are the parameters of functions, each with its help."""

import difflib
import functools
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self, TypeVar, dataclass_transform

from jwst_hpastrom.errors import ParameterError
from jwst_hpastrom.ranges import check_kind, check_pairs, check_parameter, choices_of

__all__ = ["Configuration", "configuration", "configured", "parameter"]

#: characters of a line of a docstring that is made here
WIDTH = 104

C = TypeVar("C", bound=type)
R = TypeVar("R")


def parameter(*, default: Any, kind: str, text: str, checked: bool = True) -> Any:
    """Return a configuration's field.

    Parameters
    ----------
    default : object

    kind : str
        Type as numpydoc has it: ``float, optional``, ``{"global", "local"}``, whose choices are checked.

    text : str
        Help: what ``help``, the pages and a Step's ``--help`` say.

    checked : bool
        Whether its range is that of its name.

    Returns
    -------
    dataclass field
    """
    return field(default=default, metadata={"kind": kind, "help": " ".join(text.split()), "checked": checked})


class Configuration:
    """Base of configurations: their fields are parameters, or configurations themselves.

    Raises
    ------
    ParameterError
        Of a value out of its range (`jwst_hpastrom.ranges.RANGES`) or none of its choices.
    """

    def __post_init__(self) -> None:
        own = {f.name: getattr(self, f.name) for f in fields(self) if "kind" in f.metadata}  # type: ignore[arg-type]
        _check(type(self), own, own, f"see help({type(self).__name__})")
        for f in fields(self):  # type: ignore[arg-type]
            if f.metadata.get("kind", "").startswith("int") and isinstance(own[f.name], float):
                object.__setattr__(self, f.name, int(own[f.name]))  # 5.0: kernels take whole numbers as such

    def given(self, **options: Any) -> Self:
        """Return a copy with other values of some parameters, of this or of the configurations in it.

        Parameters
        ----------
        **options
            By the parameters' names.

        Returns
        -------
        `Configuration`

        Raises
        ------
        TypeError
            No such parameter; the nearest is named.
        """
        _refuse_unknown(type(self).__name__, options, _parameters(type(self)))
        changes = {}
        for f in fields(self):  # type: ignore[arg-type]
            if "kind" in f.metadata:
                changes |= {f.name: options[f.name]} if f.name in options else {}
            elif inner := {k: v for k, v in options.items() if k in _parameters(f.type)}:
                changes[f.name] = getattr(self, f.name).given(**inner)
        return replace(self, **changes) if changes else self  # type: ignore[type-var]

    def keywords(self) -> dict[str, Any]:
        """Return all parameters and their values."""
        return _values(self)


@functools.cache
def _parameters(config):
    """Fields that are parameters, by name, of a configuration and of those in it."""
    out = {}
    for f in fields(config):
        out |= {f.name: f} if "kind" in f.metadata else _parameters(f.type)
    return out


_choices = functools.cache(choices_of)


def _check(config, values, all_values, do):
    known = _parameters(config)
    for name, value in values.items():
        if not known[name].metadata["checked"]:
            continue
        kind = known[name].metadata["kind"]
        several = isinstance(value, list | tuple) and "sequence" in kind
        if value is None and kind in ("int", "float") and known[name].default is not None:
            raise ParameterError(f"{name}=None", "a number", do)
        check_kind(name, value, kind, do)
        check_parameter(name, value, None if several else _choices(kind), do)
    check_pairs(all_values, do)


def _refuse_unknown(what, options, known):
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{what}() got an unexpected keyword argument {name!r}{hint}")


def _described(config, own=False):
    """Lines of a docstring's section: each parameter, or those that are its own, its type and its help."""
    out = []
    shown = {f.name: f for f in fields(config) if "kind" in f.metadata} if own else _parameters(config)
    for name, f in shown.items():
        out += [f"{name} : {f.metadata['kind']}", *textwrap.wrap(f.metadata["help"], WIDTH - 4, **INDENT), ""]
    return "\n".join(out[:-1])


INDENT: dict[str, Any] = {"initial_indent": "    ", "subsequent_indent": "    ", "break_long_words": False,
                          "break_on_hyphens": False}  # fmt: skip


@dataclass_transform(frozen_default=True, field_specifiers=(parameter,))
def configuration(cls: C) -> C:
    """Decorate a `Configuration`: a frozen dataclass whose docstring lists the parameters.

    Examples
    --------
    >>> from jwst_hpastrom.configuration import Configuration, configuration, parameter
    >>> @configuration
    ... class Cuts(Configuration):
    ...     '''Which stars are taken.'''
    ...     clip: float = parameter(default=3.0, kind="float", text="Clipping, deviations.")
    >>> Cuts(clip=-1.0)
    Traceback (most recent call last):
        ...
    ParameterError: input: found clip=-1.0, needed more than 0; see help(Cuts)
    """
    made = dataclass(frozen=True)(cls)
    inner = [f for f in fields(made) if is_dataclass(f.type)]  # type: ignore[arg-type]
    parts = [f"{f.name} : `{f.type.__name__}`\n    {inspect.getdoc(f.type).splitlines()[0]}" for f in inner]  # type: ignore[union-attr]
    parts += [_described(made, own=True)] if any("kind" in f.metadata for f in fields(made)) else []
    text = "\n\n".join(parts)
    made.__doc__ = f"{inspect.cleandoc(made.__doc__ or '')}\n\nParameters\n----------\n{text}\n"
    return made  # type: ignore[return-value]


def configured(config: type[Configuration]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorate a function with a ``config``: it takes each of its parameters as a keyword, too.

    In the docstring ``{options}`` becomes their list. Keywords go before ``config`` where both are given.

    Parameters
    ----------
    config : type
        Of the configuration.

    Returns
    -------
    callable
        A decorator; the function's signature shows all parameters.

    Examples
    --------
    >>> from jwst_hpastrom.configuration import Configuration, configuration, configured, parameter
    >>> @configuration
    ... class Cuts(Configuration):
    ...     '''Which stars are taken.'''
    ...     clip: float = parameter(default=3.0, kind="float", text="Clipping, deviations.")
    >>> @configured(Cuts)
    ... def choose(stars, *, config):
    ...     return config.clip
    >>> choose([], clip=2.0), choose([], config=Cuts(clip=4.0)), choose([])
    (2.0, 4.0, 3.0)
    """
    known = _parameters(config)

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        shown = inspect.signature(function)
        own = {n: p for n, p in shown.parameters.items() if n != "config"}

        @functools.wraps(function)
        def called(*args: Any, config: Any = None, **keywords: Any) -> R:
            _refuse_unknown(function.__name__, keywords, own | known)
            options = {k: keywords.pop(k) for k in list(keywords) if k in known}
            given = config if config is not None else made()
            do = f"see help({function.__name__})"
            _check(made, options, _values(given) | options, do)
            return function(*args, config=given.given(**options), **keywords)

        made = config
        last = [n for n, p in own.items() if p.kind is p.KEYWORD_ONLY]
        keyword = inspect.Parameter.KEYWORD_ONLY
        options = [
            inspect.Parameter(n, keyword, default=f.default, annotation=f.type) for n, f in known.items()
        ]
        whole = inspect.Parameter("config", keyword, default=None, annotation=config | None)
        order = [p for n, p in own.items() if n not in last] + options + [whole] + [own[n] for n in last]
        called.__signature__ = shown.replace(parameters=order)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in order if p.annotation is not p.empty}
        if shown.return_annotation is not shown.empty:
            called.__annotations__["return"] = shown.return_annotation
        called.__doc__ = _with_options(function, config)
        return called

    return decorate


def _values(config):
    """Values of all parameters, by name."""
    out = {}
    for f in fields(config):
        value = getattr(config, f.name)
        out |= {f.name: value} if "kind" in f.metadata else _values(value)
    return out


def _with_options(function, config):
    whole = f"config : `{config.__name__}`, optional\n    All of these together."
    return inspect.cleandoc(function.__doc__ or "").replace("{options}", f"{_described(config)}\n\n{whole}")
