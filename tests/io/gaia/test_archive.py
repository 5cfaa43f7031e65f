"""Gaia's sources by place: a stand-in of the archive's TAP service, its file, and no network."""

import io
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import numpy as np
import pytest
from astropy.table import Table

from jwst_hpastrom.errors import BadCatalogError, BadFileError, ParameterError
from jwst_hpastrom.io.gaia.archive import circle_around, gaia_file, query_gaia
from jwst_hpastrom.io.gaia.table import GAIA_UNITS, read_gaia
from jwst_hpastrom.io.tables.catalogs import read_catalog

NO_SUCH_SERVER = "http://127.0.0.1:9/tap"


def sources(n):
    rng = np.random.default_rng(1)
    table = Table({"source_id": 4657000000000000000 + np.arange(n)})
    for name in GAIA_UNITS:
        table[name] = rng.uniform(0.1, 0.3, n)
    table["ra"], table["dec"], table["ref_epoch"] = (
        rng.uniform(80.4, 80.6, n),
        rng.uniform(-69.6, -69.4, n),
        2016.0,
    )
    table["duplicated_source"] = False
    table["pmra"] = np.ma.array(table["pmra"], mask=np.arange(n) == 2)
    return table


class Archive(BaseHTTPRequestHandler):
    """Asynchronous TAP: a job is made, is done at once, and gives its table."""

    queries, rows = [], 20

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.queries.append(form["QUERY"][0])
        self.send_response(303)
        self.send_header("Location", f"http://{self.headers['Host']}/tap/async/7")
        self.end_headers()

    def do_GET(self):
        text = b"COMPLETED"
        if "results" in self.path:
            out = io.BytesIO()
            sources(self.rows).write(out, format="votable")
            text = out.getvalue()
        self.send_response(200)
        self.send_header(
            "Content-Type", "text/plain" if text == b"COMPLETED" else "application/x-votable+xml"
        )
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


@pytest.fixture
def archive(monkeypatch):
    pytest.importorskip("astroquery")
    Archive.queries, Archive.rows = [], 20
    server = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HPASTROM_GAIA_TAP", f"http://127.0.0.1:{server.server_port}/tap")
    yield Archive
    server.shutdown()
    server.server_close()


def test_a_query_is_kept_and_works_without_the_archive(archive, tmp_path, monkeypatch):
    table = query_gaia(80.5, -69.5, 0.05, cache_dir=tmp_path, name="f_gaia.ecsv")
    assert len(archive.queries) == 1
    assert "CIRCLE(80.50000000, -69.50000000, 0.050000)" in archive.queries[0]
    assert np.isnan(table["pmra"][2])
    assert table["source_id"][3] == "4657000000000000003"
    assert table.meta["query"] == archive.queries[0]
    monkeypatch.setenv("HPASTROM_GAIA_TAP", NO_SUCH_SERVER)
    again = query_gaia(80.5, -69.5, 0.05, cache_dir=tmp_path, name="f_gaia.ecsv")
    np.testing.assert_array_equal(again["ra"], table["ra"])
    # a smaller circle within it needs no archive; one that reaches out of it does
    assert len(query_gaia(80.51, -69.5, 0.04, cache_dir=tmp_path, name="f_gaia.ecsv")) == 20
    with pytest.raises(BadFileError, match=r"f_gaia.ecsv: found no answer from http://127.0.0.1:9/tap"):
        query_gaia(80.5, -69.5, 0.06, cache_dir=tmp_path, name="f_gaia.ecsv")


def test_the_file_is_a_reference_catalog(archive, tmp_path):
    path = gaia_file(80.5, -69.5, 0.05, cache_dir=tmp_path)
    catalog = read_catalog(path)
    assert {"ra_error", "pmra_error", "mag", "ref_epoch"} <= set(catalog.colnames)
    assert catalog.meta["epoch"] == 2016.0
    assert len(read_gaia(path)) == 20


def test_no_source_no_package(archive, tmp_path, monkeypatch):
    archive.rows = 0
    with pytest.raises(BadCatalogError, match="no Gaia source within 180 arcsec"):
        query_gaia(80.5, -69.5, 0.05, cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "astroquery.utils.tap.core", None)
    with pytest.raises(ParameterError, match=r"pip install 'jwst_hpastrom\[gaia\]'"):
        query_gaia(80.5, -69.5, 0.05, cache_dir=tmp_path)


def test_circle_around_exposures():
    ra, dec, radius = circle_around([359.99, 0.01, 0.01, 359.99], [-0.01, -0.01, 0.01, 0.01])
    assert min(ra, 360 - ra) < 1e-3
    assert dec == 0.0
    assert radius == pytest.approx(np.hypot(0.01, 0.01) + 15 / 3600, abs=2e-4)
