"""Configuration of the documentation site; `make docs` builds it. See https://www.sphinx-doc.org."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]  # the generator, and the checkout
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # for the notebooks

project = "eagle_gym"
author = "The eagle_gym authors"
copyright = "The eagle_gym authors"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["needs", "_build"]
nitpicky = True
# Only our own names have pages here: a reference to one that does not exist is an error.
nitpick_ignore_regex = [(r"py:.*", r"(?!(eagle_gym|baselines)\.).*")]

default_role = "code"  # docstrings write code in single backticks
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_mock_imports: list[str] = []
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
viewcode_line_numbers = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_output_stderr = "remove"  # progress bars

html_theme = "furo"
html_title = "eagle_gym"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e69", "color-brand-content": "#0b6e69"},
    "dark_css_variables": {"color-brand-primary": "#7fcdc7", "color-brand-content": "#7fcdc7"},
}


def setup(app: Sphinx) -> None:
    """Generate pages when a build starts."""
    app.connect("builder-inited", _generate)


def _generate(app: Sphinx) -> None:
    from generate import write_pages  # type: ignore[import-not-found]

    write_pages(HERE / "generated")
