"""Names that a package offers and imports only when they are asked for (PEP 562): importing it is fast."""

from importlib import import_module


def lazy(package, homes, modules=()):
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.

    homes : dict of str to sequence of str
        Module, relative to the package, and the names that come from it.

    modules : sequence of str
        Modules that are offered themselves.
    """
    home = {name: module for module, names in homes.items() for name in names}
    offered = sorted([*home, *modules])

    def __getattr__(name):  # noqa: N807
        if name in home:
            return getattr(import_module(f"{package}.{home[name]}"), name)
        if name in modules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__():  # noqa: N807
        return offered

    return __getattr__, __dir__, offered
