"""The wire contract as scripts, for authors of other servers and clients; see README.md in this folder."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final, Literal, TypeAlias

Name: TypeAlias = Literal["client", "server", "transcripts"]

NAMES: Final[tuple[Name, ...]] = ("client", "server", "transcripts")
"""The names of all files."""


def load(name: Name) -> dict[str, Any]:
    """Return the content of a file, as parsed JSON.

    Raises:
        ValueError: there is no file of this name.
    """
    if name not in NAMES:
        raise ValueError(f"there are {', '.join(NAMES)}, but no {name!r}")
    text = (resources.files(__name__) / f"{name}.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
