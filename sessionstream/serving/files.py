"""Serves static files of the installed package, with security headers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "cache-control": "no-cache",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
)
"""Headers of every response: no content of other origins, no inline scripts or styles, no embedding in frames."""

CLIENT: Final = resources.files("sessionstream.transport.ws") / "static"
"""The directory of the JavaScript client."""

_TYPES: Final = MappingProxyType(
    {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
)


class Files:
    """Serves files by name; ``answer`` is the endpoint of a route with ``{name}``, or of one that serves ``index``.

    Args:
        folders: maps the name of each served file to the directory of the package that holds it.
        index: the file for a route without a name.
    """

    def __init__(self, folders: Mapping[str, Traversable], index: str = "") -> None:
        self._folders = folders
        self._index = index

    async def answer(self, request: Request) -> Response:
        """Return the file as a response, or 404."""
        name = request.path_params.get("name", self._index)
        if name not in self._folders:
            return PlainTextResponse(f"there is no {name}\n", 404, headers=HEADERS)
        media_type = _TYPES[name.rpartition(".")[2]]
        return Response((self._folders[name] / name).read_bytes(), headers=HEADERS, media_type=media_type)
