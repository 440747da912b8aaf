"""The version of the distribution, which the linter shares."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("sessionstream")
except PackageNotFoundError:  # run from a source tree that is not installed
    VERSION = "0"
