"""The package, packed by npm, and a project that has installed it, once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessionstream.admin.cli import main

from ..node import environment, nodes, npm_of
from ..servers.fixtures import missing

PACKAGE = Path(__file__).parents[2] / "js"
CONSUMER = Path(__file__).parent / "consumer"


@dataclass(frozen=True)
class Project:
    """A project of a user of the package.

    Args:
        folder: the project, with everything installed.
        node: the Node that runs its tools.
        tarball: the package as npm would publish it.
    """

    folder: Path
    node: Path
    tarball: Path

    def run(self, tool: str, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run a tool that the project has installed, and return what it prints; fail if the tool fails."""
        command: list[str | Path] = [self.folder / "node_modules" / ".bin" / tool, *arguments]
        return _printed(command, cwd or self.folder, self.node)

    def failure(self, tool: str, *arguments: str | Path) -> str:
        """Run a tool that has to fail, and return what it prints."""
        ran = _ran([self.folder / "node_modules" / ".bin" / tool, *arguments], self.folder, self.node)
        assert ran.returncode != 0, ran.stdout
        return ran.stdout

    def script(self, name: str) -> str:
        """Run a script of the project under its Node, and return what it prints."""
        return _printed([self.node, self.folder / name], self.folder, self.node)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the packed package; React, vite, TypeScript and the checkers of packages."""
    if not nodes():
        missing("there is no Node, so NOTHING of the package was tried")
    node = list(nodes().values())[-1]
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "npm-consumer"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            making = shared.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            shutil.copytree(CONSUMER, making, ignore=shutil.ignore_patterns("node_modules"))
            types = making / "src" / "types.ts"
            assert main(["types", "tests.npm.notes:notes", "--name", "Notes", "--out", str(types)]) == 0
            npm: list[str | Path] = [node, npm_of(node)]
            packed = _printed([*npm, "pack", "--silent", "--pack-destination", making, PACKAGE], making, node).strip()
            (making / packed).rename(making / "package.tgz")
            install = [*npm, "install", "--no-audit", "--no-fund", "--silent", "./package.tgz"]
            got = subprocess.run(
                install, cwd=making, env=environment(node), capture_output=True, text=True, check=False, timeout=200
            )
            if got.returncode != 0:
                missing(f"packages cannot be had from npm, so NOTHING was tried: {got.stderr.strip()[:200]}")
            making.rename(shared)
    return Project(shared, node, shared / "package.tgz")


def _ran(command: list[str | Path], cwd: Path, node: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=environment(node), capture_output=True, text=True, check=False, timeout=100
    )


def _printed(command: list[str | Path], cwd: Path, node: Path) -> str:
    ran = _ran(command, cwd, node)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
