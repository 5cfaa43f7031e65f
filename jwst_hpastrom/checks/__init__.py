"""Verdicts: whether the numbers of a run are those of good data, and if not, the likely causes."""

from jwst_hpastrom.checks.evidence import (
    Evidence,
    check_folder,
    check_products,
    check_results,
    run_checks,
)
from jwst_hpastrom.checks.verdict import (
    Check,
    checks_from_table,
    checks_table,
    condense,
    judge,
    overall,
    sort_checks,
)

__all__ = [
    "Check",
    "Evidence",
    "check_folder",
    "check_products",
    "check_results",
    "checks_from_table",
    "checks_table",
    "condense",
    "judge",
    "overall",
    "run_checks",
    "sort_checks",
]
