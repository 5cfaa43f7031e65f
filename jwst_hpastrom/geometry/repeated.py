"""Star lists given twice, which would count as two measurements."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadCatalogError

__all__ = ["check_no_list_twice"]


def check_no_list_twice(tables: Sequence[Table]) -> None:
    """Raise `~jwst_hpastrom.errors.BadCatalogError` where two star lists are one: nothing was repeated.

    Parameters
    ----------
    tables : sequence of `~astropy.table.Table`
        With x and y.
    """
    seen: dict[bytes, str] = {}
    for k, table in enumerate(tables):
        name = str(table.meta.get("filename") or f"list {k + 1}")
        # in whatever order; at another pointing they are not the same
        key = np.sort([values(table, c) for c in ("x", "y", "ra", "dec")]).tobytes()
        if key in seen:
            raise BadCatalogError(
                f"the same stars at the same pixels in {seen[key]} and {name}", "each exposure once",
                "take one of them out",
            )  # fmt: skip
        seen[key] = name
