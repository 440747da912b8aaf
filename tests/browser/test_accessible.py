"""The chat page under axe-core: nothing that keeps anybody from using it, in light and dark, wide and narrow."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from ..node import environment, nodes, npm_of
from .chromium import Tabs
from .serving import Served
from .test_chat_page import LONG, live, send, status

AXE = "axe-core@4.14.1"

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1_440, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 360, "height": 640}},
]


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The script, from npm, and from pytest's cache once it is there."""
    assert pytestconfig.cache is not None
    directory = pytestconfig.cache.mkdir(AXE.replace("@", "-"))
    script = directory / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        _install(directory)
    return script.read_text("utf-8")


def _install(directory: Path) -> None:
    if not nodes():
        pytest.skip("there is no Node, so ACCESSIBILITY was not checked: install nodejs, or the dev extra")
    node = list(nodes().values())[-1]
    options = ["--no-audit", "--no-fund", "--silent", "--ignore-scripts", "--prefix", str(directory)]
    got = subprocess.run(
        [node, npm_of(node), "install", *options, AXE],
        env=environment(node),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if got.returncode != 0:
        pytest.skip(f"{AXE} cannot be had from npm, so ACCESSIBILITY was not checked: {got.stderr.strip()[:200]}")


async def violations(page: Page, axe: str) -> list[str]:
    """What axe finds: rule, impact, and where."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{each['id']} ({each['impact']}): {', '.join(str(node['target']) for node in each['nodes'])}" for each in found
    ]


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark"])
async def test_nothing_is_in_anybodys_way(slow_server: Served, slow_tabs: Tabs, axe: str, look: dict[str, Any]) -> None:
    page = await slow_tabs.open(**look)
    await expect(page.get_by_role("heading", name="Ask something")).to_be_visible()
    assert await violations(page, axe) == []
    await send(page, LONG)
    await status(page, 1, "streaming")
    assert await violations(page, axe) == []  # with a button to stop it
    await page.get_by_role("button", name="Stop", exact=True).click()
    await status(page, 1, "stopped")
    await slow_server.kill()
    await expect(page.locator("#state")).to_have_attribute("data-state", "reconnecting")
    await send(page, "Sent to nobody")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await violations(page, axe) == []  # with a problem, and a button to retry
    await slow_server.start()
    await live(page)
