"""Sphinx's configuration. It is read in the directory that ``sources.py`` lays out; ``make docs`` runs both."""

from __future__ import annotations

from importlib.metadata import version as version_of
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

import sessionstream

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "sessionstream"
author = "The sessionstream developers"
project_copyright = author
version = release = version_of("sessionstream")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["fieldlist"]
myst_heading_anchors = 4  # as GitHub has them, so that one link does for both

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_display_short_literal_types = True
maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"sessionstream {release}"
html_show_sphinx = False
html_copy_source = False
html_static_path: list[str] = []
pygments_style = "default"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """Let names that the façade passes on keep the words beside them, and ports have no arguments."""
    words = _words_beside_names()

    def add(_app: Sphinx, what: str, name: str, _object: Any, _options: Any, lines: list[str]) -> None:
        if what == "data" and name.startswith("sessionstream."):
            lines[:] = words.get(name.rpartition(".")[2], lines)

    def without_arguments(_app: Sphinx, what: str, _name: str, found: Any, *_more: Any) -> tuple[str, None] | None:
        # Nobody makes an instance of a port; Python gives it a signature all the same.
        return ("", None) if what == "class" and getattr(found, "_is_protocol", False) else None

    app.connect("autodoc-process-docstring", add)
    app.connect("autodoc-process-signature", without_arguments)


def _words_beside_names() -> dict[str, list[str]]:
    """Return what stands below assignments of modules, by the names assigned to. A public name has one meaning."""
    found: dict[str, list[str]] = {}
    for module in walk_packages(sessionstream.__path__, "sessionstream."):
        if module.name.endswith("__main__") or "_pb2" in module.name:
            continue
        try:
            documented = ModuleAnalyzer.for_module(module.name).find_attr_docs()
        except PycodeError:  # a package of nothing but other packages
            continue
        found |= {name: lines for (scope, name), lines in documented.items() if not scope}
    return found
