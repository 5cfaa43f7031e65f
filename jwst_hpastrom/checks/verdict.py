"""A verdict: a number, the range it should be in, and what it means where it is not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table

__all__ = ["Check", "checks_from_table", "checks_table", "condense", "judge", "overall", "sort_checks"]

#: verdicts from good to bad
VERDICTS = ("ok", "look", "bad")


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes
    ----------
    step : str
        Step that the number is of.

    name : str
        What was checked.

    about : str
        Exposure, axis or part that it is about; empty for all.

    value : float

    low, high : float
        Range that is expected.

    verdict : {'ok', 'look', 'bad'}

    causes : tuple of str
        Likely ones, the likeliest first.

    remedy : str
        What to do.

    rank : int
        How directly the check sees its cause; the lowest of the bad ones is told first.

    Examples
    --------
    >>> from jwst_hpastrom.checks import judge
    >>> limits = {"ok": (None, 0.05), "bad": (None, 0.1), "causes": ["wrong ePSF"], "remedy": "build one"}
    >>> check = judge("hp_epsf_fit", "QFIT", 0.22, **limits)
    >>> check.verdict, check.causes
    ('bad', ('wrong ePSF',))
    """

    step: str
    name: str
    about: str
    value: float
    low: float
    high: float
    verdict: str
    causes: tuple = ()
    remedy: str = ""
    rank: int = 50

    def __str__(self):
        about = f" ({self.about})" if self.about else ""
        text = f"{self.verdict.upper()} {self.name}{about}: {self.value:.4g}, expected {self.expected}"
        if self.verdict != "ok":
            text += f"; likely {', or '.join(self.causes)}; {self.remedy}"
        return text

    @property
    def expected(self) -> str:
        """The expected range in words."""
        if not np.isfinite(self.low):
            return f"at most {self.high:.4g}"
        if not np.isfinite(self.high):
            return f"at least {self.low:.4g}"
        return f"{self.low:.4g} to {self.high:.4g}"


def judge(
    step: str,
    name: str,
    value: Any,
    ok: tuple[float | None, float | None],
    bad: tuple[float | None, float | None],
    *,
    causes: Sequence[str],
    remedy: str,
    about: str = "",
    rank: int = 50,
) -> Check | None:
    """Judge a number by two ranges.

    Parameters
    ----------
    step, name, about : str
        See `Check`.

    value : float

    ok, bad : (float, float)
        Inside ``ok`` it is ok, outside ``bad`` it is bad, between them one should look; None is no limit.

    causes : sequence of str

    remedy : str

    rank : int

    Returns
    -------
    `Check` or None
        None where the value is not finite: nothing was measured.

    Examples
    --------
    >>> from jwst_hpastrom.checks import judge
    >>> limits = {"ok": (0.8, 1.2), "bad": (0.5, 2.0), "causes": ["epoch"], "remedy": "compare epochs"}
    >>> [judge("hp_proper_motion", "slope", slope, **limits).verdict for slope in (1.01, 1.4, 2.2)]
    ['ok', 'look', 'bad']
    >>> judge("hp_proper_motion", "slope", float("nan"), **limits) is None
    True
    """
    if not np.isfinite(value):
        return None
    low, high = (s * np.inf if v is None else float(v) for s, v in zip((-1, 1), ok, strict=True))
    least, most = (s * np.inf if v is None else float(v) for s, v in zip((-1, 1), bad, strict=True))
    verdict = "ok" if low <= value <= high else "look" if least <= value <= most else "bad"
    causes = tuple(causes) if verdict != "ok" else ()
    return Check(step, name, about, float(value), low, high, verdict, causes, remedy if causes else "", rank)


def sort_checks(checks: Iterable[Check]) -> list[Check]:
    """Return checks with the bad ones first, of those the most direct first.

    Examples
    --------
    >>> from jwst_hpastrom.checks import judge, sort_checks
    >>> how = {"ok": (0, 1), "bad": (0, 2), "causes": ["noise"], "remedy": "more stars"}
    >>> [c.value for c in sort_checks([judge("step", "number", v, **how) for v in (0.5, 1.5, 3.0)])]
    [3.0, 1.5, 0.5]
    """
    return sorted(checks, key=lambda c: (-VERDICTS.index(c.verdict), c.rank))


def overall(checks: Iterable[Check]) -> str:
    """Return the worst verdict; 'ok' where there are none.

    Examples
    --------
    >>> from jwst_hpastrom.checks import judge, overall
    >>> how = {"ok": (0, 1), "bad": (0, 2), "causes": ["noise"], "remedy": "more stars"}
    >>> overall([judge("step", "number", v, **how) for v in (0.5, 1.5)])
    'look'
    >>> overall([])
    'ok'
    """
    return max((c.verdict for c in checks), key=VERDICTS.index, default="ok")


def condense(checks: Iterable[Check]) -> list[Check]:
    """Return one check of those of a name and verdict, the worst, which says how many there are.

    Parameters
    ----------
    checks : sequence of `Check`

    Returns
    -------
    list of `Check`
        In the order of the first of each.
    """
    groups: dict[tuple, list[Check]] = {}
    for check in checks:
        groups.setdefault((check.step, check.name, check.verdict), []).append(check)
    out = []
    for group in groups.values():
        worst = max(group, key=lambda c: max(c.low - c.value, c.value - c.high))
        more = f"{worst.about} and {len(group) - 1} more" if len(group) > 1 else worst.about
        out.append(replace(worst, about=more))
    return out


COLUMNS = ("step", "check", "about", "value", "low", "high", "verdict", "causes", "remedy", "rank")


def checks_table(checks: Iterable[Check]) -> Table:
    """Return checks as a table, the worst first; its metadata have the overall verdict.

    Parameters
    ----------
    checks : iterable of `Check`

    Returns
    -------
    `~astropy.table.Table`

    Examples
    --------
    >>> from jwst_hpastrom.checks import checks_from_table, checks_table, judge
    >>> how = {"ok": (0, 1), "bad": (0, 2), "causes": ["noise"], "remedy": "more stars"}
    >>> table = checks_table([judge("step", "number", v, **how) for v in (0.5, 3.0)])
    >>> table["value", "verdict"].as_array().tolist()
    [(3.0, 'bad'), (0.5, 'ok')]
    """
    checks = sort_checks(checks)
    rows = [
        (c.step, c.name, c.about, c.value, c.low, c.high, c.verdict, " | ".join(c.causes), c.remedy, c.rank)
        for c in checks
    ]
    kinds = (str, str, str, float, float, float, str, str, str, int)
    return Table(rows=rows or None, names=COLUMNS, dtype=kinds, meta={"verdict": overall(checks)})


def checks_from_table(table: Table) -> list[Check]:
    """Return the checks of a table that `checks_table` made.

    Examples
    --------
    >>> from jwst_hpastrom.checks import checks_from_table, checks_table, judge
    >>> how = {"ok": (0, 1), "bad": (0, 2), "causes": ["noise"], "remedy": "more stars"}
    >>> checks_from_table(checks_table([judge("step", "number", 0.5, **how)]))[0].verdict
    'ok'
    """
    out = []
    if table.has_masked_values:  # empty words
        table = Table(
            {c: np.ma.filled(table[c], "") if table[c].dtype.kind in "OSU" else table[c] for c in COLUMNS}
        )
    for row in table:
        causes = tuple(c for c in str(row["causes"]).split(" | ") if c)
        step, name, about = (str(row[c]) for c in COLUMNS[:3])
        value, low, high = (float(row[c]) for c in COLUMNS[3:6])
        words = str(row["verdict"]), causes, str(row["remedy"])
        out.append(Check(step, name, about, value, low, high, *words, rank=int(row["rank"])))
    return out
