"""What differs between Gaia's releases: reference epoch, span, columns, in one table."""

import logging
import re
from dataclasses import dataclass

import numpy as np

from jwst_hpastrom.errors import BadCatalogError, ParameterError

__all__ = ["RELEASES", "GaiaRelease", "check_epoch", "release_named", "release_of", "ruwe_by_parameters"]

log = logging.getLogger("stpipe.hpastrom.io")

#: years by which a table's epoch may differ from its release's: it was not moved to another epoch then
EPOCH_TOLERANCE = 1e-3
#: share of the rows at another release's epoch, beside rows at their own, that is no chance
MIXED = 0.02


@dataclass(frozen=True)
class GaiaRelease:
    """Conventions of one release.

    Attributes
    ----------
    name : str
        As in source designations: "DR3".

    schema : str
        In the archive.

    epoch : float
        Reference epoch, Julian year.

    months : int
        Of data.

    absent : tuple of str
        Columns of this package's query that its ``gaia_source`` does not have.

    solved : tuple of int
        ``astrometric_params_solved`` of solutions with motions: a bit a parameter.

    renamed : tuple of (str, str)
        Columns of this package's query that are called otherwise: name here, name there.
    """

    name: str
    schema: str
    epoch: float
    months: int
    absent: tuple = ()
    solved: tuple = (31, 95)
    renamed: tuple = ()

    def called(self, column):
        """Name of a column in this release's archive, None where it has none.

        Parameters
        ----------
        column : str

        Returns
        -------
        str or None
        """
        return None if column in self.absent else dict(self.renamed).get(column, column)


#: DR1's motions (TGAS) are of another kind. DR2's RUWE is a table of its own, gaiadr2.ruwe. DR4 as in the
#: draft of its data model of June 2026: one RUWE a source; params has more bits (accelerations, companions)
RELEASES = {
    r.name: r
    for r in (
        GaiaRelease("DR2", "gaiadr2", 2015.5, 22, ("ruwe",), (31,)),
        GaiaRelease("EDR3", "gaiaedr3", 2016.0, 34),
        GaiaRelease("DR3", "gaiadr3", 2016.0, 34),
        GaiaRelease(
            "DR4",
            "gaiadr4",
            2017.5,
            66,
            ("astrometric_excess_noise_sig",),
            renamed=(("astrometric_params_solved", "astrometric_params"),),
        ),
    )
}


def release_named(name):
    """Find a release by any of its names: ``gaiadr3``, "Gaia DR3", "dr3".

    Parameters
    ----------
    name : str

    Returns
    -------
    `GaiaRelease`

    Raises
    ------
    ParameterError
        There is no such release.
    """
    plain = re.sub(r"[^A-Z0-9]", "", str(name).upper()).removeprefix("GAIA")
    if plain not in RELEASES:
        raise ParameterError(f"release={name}", ", ".join(r.schema for r in RELEASES.values()))
    return RELEASES[plain]


def release_of(table):
    """Tell the release of a table as its designations or metadata name it.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Column ``designation`` ("Gaia DR3 4057…"), or a metadata entry that names exactly one release: a
        query, a table's name, a title.

    Returns
    -------
    `GaiaRelease` or None
    """
    lower = {n.lower(): n for n in table.colnames}
    if "designation" in lower and len(table):
        found = set(re.findall(r"\bE?DR\d\b", str(table[lower["designation"]][0]).upper()))
    else:
        text = " ".join(str(v) for v in table.meta.values())[:100_000]
        found = {m.upper() for m in re.findall(r"gaia[\s_.-]*(e?dr\d)", text, re.IGNORECASE)}
    return RELEASES.get(found.pop()) if len(found) == 1 else None


def check_epoch(epochs, release, path=None):
    """Refuse positions at another release's epoch: a column from one, positions from the other.

    Parameters
    ----------
    epochs : array-like
        Julian years.

    release : `GaiaRelease`

    path : path-like, optional
        For the message.

    Raises
    ------
    BadCatalogError
        Rows have the reference epoch of another release.
    """
    epochs = np.asarray(epochs, float)
    epochs = epochs[np.isfinite(epochs)]
    if epochs.size == 0:
        return

    def share_at(epoch):
        return np.mean(np.abs(epochs - epoch) < EPOCH_TOLERANCE)

    for other in RELEASES.values():
        share = share_at(other.epoch)
        if other.epoch != release.epoch and share > (MIXED if share_at(release.epoch) else 1 - MIXED):
            raise BadCatalogError(
                f"sources of Gaia {release.name}, {100 * share:.0f} % of them at epoch {other.epoch:.4f}, "
                f"which is that of {other.name}",
                f"positions at {release.epoch}, or at any other epoch that they were moved to",
                "correct ref_epoch", path,
            )  # fmt: skip
    if np.ptp(epochs) > 0 or abs(epochs[0] - release.epoch) < EPOCH_TOLERANCE:
        return
    log.info("sources of Gaia %s at epoch %.4f: taken as moved there", release.name, epochs[0])


def ruwe_by_parameters(table, solved, path=None):
    """RUWE of the solution that every source's parameters are from, where a table has one a parameter set.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With columns such as ``ruwe_5p`` and ``ruwe_6p``.

    solved : ndarray, shape (n,)
        ``astrometric_params_solved``; NaN where unknown.

    path : path-like, optional
        For the message.

    Returns
    -------
    ndarray or None
        None where the table has no such columns. Sources whose number of parameters is unknown have the
        largest of their RUWE.

    Raises
    ------
    BadCatalogError
        There is a RUWE, under names that are not known.
    """
    columns = {}
    for name in table.colnames:
        if found := re.fullmatch(r"ruwe_?(\d)_?p(?:arams?)?", name.lower()):
            column = np.ma.filled(np.ma.asarray(table[name], float), np.nan)
            columns[int(found.group(1))] = column
    if not columns:
        if other := [name for name in table.colnames if "ruwe" in name.lower()]:
            raise BadCatalogError(
                f"RUWE as {', '.join(other)}", "ruwe, or one a parameter set: ruwe_5p ruwe_6p",
                "rename the column that belongs to the positions and motions", path,
            )  # fmt: skip
        log.info("no column ruwe, or ruwe_5p and ruwe_6p: no star is judged by its RUWE")
        return None
    counts = np.array([bin(int(v)).count("1") if np.isfinite(v) else 0 for v in solved])
    out = np.fmax.reduce(list(columns.values()))
    for number, column in columns.items():
        out = np.where((counts == number) & np.isfinite(column), column, out)
    return out
