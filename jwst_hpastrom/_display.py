"""How objects show themselves in notebooks, and results their tables."""

import html
from dataclasses import fields, is_dataclass

import numpy as np

__all__ = ["Displayed", "Tabular"]

#: rows of a table, and entries of the metadata, that a notebook shows
SHOWN = 5
#: elements of an array or a list, and characters of a text, up to which it is shown as it is
SMALL = 6
SHORT = 40
#: characters of the whole line
LINE = 160


def _value(value):
    """Return a value in a few characters: what it is where it is large."""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray) and value.size > SMALL:
        return f"{value.dtype} array {value.shape}".replace(",)", ")")
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=6, separator=", ").replace("\n", "")
    if hasattr(value, "colnames"):
        return f"table of {len(value)} rows"
    if isinstance(value, list | tuple | dict | set) and (len(value) > SMALL or len(repr(value)) > SHORT):
        return f"{len(value)} items"
    text = repr(value)
    return text if len(text) <= SHORT and "\n" not in text else type(value).__name__


class Displayed:
    """Mixin: one line for ``repr``; in a notebook this, then the metadata that are numbers or short words."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__repr__" not in vars(cls):
            cls.__repr__ = cls.__repr__  # or a dataclass makes one, of all its arrays

    def __repr__(self):
        known = fields(self) if is_dataclass(self) else ()
        pairs = [(f.name, getattr(self, f.name)) for f in known if not f.name.startswith("_")]
        line = ", ".join(f"{name}={_value(value)}" for name, value in pairs if value is not None)
        line = line if len(line) <= LINE else f"{line[:LINE]}…"
        return f"<{type(self).__name__}: {line}>"

    def _repr_html_(self):
        meta = getattr(self, "meta", None) or {}
        plain = [(k, v) for k, v in meta.items() if isinstance(v, str | float | int) and len(str(v)) < 60]
        rows = "".join(
            f"<tr><td>{html.escape(str(k))}</td><td>{html.escape(str(v))}</td></tr>" for k, v in plain
        )
        more = (
            f"<details><summary>{len(plain)} entries</summary><table>{rows}</table></details>" if rows else ""
        )
        return f"<div><code>{html.escape(repr(self))}</code>{more}</div>"


class Tabular(Displayed):
    """Mixin of results with a ``table``: its first rows, its units as quantities, its stars on the sky."""

    def _repr_html_(self):
        return f"<div><code>{html.escape(repr(self))}</code>{self.table[:SHOWN]._repr_html_()}</div>"

    @property
    def qtable(self):
        """The table as `~astropy.table.QTable`, see `~jwst_hpastrom.geometry.as_qtable`."""
        from jwst_hpastrom.geometry.sky_coords import as_qtable

        return as_qtable(self.table)

    @property
    def coords(self):
        """Sky positions with motions and epoch, see `~jwst_hpastrom.geometry.sky_coords`."""
        from jwst_hpastrom.geometry import sky_coords

        return sky_coords(self.table)
