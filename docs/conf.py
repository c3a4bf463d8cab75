"""Configuration of the documentation site; `make docs` builds it. See https://www.sphinx-doc.org."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

if TYPE_CHECKING:
    from docutils.nodes import Element, math, math_block
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment
    from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]  # the generator, and the checkout
os.environ["OMP_NUM_THREADS"] = "1"  # small networks: on a busy machine, threads that wait for each other are slower
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # for the notebooks

import generate  # noqa: E402  # type: ignore[import-not-found]

project = "eagle_gym"
author = "The eagle_gym authors"
copyright = "The eagle_gym authors"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["needs", "_build"]
suppress_warnings = [
    "myst.header",  # reports begin their sections at any level
    "ref.python",  # a type that is only imported for checking is known by its last name, which several may share
]
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

myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars

html_math_renderer = "mathml"  # browsers render it; the pages load nothing from elsewhere
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
    """Generate pages when a build starts, and let docstrings and links be what they are elsewhere."""
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("builder-inited", _generate)
    app.connect("source-read", _relink)
    app.connect("autodoc-process-docstring", _mend_docstring, priority=400)  # before napoleon
    app.connect("missing-reference", _find_home)


def _inline_math(translator: HTML5Translator, node: math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _block_math(translator: HTML5Translator, node: math_block) -> None:
    translator.body.append(f'<div class="math">{tex2mathml(node.astext().strip(), as_block=True)}</div>')
    raise SkipNode


def _generate(app: Sphinx) -> None:
    generate.write_pages(HERE / "generated")


def _relink(app: Sphinx, page: str, source: list[str]) -> None:
    """Links from pages to Markdown files in other folders lead to the pages that these are here."""
    path = HERE / f"{page}.md"
    if path.is_file() and not page.startswith("generated/"):
        source[0] = generate.relinked(source[0], path, page)


def _mend_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Two things that Sphinx and napoleon would misread: a |norm|, and a colon in the first line of a property.

    The first would be a substitution; what stands before the second would be taken for the property's type.
    """
    for i, line in enumerate(lines):
        parts = re.split(r"(`[^`]*`)", line)
        lines[i] = "".join(part if part.startswith("`") else part.replace("|", "\\|") for part in parts)
    if what in ("attribute", "data", "property") and lines:
        lines[0] = re.sub(r":(?= )", " \u2013", lines[0])


def _find_home(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: Element) -> Element | None:
    """Resolve a name by importing it: re-exported names lead to their definition, undocumented ones to no page."""
    if node.get("refdomain") != "py":
        return None
    home = generate.home_of(node["reftarget"])
    if home is None:
        return None  # there is no such name, and Sphinx says so
    found = env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", home, node, text)
    return found or text
