"""What a run chose and why: one table for log, products and report."""

import logging

from astropy.table import Table

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.tables.reading import read_table

__all__ = ["AS_BEFORE", "Choices"]

log = logging.getLogger("stpipe.hpastrom.pipeline")


#: why of what an earlier run chose from the same inputs: the reason is that of its own table
AS_BEFORE = "as of an earlier run"


class Choices:
    """Rows (part, chosen, why), the last word on each part; ``meta`` has numbers that are judged."""

    def __init__(self):
        self._rows = {}
        self.meta = {}

    def note(self, part, chosen, why):
        """Say what was chosen for a part."""
        self._rows[part] = (chosen, why)

    def __str__(self):
        return " · ".join(f"{part}: {chosen} ({why})" for part, (chosen, why) in self._rows.items())

    def write(self, path):
        """Log the choices and write them as a table, unless it is there."""
        log.info("chosen: %s", self)
        before = self._before(path)
        rows = [
            before.get(row[:2], row) if row[2] == AS_BEFORE else row
            for row in ((part, *map(str, row)) for part, row in self._rows.items())
        ]
        if rows != list(before.values()) or self.meta:
            write_table(Table(rows=rows, names=("part", "chosen", "why"), meta=self.meta), path)

    @staticmethod
    def _before(path):
        """Rows of an earlier run, by part and choice."""
        try:
            return {tuple(map(str, row))[:2]: tuple(map(str, row)) for row in read_table(path)}
        except HPAstromError:
            return {}
