"""The wire contract as scripts, for whoever writes a server or a client: see README.md beside this file."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final, Literal, TypeAlias

Name: TypeAlias = Literal["client", "server", "transcripts"]

NAMES: Final[tuple[Name, ...]] = ("client", "server", "transcripts")
"""The files there are."""


def load(name: Name) -> dict[str, Any]:
    """Return one of the files, as parsed JSON.

    Raises:
        ValueError: there is no such file.
    """
    if name not in NAMES:
        raise ValueError(f"there are {', '.join(NAMES)}, but no {name!r}")
    text = (resources.files(__name__) / f"{name}.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
