"""Scripts with which shells complete ``sessionstream-systemlab``: its commands, options, and the slugs of the help.

They are files in ``completions/``. To use one, read it in when the shell starts::

    source <(sessionstream-systemlab completion bash)      # ~/.bashrc
    source <(sessionstream-systemlab completion zsh)       # ~/.zshrc, after compinit
    sessionstream-systemlab completion fish | source       # ~/.config/fish/config.fish
"""

from __future__ import annotations

from importlib import resources
from typing import Final

from sessionstream import doc

SHELLS: Final = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the script for one of ``SHELLS``."""
    text = (resources.files("sessionstream.systemlab") / "completions" / shell).read_text(encoding="utf-8")
    return text.replace("@SLUGS@", " ".join(entry.slug for entry in doc.entries()))
