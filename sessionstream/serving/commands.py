"""Shared by the commands that start the applications: an address argument, and the message for a missing extra."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec

from sessionstream.serving.address import Address


def address(text: str) -> Address:
    """Parse an address; for use as the ``type`` of an argparse argument.

    Raises:
        argparse.ArgumentTypeError: the text is not an address.
    """
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def missing(packages: Sequence[str]) -> list[str]:
    """Return which of these packages are not installed."""
    return [name for name in packages if find_spec(name) is None]


def how_to_install(why: str, packages: Sequence[str], extra: str) -> str:
    """Return the message for missing packages: why they are needed, and the command that installs them."""
    are = "is" if len(packages) == 1 else "are"
    return f"{why}, and {' and '.join(packages)} {are} not installed:\n  pip install 'sessionstream[{extra}]'"
