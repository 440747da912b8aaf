"""Tells shtab, which makes completions for shells from a parser, which arguments are paths."""

from __future__ import annotations

import argparse
from typing import Final

_PATHS: Final = {
    "bash": "_shtab_compgen_files",
    "zsh": "_files",
    "fish": "(__fish_complete_path (commandline -ct))",
}


def is_path(argument: argparse.Action) -> None:
    """Let shells complete paths for an argument; shtab reads an attribute of it."""
    argument.complete = _PATHS  # type: ignore[attr-defined]
