"""The page in a browser, where there is one: no errors, everything drawn, links that work."""

import re
import shutil
import subprocess

import pytest

from jwst_hpastrom.report import write_page
from jwst_hpastrom.report.page import interactive
from tests.report.page.test_page_parts import motions

pytest.importorskip("matplotlib")
pytest.importorskip("bokeh")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHECK = """<script>window.addEventListener("load", () => setTimeout(() => {
  const head = document.querySelector("table.data th");
  if (head) { head.click(); head.click(); }
  const drawn =
    [...document.images].every(i => i.complete && i.naturalWidth > 0);
  const links = [...document.querySelectorAll("nav a")].every(a => document.querySelector(a.hash));
  const deep = n =>
    [...n.querySelectorAll("*")].flatMap(e => [e, ...(e.shadowRoot ? deep(e.shadowRoot) : [])]);
  const canvas = deep(document).filter(e => e.tagName === "CANVAS" && e.width > 100).length;
  const first = document.querySelector("table.data td").textContent;
  document.title = `drawn=${drawn} links=${links} canvas=${canvas} first=${first}`;
}, 3000));</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no browser")
def test_in_a_browser(tmp_path):
    from jwst_hpastrom.report import motion_figures

    table = motions(n=300)
    contents = [
        interactive.linked_motions(table),
        (motion_figures.motion_diagram(table), "a"),
        table[["mag"]][:9],
    ]
    path = tmp_path / "p.html"
    write_page(path, "p", [("One", contents), ("Two", ["text"])], box=CHECK)
    done = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}",
         "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert not re.search(r":(ERROR|WARNING):CONSOLE", done.stderr), done.stderr
    said = re.search(r"<title>(.*?)</title>", done.stdout)[1]
    assert "drawn=true links=true" in said
    assert int(re.search(r"canvas=(\d+)", said)[1]) >= 3
    assert float(re.search(r"first=([\d.]+)", said)[1]) == pytest.approx(max(table["mag"][:9]), abs=0.01)
