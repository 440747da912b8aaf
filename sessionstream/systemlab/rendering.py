"""Renders templates of the package, and serves the files that pages need."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from sessionstream.release import release
from sessionstream.serving.files import CLIENT, HEADERS, Files

PACKAGE: Final = resources.files("sessionstream.systemlab")
_STATIC: Final = PACKAGE / "static"
_INSPECTOR: Final = _STATIC / "inspector"


def _names(folder: Traversable) -> tuple[str, ...]:
    return tuple(sorted(file.name for file in folder.iterdir() if file.is_file()))


NAMES: Final = _names(_STATIC)
"""The files of the lab's own pages."""

static: Final = Files(dict.fromkeys(NAMES, _STATIC) | {"sessionstream.js": CLIENT}).answer
"""The endpoint of the style sheets, the scripts and our JavaScript client."""

inspector_static: Final = Files(dict.fromkeys(_names(_INSPECTOR), _INSPECTOR)).answer
"""The endpoint of the style sheet and the scripts of the inspector."""

_TEMPLATES: Final = Environment(
    loader=PackageLoader("sessionstream.systemlab"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_TEMPLATES.globals["version"] = release()


def page(template: str, status_code: int = 200, **context: Any) -> Response:
    """Return a page made of a template."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**context), status_code, headers=HEADERS)
