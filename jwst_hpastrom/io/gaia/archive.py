"""Gaia's sources around a field, from the archive or from the file of an earlier query."""

import hashlib
import logging
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from jwst_hpastrom.columns import as_given
from jwst_hpastrom.errors import BadCatalogError, BadFileError, HPAstromError, ParameterError
from jwst_hpastrom.geometry import TangentPlane, sky_middle
from jwst_hpastrom.io.files.writing import write_table
from jwst_hpastrom.io.gaia.table import GAIA_UNITS, read_gaia
from jwst_hpastrom.io.tables.releases import RELEASES, release_named

__all__ = ["circle_around", "gaia_file", "query_gaia"]

log = logging.getLogger("stpipe.hpastrom.io")

#: ESA's archive; another server (a mirror) by the environment
SERVER, VARIABLE = "https://gea.esac.esa.int/tap-server/tap", "HPASTROM_GAIA_TAP"
#: seconds without an answer after which the archive counts as out of reach
TIMEOUT = 60.0
#: arcsec beyond the exposures' corners: pointing errors, and stars that move in
MARGIN = 15.0


def query_gaia(
    ra: Any, dec: Any, radius: float, *, cache_dir: Any, release: str = "gaiadr3", name: Any = None
) -> Table:
    """Fetch Gaia sources around a point from the archive, or from the file of an earlier call.

    Parameters
    ----------
    ra, dec, radius : float
        Degrees.

    cache_dir : path-like
        Folder of the cached tables (ECSV, the query in their metadata).

    release : str
        "gaiadr2", "gaiaedr3", "gaiadr3", "gaiadr4": what differs between them is known
        (`~jwst_hpastrom.io.tables.releases.RELEASES`).

    name : str, optional
        Of the file; by default one that tells the query.

    Returns
    -------
    `~astropy.table.Table`
        As from `read_gaia`.

    Raises
    ------
    ParameterError
        There is no file of an earlier query, and astroquery is not installed.

    BadFileError
        There is none, and the archive cannot be reached.

    BadCatalogError
        The archive has no source there.
    """
    return read_gaia(gaia_file(ra, dec, radius, cache_dir=cache_dir, release=release, name=name))


def gaia_file(ra, dec, radius, *, cache_dir, release="gaiadr3", name=None):
    """As `query_gaia`, but return the file's path.

    An earlier file serves as long as its circle holds the one asked for.
    """
    conventions = release_named(release)
    release = conventions.schema
    columns = ", ".join(filter(None, map(conventions.called, ("source_id", *GAIA_UNITS))))
    query = (
        f"SELECT {columns} FROM {release}.gaia_source WHERE 1 = CONTAINS(POINT(ra, dec), "
        f"CIRCLE({float(ra):.8f}, {float(dec):.8f}, {float(radius):.6f}))"
    )
    key = hashlib.sha256(query.encode()).hexdigest()[:16]
    path = Path(cache_dir) / (name or f"{release}_{key}.ecsv")
    if path.exists() and _covers(path, ra, dec, radius, query):
        log.info("Gaia's sources from %s, of an earlier query", path)
        return path
    table = _ask(query, path)
    if len(table) == 0:
        raise BadCatalogError(
            f"no Gaia source within {3600 * radius:.0f} arcsec of {ra:.5f} {dec:+.5f}",
            "a field that Gaia has seen",
            "run without reference_catalog: the exposures' WCS places them", release,
        )  # fmt: skip
    table.meta = {"query": query, "circle_deg": [float(ra), float(dec), float(radius)], "release": release}
    write_table(table, path)
    log.info("Gaia's sources: %d within %.0f arcsec, in %s", len(table), 3600 * radius, path)
    return path


def circle_around(ra, dec, margin=MARGIN):
    """Circle about positions.

    Parameters
    ----------
    ra, dec : ndarray
        Degrees.

    margin : float
        Arcsec.

    Returns
    -------
    ra, dec, radius : float
        Degrees; rounded, so that a run with the same exposures asks the same.
    """
    ra, dec = np.ravel(ra), np.ravel(dec)
    middle = sky_middle(ra, dec)
    xi, eta = TangentPlane(*middle).from_sky(ra, dec)
    radius = (np.nanmax(np.hypot(xi, eta)) + margin) / 3600.0
    return round(middle[0], 4), round(middle[1], 4), round(float(radius) + 1e-4, 4)


def _covers(path, ra, dec, radius, query):
    """Whether an earlier query's circle holds the one asked for."""
    meta = Table.read(path).meta
    if meta.get("query") == query:
        return True
    circle = meta.get("circle_deg")
    if circle is None or meta.get("release") not in query:
        return False
    xi, eta = TangentPlane(circle[0], circle[1]).from_sky([ra], [dec])
    return float(np.hypot(xi, eta)[0]) / 3600.0 + radius <= circle[2] + 1e-9


@contextmanager
def _patience(seconds):
    """Sockets that give up: astroquery's wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _ask(query, path):
    try:
        # not astroquery.gaia: importing it asks the archive for messages, and prints them
        from astroquery.utils.tap.core import TapPlus
    except ImportError as err:
        raise ParameterError(
            "no astroquery, and no file of an earlier query", "one of them",
            "pip install 'jwst_hpastrom[gaia]', or give a catalog's path", path,
        ) from err  # fmt: skip
    server = os.environ.get(VARIABLE) or SERVER
    try:
        with _patience(TIMEOUT):
            table = TapPlus(url=server, verbose=False).launch_job_async(query).get_results()
    except HPAstromError:
        raise
    except Exception as err:
        raise BadFileError(
            f"no answer from {server} ({type(err).__name__}: {str(err)[:120]})",
            "a network, or this file from an earlier query",
            "run once where there is a network and take the file along, or give a catalog's path",
            path,
        ) from err
    return _plain(table)


def _plain(table):
    """The columns that were asked for, under their names, without masks."""
    names, out = {n.lower(): n for n in table.colnames}, Table()
    renamed = dict(pair for release in RELEASES.values() for pair in release.renamed)
    for name, unit in GAIA_UNITS.items():
        if called := names.get(name) or names.get(renamed.get(name)):
            out[name] = as_given(table, called)
            out[name].unit = unit or None
    if "source_id" in names:
        out["source_id"] = np.asarray(table[names["source_id"]]).astype(str)
    return out
