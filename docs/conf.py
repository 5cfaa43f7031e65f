"""Sphinx configuration."""

import os
import sys
from importlib.metadata import version as _version
from pathlib import Path as _Path

sys.path.insert(0, str(_Path(__file__).parent / "_ext"))

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
    "step_parameters",
]
sphinx_gallery_conf = {
    "examples_dirs": ["tutorials"],
    "gallery_dirs": ["auto_tutorials"],
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_signature": False,
}
# inventories are on the network: only where they are asked for, so that the build needs none
if os.environ.get("HPASTROM_DOCS_ONLINE"):
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "astropy": ("https://docs.astropy.org/en/stable", None),
        "photutils": ("https://photutils.readthedocs.io/en/stable", None),
    }
autosummary_generate = True
autodoc_default_options = {"members": True, "show-inheritance": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "code"
exclude_patterns = ["_build", "tutorials"]
html_theme = "pydata_sphinx_theme"
html_title = "jwst_hpastrom"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
# only the API has pages below pages
html_sidebars = {p.stem: [] for p in _Path(__file__).parent.glob("*.rst") if not p.stem.startswith("api")}
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
exclude_patterns += ["_columns.rst", "_flags.rst", "_instruments.rst"]
