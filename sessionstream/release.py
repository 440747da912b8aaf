"""The version of the package that is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Return the version; empty where its metadata are missing, as in a frozen program or an unpacked source tree."""
    try:
        return version("sessionstream")
    except PackageNotFoundError:
        return ""
