"""One self-contained HTML page from the products in a folder."""

import base64
import html
import io
import logging
import re
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from astropy.table import Table

from jwst_hpastrom.checks import check_products
from jwst_hpastrom.errors import HPAstromError, ParameterError
from jwst_hpastrom.io.files.writing import atomic_path
from jwst_hpastrom.io.products import find_products
from jwst_hpastrom.report import (
    artificial_figures,
    distortion_figures,
    epochs_figures,
    epsf_figures,
    frame_figures,
    kinematics_figures,
    motion_figures,
)
from jwst_hpastrom.report.page import interactive
from jwst_hpastrom.report.page.header import facts_html
from jwst_hpastrom.report.page.style import SORT, STYLE
from jwst_hpastrom.report.page.tables import table_html
from jwst_hpastrom.report.page.verdicts import verdict_box

__all__ = ["write_page", "write_report"]

log = logging.getLogger("stpipe.hpastrom.report")

#: what products of other origin, or without some columns, lead to
FOREIGN = (HPAstromError, KeyError, ValueError, TypeError, IndexError)
#: dots per inch of the figures: sharp on a screen, and the page stays small
DPI = 110


class Folded(NamedTuple):
    """A table under a title that opens it."""

    title: str
    table: Table


def _caption(title, see="", good="", here=""):
    parts = [f"<b>{html.escape(title)}.</b>", html.escape(see)]
    parts += [f"<b>Good:</b> {html.escape(good)}"] if good else []
    parts += [f"<b>Here:</b> {html.escape(here)}."] if here else []
    return " ".join(p for p in parts if p)


def _image(figure, title, *words):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{html.escape(title, quote=True)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{_caption(title, *words)}</figcaption></figure>"


def _item(item):
    """One thing under a heading, as HTML."""
    if isinstance(item, str):
        return f"<p>{html.escape(item)}</p>"
    if isinstance(item, Folded):
        head = f"{html.escape(item.title)} ({len(item.table)} rows)"
        return f"<details><summary>{head}</summary>{table_html(item.table)}</details>"
    if isinstance(item, Table):
        return table_html(item)
    if isinstance(item, tuple):
        return _image(*item)
    return interactive.embed(item)


def _anchor(heading):
    return re.sub(r"\W+", "-", heading.lower()).strip("-")


def _contents(sections):
    links = "".join(f'<li><a href="#{_anchor(h)}">{html.escape(h)}</a></li>' for h, _ in sections)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def write_page(path: str | PathLike[str], title: str, sections: Any, *, box: str = "") -> str:
    """Write a page.

    Parameters
    ----------
    path : path-like

    title : str

    sections : list of (str, list)
        Headings, and under each texts, tables (`~astropy.table.Table`), figures (a matplotlib figure and its
        title, see `~jwst_hpastrom.report.captions.Shown`), or layouts of bokeh.

    box : str
        HTML that comes first, as `~jwst_hpastrom.report.page.verdicts.verdict_box` makes it.

    Returns
    -------
    str
        The path.
    """
    known = str | Table | tuple
    live = any(not isinstance(item, known) for _, contents in sections for item in contents)
    parts = [
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style>{interactive.scripts() if live else ''}</head>"
        f"<body><h1>{html.escape(title)}</h1>{box}{_contents(sections)}"
    ]
    for heading, contents in sections:
        name = _anchor(heading)
        kind = ' class="interactive"' if any(not isinstance(i, known) for i in contents) else ""
        parts.append(f'<section id="{name}"{kind}><h2><a href="#{name}">{html.escape(heading)}</a></h2>')
        parts += [_item(item) for item in contents]
        parts.append("</section>")
    with atomic_path(path) as temporary:
        text = "\n".join([*parts, f"<script>{SORT}</script></body></html>\n"])
        temporary.write_text(text, encoding="utf-8")
    return str(path)


def _missing(products):
    names = {
        "epsf": "ePSF library",
        "correction": "distortion",
        "master": "master frame",
        "motions": "motions",
    }
    return [f"No {label}." for name, label in names.items() if getattr(products, name) is None]


def _closer(products):
    """Section of what one can look at closely."""
    if not interactive.available():
        return [("A closer look", ["pip install bokeh for linked diagrams and maps to zoom into."])]
    contents = []
    motions = products.motions
    if motions is not None and (layout := interactive.linked_motions(motions)) is not None:
        most, n = interactive.MOST, len(motions)
        contents += [
            "Select stars in one diagram (box or lasso) to see them in the others; hover for their numbers, "
            "scroll to zoom." + (f" {most} of {n} stars are drawn, chosen at random." if n > most else ""),
            layout,
        ]
    if products.residuals is not None:
        contents += [
            "Median residuals in cells, before and after the correction; the maps zoom together. Good: no "
            "structure after it.",
            interactive.residual_maps(products.residuals),
        ]
    return [("A closer look", contents)] if contents else []


def _reason(err):
    return f"Not shown, the products are not as this package writes them: {type(err).__name__}: {err}"


def _guarded(what, make, fallback):
    """What ``make`` gives, or what ``fallback`` does of the reason, with products that do not allow it."""
    try:
        return make()
    except FOREIGN as err:
        log.warning("%s: %s", what, _reason(err))
        return fallback(_reason(err))


def _box(products):
    """Head and verdict."""
    parts = {"Head": lambda: facts_html(products), "Checks": lambda: verdict_box(check_products(products))}
    return "".join(
        _guarded(name, make, lambda why, name=name: f'<p class="note">{name}: {html.escape(why)}</p>')
        for name, make in parts.items()
    )


def report_sections(products):
    """Headings and contents of the report of one field, see `write_page`.

    Parameters
    ----------
    products : `~jwst_hpastrom.io.products.Products`

    Returns
    -------
    list
    """
    figures = (
        motion_figures, epsf_figures, distortion_figures, artificial_figures, epochs_figures, frame_figures,
        kinematics_figures,
    )  # fmt: skip
    makers = {"a closer look": _closer}
    makers |= {subject.__name__.rpartition(".")[2].replace("_", " "): subject.sections for subject in figures}
    sections = []
    for name, make in makers.items():
        sections += _guarded(name, partial(make, products), lambda why, name=name: [(name, [why])])
    if products.quality:
        chosen = [n for n in products.quality if n.endswith("_choices_quality.ecsv")]
        if chosen:
            sections.insert(0, ("What was chosen, and why", [products.quality[n] for n in chosen]))
        tables = [Folded(name, table) for name, table in products.quality.items() if name not in chosen]
        if tables:
            sections.append(("Quality tables", tables))
    if notes := [*_missing(products), *products.notes]:
        sections.append(("What is missing", notes))
    return sections


def write_report(folder: Any, output: Any = None, exposures: Any = None) -> str:
    """Write the report of the products in a folder.

    Parameters
    ----------
    folder : path-like

    output : path-like, optional
        The page; by default ``FOLDER/PRODUCT_report.html``.

    exposures : path-like, optional
        Folder with the exposures, for the figures that need pixels; by default ``folder`` itself.

    Returns
    -------
    str
        The path.

    Raises
    ------
    BadFileError
        No folder, or no products in it.

    ParameterError
        matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as err:
        raise ParameterError("no matplotlib", "pip install 'jwst_hpastrom[report]'") from err
    products = find_products(folder, exposures=exposures)
    path = Path(output) if output else products.folder / f"{products.name}_report.html"
    return write_page(path, f"{products.name}: report", report_sections(products), box=_box(products))
