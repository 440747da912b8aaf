"""The page of ``sessionstream inspect STORE --web``: its store, one moment of it, and that its process has ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Route, expect

from ..systemlab.test_inspector import fill
from ..systemlab.web import inspecting
from .axe import violations
from .conftest import browsing
from .lab import fits, not_the_servers
from .test_inspector_page import rows, write


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
async def test_it_names_its_store_and_itself(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    store = tmp_path / f"{'long' * 20}\u202e.db"
    shown = str(store).replace("\u202e", "\\u202e")
    await fill(store)
    async with inspecting(store) as inspector, browsing(browser, inspector.url) as tabs:
        page = await tabs.visit("", viewport={"width": width, "height": 900}, color_scheme=scheme)
        await expect(page).to_have_title(f"{shown} · Inspector · sessionstream")
        await expect(page.locator(".store")).to_have_text(shown)
        await expect(page.locator("#session-table tbody tr")).to_have_count(2)
        assert await fits(page)
        assert await violations(page) == []
        await inspector.end()
        problem = page.locator("#problem")
        await expect(problem).to_have_text("sessionstream inspect does not answer. Is it still running?")
        assert not_the_servers(tabs.faults) == []


async def test_a_session_and_its_log_are_of_one_moment(browser: Browser, tmp_path: Path) -> None:
    store = tmp_path / "app.db"
    await write(store, "one two")

    async def written_meanwhile(route: Route) -> None:
        answer = await route.fetch()
        await write(store, "three")
        await route.fulfill(response=answer)

    async with inspecting(store) as inspector, browsing(browser, inspector.url) as tabs:
        page = await tabs.visit("")
        await expect(rows(page, "session")).to_have_count(1)
        await page.get_by_label("Live").uncheck()
        await page.route("**/api/inspector/session?*", written_meanwhile, times=1)
        await page.get_by_role("link", name="notes").click()
        await expect(page.locator("#log-title .count")).to_have_text("7")
        await expect(page.locator("#standing dd").first).to_have_text("7")
        assert tabs.faults == []
