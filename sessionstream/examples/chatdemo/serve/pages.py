"""What a browser is given: the files of the page and the JavaScript client, read from the installed package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

_PAGE: Final = resources.files("sessionstream.examples.chatdemo.serve") / "static"
_CLIENT: Final = resources.files("sessionstream.transport.ws") / "static"

_FILES: Final = MappingProxyType(
    {
        "index.html": (_PAGE, "text/html"),
        "chat.css": (_PAGE, "text/css"),
        "chat.js": (_PAGE, "text/javascript"),
        "icon.svg": (_PAGE, "image/svg+xml"),
        "sessionstream.js": (_CLIENT, "text/javascript"),
    }
)

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        "cache-control": "no-cache",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
)
"""Nothing from elsewhere, nothing inline, in nobody's frame."""


async def page(request: Request) -> Response:
    """Answer with one of the files; the page itself where no name is given."""
    name = request.path_params.get("name", "index.html")
    if name not in _FILES:
        return PlainTextResponse(f"there is no {name}\n", 404, headers=HEADERS)
    folder, media_type = _FILES[name]
    return Response((folder / name).read_bytes(), headers=HEADERS, media_type=media_type)
