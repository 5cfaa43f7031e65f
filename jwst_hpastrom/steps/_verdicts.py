"""Verdicts at the end of each Step: warnings where bad, and the product's table of checks."""

import logging

from astropy.table import Table

from jwst_hpastrom.checks import Evidence, checks_from_table, checks_table, condense, run_checks
from jwst_hpastrom.io.writing import write_table

__all__ = ["Verdicts"]

log = logging.getLogger("stpipe.hpastrom.checks")


class Verdicts:
    """Mixin: what a Step found out of itself, judged.

    ``run_step`` fills ``self.evidence`` with the tables that it has at hand; `judge` makes the checks.
    """

    evidence = None
    _told = frozenset()

    def tell(self, checks):
        """Warn of bad checks, of each once."""
        new = [c for c in checks if c.verdict == "bad" and (c.name, c.about) not in self._told]
        self._told = self._told | {(c.name, c.about) for c in new}
        for check in condense(new):
            log.warning("%s", check)

    def judge(self, product):
        """Make the checks of this Step's evidence, and renew its rows in ``<product>_checks.ecsv``."""
        if not self.evidence:
            return []
        found = run_checks(Evidence(**self.evidence))
        self.tell(found)
        path = self.output_path(product, "checks", "ecsv")
        others = []
        if path.exists():
            try:
                others = [c for c in checks_from_table(Table.read(path)) if c.step != self.class_alias]
            except (OSError, ValueError, KeyError) as err:
                log.info("%s cannot be read and is made anew: %s", path, err)
        write_table(checks_table([*others, *found]), path)
        self.evidence, self._told = None, frozenset()
        return found
