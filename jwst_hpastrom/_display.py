"""How objects show themselves in notebooks, and results their tables."""

import html

__all__ = ["Displayed", "Tabular"]

#: rows of a table, and entries of the metadata, that a notebook shows
SHOWN = 5


class Displayed:
    """Mixin: in a notebook the one line of ``repr``, then the metadata that are numbers or short words."""

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
        from jwst_hpastrom.geometry import as_qtable

        return as_qtable(self.table)

    @property
    def coords(self):
        """Sky positions with motions and epoch, see `~jwst_hpastrom.geometry.sky_coords`."""
        from jwst_hpastrom.geometry import sky_coords

        return sky_coords(self.table)
