"""The npm package: what it says of itself, what it ships, and a project that installs it."""

from __future__ import annotations

import asyncio
import gzip
import json
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles

from sessionstream.examples.chatdemo import Chat
from sessionstream.serving.files import CLIENT
from sessionstream.transport.ws import WebSocketServer

from ..browser.chromium import CHROMIUM, chromium
from ..transport.running import PATIENCE, served
from .conftest import PACKAGE, Project

CORE_BYTES = 6_300
"""Of `connect` in a bundle, minified and gzipped."""
MANIFEST: dict[str, Any] = json.loads((PACKAGE / "package.json").read_text("utf-8"))


def test_both_packages_have_one_version_and_one_license() -> None:
    assert MANIFEST["version"] == metadata.version("sessionstream")
    assert (PACKAGE / "LICENSE").read_bytes() == (PACKAGE.parent / "LICENSE").read_bytes()


def test_the_python_package_holds_the_same_files() -> None:
    names = {"package.json", *MANIFEST["files"]}
    assert {each.name for each in CLIENT.iterdir()} == names
    for name in names:
        assert (CLIENT / name).read_bytes() == (PACKAGE / name).read_bytes(), name


def test_the_tarball_has_what_the_manifest_says(project: Project) -> None:
    with tarfile.open(project.tarball) as archive:
        packed = {name.removeprefix("package/") for name in archive.getnames()}
    assert packed == {"package.json", "README.md", "LICENSE", *MANIFEST["files"]}
    exported = [path for entry in MANIFEST["exports"].values() if isinstance(entry, dict) for path in entry.values()]
    assert {path.removeprefix("./") for path in exported} <= packed


def test_publint_and_attw_find_nothing(project: Project) -> None:
    assert "All good!" in project.run("publint", "--strict", project.tarball)
    project.run("attw", project.tarball, "--profile", "esm-only")


def test_the_project_compiles_strictly(project: Project) -> None:
    project.run("tsc", "--project", project.folder)


def test_the_core_stays_small(project: Project) -> None:
    page = project.folder / "core.js"
    page.write_text('export { connect } from "sessionstream";\n', "utf-8")
    minified = project.run("esbuild", page, "--bundle", "--minify", "--format=esm")
    assert 2_000 < len(gzip.compress(minified.encode(), 9)) <= CORE_BYTES


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, so NOTHING was tried in a browser")
async def test_the_built_page_shows_a_session(project: Project, tmp_path: Path) -> None:
    project.run("vite", "build", "--logLevel", "warn", "--outDir", tmp_path / "dist")
    async with Chat(delay=0) as chat, chromium() as browser:
        server = WebSocketServer(chat.hub)
        chat.hub.set_fanout(server)
        await chat.start("session-1", "Explain ordinals")
        await chat.wait("session-1")
        expected = [entity.id for entity in (await chat.hub.snapshot("session-1")).entities]
        routes = [WebSocketRoute("/ws", server), Mount("/", StaticFiles(directory=tmp_path / "dist", html=True))]
        async with served(Starlette(routes=routes)) as address, asyncio.timeout(PATIENCE):
            page = await browser.new_page()
            await page.goto(address.replace("ws:", "http:"))
            await page.wait_for_selector(f"#entities li:nth-child({len(expected)})")
            assert await page.locator("#entities li").all_text_contents() == expected
            await page.close()
