"""Serves the files of the page and the JavaScript client, from the installed package."""

from __future__ import annotations

from importlib import resources
from typing import Final

from sessionstream.serving.files import CLIENT, Files

_PAGE: Final = resources.files("sessionstream.examples.chatdemo.serve") / "static"

page: Final = Files(
    dict.fromkeys(("index.html", "chat.css", "chat.js", "icon.svg"), _PAGE) | {"sessionstream.js": CLIENT},
    index="index.html",
).answer
"""The endpoint of the page and its files."""
