"""A project that has installed the package, packed by npm."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessionstream.admin.typescript import typescript

from ..doc.pages import HELP, blocks
from ..node import environment, npm_of
from ..servers.fixtures import missing
from .notes import notes

PACKAGE = Path(__file__).parents[2] / "js"
CONSUMER = Path(__file__).parent / "consumer"
PAGE = HELP / "howtos" / "sessionstream-browser.md"


@dataclass(frozen=True)
class Project:
    """A project of a user of the package.

    Args:
        folder: the project, with everything installed.
        node: the Node that runs its tools.
    """

    folder: Path
    node: Path

    @property
    def tarball(self) -> Path:
        """The package as npm would publish it."""
        return self.folder / "package.tgz"

    @property
    def dist(self) -> Path:
        """The built pages."""
        return self.folder / "dist"

    def run(self, tool: str, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run a tool that the project has installed, and return what it prints; fail if the tool fails."""
        command: list[str | Path] = [self.folder / "node_modules" / ".bin" / tool, *arguments]
        return _printed(command, cwd or self.folder, self.node)

    def failure(self, tool: str, *arguments: str | Path) -> str:
        """Run a tool that has to fail, and return what it prints."""
        ran = _ran([self.folder / "node_modules" / ".bin" / tool, *arguments], self.folder, self.node)
        assert ran.returncode != 0, ran.stdout
        return ran.stdout

    def publish(self) -> str:
        """Return what npm says of publishing the package, which it does not do."""
        command: list[str | Path] = [self.node, npm_of(self.node), "publish", "--dry-run", self.tarball]
        ran = _ran(command, self.folder, self.node)
        assert ran.returncode == 0, ran.stderr
        return ran.stderr

    @asynccontextmanager
    async def serving(self, tool: str, *arguments: str | Path, until: str) -> AsyncIterator[None]:
        """Run a tool that serves; ready when it has printed ``until``."""
        command = [self.folder / "node_modules" / ".bin" / tool, *arguments]
        running = await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env=environment(self.node), stdout=PIPE, stderr=STDOUT
        )
        assert running.stdout is not None
        try:
            said = b""
            async with asyncio.timeout(60):
                while until.encode() not in said:
                    said += await running.stdout.readline()
                    assert not running.stdout.at_eof(), said.decode()
            yield
        finally:
            if running.returncode is None:
                running.terminate()
            await running.communicate()

    def script(self, name: str) -> str:
        """Run a script of the project under its Node, and return what it prints."""
        return _printed([self.node, self.folder / name], self.folder, self.node)


def install(folder: Path, node: Path) -> Project:
    """Make a project in a new folder: the packed package, React, Vue, Svelte, vite, TypeScript, checkers; and build it.

    Without the packages of npm, the test is skipped.
    """
    shutil.copytree(CONSUMER, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "src" / "types.ts").write_text(typescript(notes().schemas, "Notes"), "utf-8")
    _write_documented(folder / "docs")
    npm: list[str | Path] = [node, npm_of(node)]
    packed = _printed([*npm, "pack", "--silent", "--pack-destination", folder, PACKAGE], folder, node).strip()
    (folder / packed).rename(folder / "package.tgz")
    got = _ran([*npm, "install", "--no-audit", "--no-fund", "--silent", "./package.tgz"], folder, node)
    if got.returncode != 0:
        missing(f"packages cannot be had from npm, so NOTHING was tried: {got.stderr.strip()[:200]}")
    project = Project(folder, node)
    project.run("vite", "build", "--logLevel", "error")
    return project


def _write_documented(folder: Path) -> None:
    """Write the files that the page about browsers shows, and the types of its server."""
    for block in blocks(PAGE.read_text("utf-8")):
        language, _, name = block.info.partition(" ")
        if name and language in ("html", "js", "ts", "tsx", "vue"):
            (folder / name).write_text(block.text, "utf-8")
    (folder / "chat.ts").write_text(typescript(documented_server()["schemas"], "Chat"), "utf-8")


def documented_server() -> dict[str, Any]:
    """Return the names of the server that the page shows."""
    names: dict[str, Any] = {}
    code = next(block.text for block in blocks(PAGE.read_text("utf-8")) if block.info == "python")
    exec(compile(code, PAGE.name, "exec"), names)
    return names


def _ran(command: list[str | Path], cwd: Path, node: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=environment(node), capture_output=True, text=True, check=False, timeout=200
    )


def _printed(command: list[str | Path], cwd: Path, node: Path) -> str:
    ran = _ran(command, cwd, node)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
