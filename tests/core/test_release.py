"""The version that is installed, where its metadata are there and where they are not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

from sessionstream.release import release


def test_it_is_that_of_the_metadata() -> None:
    assert release() == version("sessionstream")


def test_a_program_without_metadata_has_none_and_is_traced_all_the_same() -> None:
    """As one that was frozen, or runs from a source tree."""
    hidden = (
        "import importlib.metadata as m\ndef missing(name): raise m.PackageNotFoundError(name)\nm.version = missing\n"
    )
    code = hidden + (
        "from sessionstream import Hub, SchemaRegistry\n"
        "from sessionstream.otel import instrument\n"
        "from sessionstream.release import release\n"
        "instrument(Hub(SchemaRegistry()))\n"
        "print([release()])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "['']\n", "")
