"""Sphinx configuration."""

from importlib.metadata import version as _version

project = "jwst_hpastrom"
author = "The jwst_hpastrom developers"
copyright = "2026, the jwst_hpastrom developers"
release = version = _version("jwst_hpastrom")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
autosummary_generate = True
autodoc_default_options = {"members": True, "show-inheritance": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "code"
exclude_patterns = ["_build"]
html_theme = "sphinx_rtd_theme"
html_show_sourcelink = False
