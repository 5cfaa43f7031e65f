"""What a run chose and why: one table for log, products and report."""

import logging

from astropy.table import Table

from jwst_hpastrom.errors import HPAstromError
from jwst_hpastrom.io.reading import read_table
from jwst_hpastrom.io.writing import write_table

__all__ = ["Choices"]

log = logging.getLogger("stpipe.hpastrom.pipeline")


class Choices:
    """Rows (part, chosen, why), the last word on each part."""

    def __init__(self):
        self._rows = {}

    def note(self, part, chosen, why):
        """Say what was chosen for a part."""
        self._rows[part] = (chosen, why)

    def __str__(self):
        return " · ".join(f"{part}: {chosen} ({why})" for part, (chosen, why) in self._rows.items())

    def write(self, path):
        """Log the choices and write them as a table, unless it is there."""
        log.info("chosen: %s", self)
        rows = [(part, *row) for part, row in self._rows.items()]
        if not self._there(path, rows):
            write_table(Table(rows=rows, names=("part", "chosen", "why")), path)

    @staticmethod
    def _there(path, rows):
        try:
            return [tuple(map(str, row)) for row in read_table(path)] == [
                tuple(map(str, row)) for row in rows
            ]
        except HPAstromError:
            return False
