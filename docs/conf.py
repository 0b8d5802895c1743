"""Configuration of the documentation: ``make docs`` writes it to docs/_build/html."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

import fei_sklearn

sys.path.insert(0, str(Path(__file__).parent))  # for gallery_order

project = "fei-sklearn"
author = "fei_sklearn developers"
copyright = author
version = release = fei_sklearn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.linkcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # types are in the numpydoc sections
autodoc_mock_imports = ["aeon"]
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "plot_",
    "within_subsection_order": "gallery_order.place",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("fei_sklearn",),
}

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_sidebars = {"index": [], "method": [], "comparison": []}  # pages without a section
html_title = "fei-sklearn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/fei-sklearn/fei-sklearn",
    "header_links_before_dropdown": 5,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}

_SOURCE = "https://github.com/fei-sklearn/fei-sklearn/blob/main"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Return the address of a module's source."""
    if domain != "py" or not info["module"]:
        return None
    path = info["module"].replace(".", "/")
    return f"{_SOURCE}/{path}.py"


def _skip_foreign(app, what, name, member, skip, options):
    """Leave out the members that classes inherit from other libraries."""
    module = getattr(inspect.unwrap(member) if callable(member) else member, "__module__", None)
    if module is None or module.startswith("fei_sklearn"):
        return None
    return True


def _visit_math(writer, node):
    """Write a formula as MathML, which browsers show without a script from elsewhere."""
    display = "block" if node.tagname == "math_block" else "inline"
    writer.body.append(convert(node.astext(), display=display))
    raise SkipNode


def setup(app):
    """Register the filter of members and the renderer of formulas."""
    formulas = (_visit_math, None)
    app.add_html_math_renderer("mathml", formulas, formulas)
    app.connect("autodoc-skip-member", _skip_foreign)
