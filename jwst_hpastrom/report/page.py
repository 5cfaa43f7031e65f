"""One self-contained HTML page from the products in a folder."""

import base64
import html
import io
import logging
from pathlib import Path

import numpy as np

from jwst_hpastrom.checks import check_products
from jwst_hpastrom.errors import HPAstromError, ParameterError
from jwst_hpastrom.io.products import find_products
from jwst_hpastrom.io.writing import atomic_path
from jwst_hpastrom.report import (
    artificial_figures,
    distortion_figures,
    epochs_figures,
    epsf_figures,
    frame_figures,
    kinematics_figures,
    motion_figures,
)
from jwst_hpastrom.report.verdicts import verdict_box

__all__ = ["write_page", "write_report"]

log = logging.getLogger("stpipe.hpastrom.report")

#: what products of other origin, or without some columns, lead to
FOREIGN = (HPAstromError, KeyError, ValueError, TypeError, IndexError)

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc; }
img { max-width: 100%; } figcaption { color: #555; font-size: 0.9em; } figure { margin: 1em 0; }
table { border-collapse: collapse; font-size: 0.85em; } div.table { overflow-x: auto; }
td, th { padding: 0.15em 0.7em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; }
.verdict { border-left: 0.5em solid #2a2; background: #f6f6f6; padding: 0.3em 1em; }
.verdict.look { border-color: #d90; } .verdict.bad { border-color: #c00; } tr.bad { background: #fdd; }
.verdict td { text-align: left; white-space: normal; }
details { margin: 0.6em 0; } .note { color: #a00; }
"""


def _cell(value):
    if isinstance(value, float | np.floating):
        return "" if not np.isfinite(value) else f"{value:.5g}"
    return html.escape(str(value))


def _table(table, most=40):
    """A table as HTML; long ones are cut, and say so."""
    head = "".join(
        f"<th>{html.escape(c)}{f' ({table[c].unit})' if table[c].unit else ''}</th>" for c in table.colnames
    )
    rows = ["<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row) + "</tr>" for row in table[:most]]
    rest = f"<p>… and {len(table) - most} more rows.</p>" if len(table) > most else ""
    return f'<div class="table"><table><tr>{head}</tr>{"".join(rows)}</table></div>{rest}'


def _image(figure, caption):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(caption)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def write_page(path, title, sections, *, box=""):
    """Write a page.

    Parameters
    ----------
    path : path-like

    title : str

    sections : list of (str, list)
        Headings, and under each text, tables (`~astropy.table.Table`), or (figure, caption).

    box : str
        HTML that comes first, as `~jwst_hpastrom.report.verdicts.verdict_box` makes it.

    Returns
    -------
    str
        The path.
    """
    parts = [
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{box}"
    ]
    for heading, contents in sections:
        parts.append(f"<h2>{html.escape(heading)}</h2>")
        for item in contents:
            if isinstance(item, str):
                parts.append(f"<p>{html.escape(item)}</p>")
            elif isinstance(item, tuple):
                parts.append(_image(*item))
            else:
                parts.append(_table(item))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join([*parts, "</body></html>\n"]), encoding="utf-8")
    return str(path)


def _overview(products):
    text = [f"Folder: {products.folder.resolve().name}. Star lists: {len(products.stars)}."]
    for name in ("epsf", "correction", "master", "motions"):
        value = getattr(products, name)
        label = {
            "epsf": "ePSF library",
            "correction": "distortion",
            "master": "master frame",
            "motions": "motions",
        }
        if value is None:
            text.append(f"No {label[name]}.")
        elif name in ("master", "motions"):
            text.append(f"{label[name].capitalize()}: {len(value)} stars.")
    chosen = products.quality.get(f"{products.name}_choices_quality.ecsv")
    return [
        " ".join(text),
        *([] if chosen is None else ["What was chosen, and why:", chosen]),
        *products.notes,
    ]


def _reason(err):
    return f"Not shown, the products are not as this package writes them: {type(err).__name__}: {err}"


def _box(products):
    try:
        return verdict_box(check_products(products))
    except FOREIGN as err:
        log.warning("checks: %s", _reason(err))
        return f'<p class="note">Checks: {html.escape(_reason(err))}</p>'


def report_sections(products):
    """Headings and contents of the report of one field, see `write_page`.

    Parameters
    ----------
    products : `~jwst_hpastrom.io.products.Products`

    Returns
    -------
    list
    """
    sections = [("What there is", _overview(products))]
    figures = (
        epsf_figures,
        distortion_figures,
        artificial_figures,
        motion_figures,
        epochs_figures,
        frame_figures,
        kinematics_figures,
    )
    for subject in figures:
        try:
            sections += subject.sections(products)
        except FOREIGN as err:
            log.warning("%s: %s", subject.__name__.rpartition(".")[2], _reason(err))
            sections.append((subject.__name__.rpartition(".")[2].replace("_", " "), [_reason(err)]))
    if products.quality:
        contents = []
        for name, table in products.quality.items():
            if not name.endswith("_choices_quality.ecsv"):  # it comes first
                contents += [name, table]
        sections.append(("Quality tables", contents))
    return sections


def write_report(folder, output=None, exposures=None):
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
