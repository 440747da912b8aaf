"""The README as a new user takes it: short, its pictures are there, and its app works in two windows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from ..browser.chromium import CHROMIUM, Tabs, chromium
from .pages import ROOT, blocks, prose
from .run_blocks import free_port
from .serving import serving

README = (ROOT / "README.md").read_text("utf-8")
STEPS = "v1.0: build, v1.0: test, v1.0: release"


def test_it_is_short() -> None:
    lines = README.splitlines()
    assert len(lines) <= 110
    assert [line for line in lines if len(line) > 120] == []
    assert len(prose(README).split()) <= 900
    assert "<" not in prose(README), "a placeholder"


def test_its_pictures_are_there_and_load_quickly() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures == ["docs/pictures/chat.png"]
    assert (ROOT / pictures[0]).stat().st_size < 1_000_000
    with Image.open(ROOT / pictures[0]) as picture:
        assert getattr(picture, "n_frames", 1) > 10


def test_its_finding_is_what_flake8_prints(tmp_path: Path) -> None:
    (shown,) = [block.text for block in blocks(README) if "SST001" in block.text]
    line, finding = shown.splitlines()
    (tmp_path / "moved.py").write_text(
        "from google.protobuf.struct_pb2 import Struct\n"
        "from sessionstream import SchemaRegistry\n"
        "\n"
        "schemas = SchemaRegistry()\n"
        f"{line}\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "flake8", "--isolated", "--select", "SST", "."]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False).stdout
    assert printed.startswith(finding.removesuffix("…").rstrip())


async def deploy(page: Page) -> None:
    await page.get_by_role("button", name="Deploy").click()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, so NOTHING was tried in a browser")
async def test_two_windows_watch_its_app_and_come_back_to_a_server_with_workers(tmp_path: Path) -> None:
    (app,) = [block.text for block in blocks(README) if block.info == "python"]
    (tmp_path / "app.py").write_text(app, "utf-8")
    port = free_port()
    async with chromium() as browser:
        tabs = Tabs(browser, f"http://127.0.0.1:{port}/")
        async with serving(tmp_path, "-m", "uvicorn", "app:app", "--port", port):
            first, second = await tabs.visit(""), await tabs.visit("")
            await deploy(first)
            for window in (first, second):
                await expect(window.locator("p")).to_have_text(STEPS)
            await second.reload()
            await expect(second.locator("p")).to_have_text(STEPS)
        # uvicorn leaves its own socket to the garbage collector, and is ready when its first worker is
        workers = ["-W", "ignore::ResourceWarning", "-m", "uvicorn", "app:app", "--port", port, "--workers", "2"]
        async with serving(tmp_path, *workers, ready="Application startup complete"):
            await deploy(second)
            for window in (first, second):
                await expect(window.locator("p")).to_have_text(f"{STEPS}, {STEPS}")
        assert tabs.foreign == []
