"""Sphinx configuration."""

import os
import sys
from importlib.metadata import version as _version
from pathlib import Path as _Path

_here = _Path(__file__).parent
sys.path.insert(0, str(_here / "_ext"))

import public_names  # noqa: E402
from inventories import write_inventories  # noqa: E402

project = "jwst_hpastrom"
author = "The jwst_hpastrom developers"
copyright = "2026, the jwst_hpastrom developers"
release = version = _version("jwst_hpastrom")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "drawn_math",
    "landing_picture",
    "public_names",
    "step_parameters",
    "verdict_names",
]
sphinx_gallery_conf = {
    "examples_dirs": ["tutorials", "gallery"],
    "gallery_dirs": ["auto_tutorials", "auto_gallery"],
    "backreferences_dir": "_examples",  # which of them use a function, for its page
    "doc_module": ("jwst_hpastrom",),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_signature": False,
}
# names of other packages: from the lists in _inventories, so that the build needs no network
intersphinx_mapping = write_inventories(_here, online=bool(os.environ.get("HPASTROM_DOCS_ONLINE")))
nitpicky = True
# their pages are made without an inventory that is known here
nitpick_ignore_regex = [("py:.*", r"stdatamodels\..*"), ("py:.*", r"bokeh\..*")]
autosummary_generate = ["_packages.rst"]
autosummary_context = public_names.context()
autodoc_typehints = "none"  # the docstrings have them
templates_path = ["_templates"]
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "obj"
exclude_patterns = ["_build", "_examples", "_templates", "gallery", "tutorials"]
html_theme = "pydata_sphinx_theme"
html_title = "jwst_hpastrom"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
# only the API has pages below pages
html_sidebars = {p.stem: [] for p in _Path(__file__).parent.glob("*.rst") if not p.stem.startswith("api")}
html_sidebars |= {"auto_tutorials/*": []}  # code and outputs are wide
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2, "header_links_before_dropdown": 4}
html_show_sourcelink = False


def _write_tables():
    """Column and flag tables of formats.rst, from the one schema."""
    import inspect
    import re
    from pathlib import Path

    from jwst_hpastrom import columns

    here, out = Path(__file__).parent, []
    for title, schema in (
        ("Star list", columns.STAR_LIST),
        ("Master frame", columns.MASTER),
        ("Motions", columns.MOTION),
    ):
        out += [
            f".. list-table:: {title}",
            "   :header-rows: 1",
            "",
            "   * - column",
            "     - unit",
            "     - meaning",
        ]
        for c in schema:
            out += [f"   * - ``{c.name}``", f"     - {c.unit}", f"     - {c.description}"]
        out.append("")
    (here / "_columns.rst").write_text("\n".join(out))
    rows = [".. list-table::", "   :header-rows: 1", "", "   * - bit", "     - name", "     - meaning"]
    for name, bit, meaning in re.findall(r"(\w+) = (\d+)  # (.+)", inspect.getsource(columns.Flag)):
        rows += [f"   * - {bit}", f"     - {name}", f"     - {meaning}"]
    (here / "_flags.rst").write_text("\n".join(rows) + "\n")


def _write_instruments():
    """Tables of instruments.rst, from the one table of facts."""
    from pathlib import Path

    from jwst_hpastrom.instrument import INSTRUMENTS

    def table(title, head, rows):
        out = [f".. list-table:: {title}", "   :header-rows: 1", ""]
        for row in (head, *rows):
            out += [("   * - " if k == 0 else "     - ") + str(cell) for k, cell in enumerate(row)]
        return [*out, ""]

    out = []
    for name, i in INSTRUMENTS.items():
        rows = [
            (d, "{1} × {0}".format(*v.shape), v.scale, v.stripes or "none", v.v2, v.v3)
            for d, v in i.detectors.items()
        ]
        out += table(
            f"{name}, EXP_TYPE {i.exp_type}: detectors",
            ("DETECTOR", "pixels", "arcsec per pixel", "amplifiers' stripes along", "V2", "V3"),
            rows,
        )
        rows = [(f, v.wheel, v.pupil or "", v.wavelength, v.width) for f, v in i.filters.items()]
        if rows:
            out += table(f"{name}: filters", ("filter", "FILTER", "PUPIL", "wavelength (µm)", "width"), rows)
    (Path(__file__).parent / "_instruments.rst").write_text("\n".join(out))


_write_tables()
_write_instruments()
public_names.write_lists(_here)
exclude_patterns += ["_*.rst"]
