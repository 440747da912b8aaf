"""axe-core, from npm: which violations of accessibility a page has."""

from __future__ import annotations

import subprocess
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from ..node import environment, nodes, npm_of

if TYPE_CHECKING:
    from playwright.async_api import Page

AXE = "axe-core@4.10.3"
SERIOUS = ("serious", "critical")


@cache
def _source() -> str | None:
    """The script, from npm's cache where it has been there before; None where it cannot be had."""
    node = next(reversed(nodes().values()), None)
    if node is None:
        return None
    with TemporaryDirectory() as directory:
        pack: list[str | Path] = [node, npm_of(node), "pack", "--silent", "--prefer-offline", AXE]
        got = subprocess.run(pack, cwd=directory, env=environment(node), capture_output=True, check=False, timeout=100)
        if got.returncode != 0:
            return None
        (archive,) = Path(directory).glob("*.tgz")
        with tarfile.open(archive) as files:
            script = files.extractfile("package/axe.min.js")
            assert script is not None
            return script.read().decode()


async def violations(page: Page) -> list[str]:
    """Return the serious ones of a page as it is now, each with where it is."""
    source = _source()
    if source is None:
        pytest.skip(f"{AXE} cannot be had from npm, so accessibility was NOT checked")
    await page.evaluate(source)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]
