"""Verdicts at the end of each Step: warnings where bad, and the product's table of checks."""

import logging

from astropy.table import Table

from jwst_hpastrom.checks import Evidence, checks_from_table, checks_table, condense, run_checks
from jwst_hpastrom.io.files.writing import write_table

__all__ = ["JUDGED", "Verdicts"]

JUDGED = "manifests"  # of the runs that were judged, by Step, in the metadata of the table

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

    def judge(self, product, made=None):
        """Make the checks of this Step's evidence, and renew its rows in ``<product>_checks.ecsv``.

        ``made`` is the id of the manifest of what is judged.
        """
        if not self.evidence and made is None:
            return []
        found = run_checks(Evidence(**(self.evidence or {})))
        self.tell(found)
        path = self.output_path(product, "checks", "ecsv")
        others, judged = [], {}
        if path.exists():
            try:
                table = Table.read(path)
                others = [c for c in checks_from_table(table) if c.step != self.class_alias]
                judged = dict(table.meta.get(JUDGED, {}))
            except (OSError, ValueError, KeyError) as err:
                log.info("%s cannot be read and is made anew: %s", path, err)
        table = checks_table([*others, *found])
        table.meta[JUDGED] = judged | {self.class_alias: made}
        write_table(table, path)
        self.evidence, self._told = None, frozenset()
        return found
