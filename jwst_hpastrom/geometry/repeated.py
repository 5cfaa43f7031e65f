"""Star lists, or their stars, given twice, which would count as two measurements."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

from jwst_hpastrom.columns import values
from jwst_hpastrom.errors import BadCatalogError

__all__ = ["check_no_list_twice"]

#: share of the shorter list's rows that are in the other, to the last digit, when they are one list: cut at
#: other limits, say. Of two measurements hardly a row agrees.
SHARED = 0.3
#: such rows at least
FEWEST = 3
#: pixels between two measurements of one star in one exposure, at most
PLACE = 0.3
#: share of a list's rows at the very pixels of another from which on it is refused, as the checks say "bad"
ROWS = 0.1
#: times as far as `PLACE` where stars by chance have nine times as many neighbors, and doubled ones as many
WIDER, MORE = 3.0, 2.0


def check_no_list_twice(tables: Sequence[Table]) -> None:
    """Raise `~jwst_hpastrom.errors.BadCatalogError` where two star lists are one, or a list has stars twice.

    Parameters
    ----------
    tables : sequence of `~astropy.table.Table`
        With x and y. Lists are one if they share rows, in whatever order (at another pointing they are not
        the same), or if their metadata name the same file at the same time and they have stars
        at the same pixels. A list has stars twice if a tenth of its rows are at the very pixels of another,
        or a third of them within 0.3 pixel, more than chance brings together: two lists of one exposure,
        one below the other.
    """
    names = [str(t.meta.get("filename") or f"list {k + 1}") for k, t in enumerate(tables)]
    for name, table in zip(names, tables, strict=True):
        _check_no_row_twice(table, name)
    rows = [_rows(t) for t in tables]
    for i, k in _sharing(rows):
        raise BadCatalogError(
            f"the same stars at the same pixels in {names[i]} and {names[k]}", "each exposure once",
            "take one of them out",
        )  # fmt: skip
    anew: dict[tuple[str, object], list[int]] = {}
    for k, table in enumerate(tables):
        if table.meta.get("filename") and table.meta.get("epoch") is not None:
            anew.setdefault((names[k], table.meta["epoch"]), []).append(k)
    for (name, _), lists in anew.items():
        if any(_same_places(tables[i], tables[k]) for i, k in combinations(lists, 2)):
            raise BadCatalogError(
                f"two star lists of {name}, at one time", "each exposure once", "take one of them out"
            )


def _check_no_row_twice(table: Table, name: str) -> None:
    place = np.c_[values(table, "x"), values(table, "y")]
    place = place[np.isfinite(place).all(1)]
    again = len(place) - len(np.unique(place, axis=0))
    if again < max(ROWS * len(place), FEWEST):
        tree = cKDTree(place) if len(place) else None
        near, wider = (
            tree.query_ball_point(place, r, return_length=True) - 1 if tree else np.zeros(1)
            for r in (PLACE, WIDER * PLACE)
        )
        again = np.count_nonzero(near) // 2
        if 2 * again < max(SHARED * len(place), 2 * FEWEST) or wider.sum() > MORE * near.sum():
            return
    raise BadCatalogError(
        f"{again} of {len(place)} rows at the place of another: stars that this list has twice",
        "each star once", "take the second rows out", name,
    )  # fmt: skip


def _same_places(one: Table, other: Table) -> bool:
    """Whether two lists have stars at the same pixels: measured anew; two chips of one file have not."""
    places = (np.c_[values(t, "x"), values(t, "y")] for t in (one, other))
    short, long = sorted((p[np.isfinite(p).all(1)] for p in places), key=len)
    return bool(len(short)) and bool(np.mean(cKDTree(long).query(short)[0] < PLACE) > SHARED)


def _rows(table: Table) -> np.ndarray:
    """A number for each row, the same for the same position and by accident only for another; each once."""
    x, y, ra, dec = (values(table, c) for c in ("x", "y", "ra", "dec"))
    known = np.isfinite(x) & np.isfinite(y)
    return np.unique(
        (0.5 * x + np.pi * y + np.e * np.nan_to_num(ra) + np.sqrt(7.0) * np.nan_to_num(dec))[known]
    )


def _sharing(rows: list[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of lists that share rows."""
    size = np.array([v.size for v in rows])
    number, owner = np.concatenate(rows), np.repeat(np.arange(size.size), size)
    order = np.argsort(number, kind="stable")
    number, owner = number[order], owner[order]
    same = np.flatnonzero(number[1:] == number[:-1])
    pairs, count = np.unique(np.stack([owner[same], owner[same + 1]], 1), axis=0, return_counts=True)
    least = np.maximum(SHARED * np.minimum(*size[pairs].T), FEWEST)
    return [(int(i), int(k)) for i, k in pairs[count >= least]]
