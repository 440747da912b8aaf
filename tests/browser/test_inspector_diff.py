"""What the inspector shows of the differences between two positions of a timeline."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from sessionstream import SQLiteStore
from sessionstream.testing import SessionWriter, put, sample_registry

from ..systemlab.web import inspecting
from .axe import violations
from .conftest import browsing
from .lab import fits


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
async def test_a_long_text_that_is_replaced_folds_on_both_sides(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    before, after = "b" * 140_000, "line\n" * 40
    async with SQLiteStore.open(tmp_path / "app.db", sample_registry()) as store:
        writer = SessionWriter(store, "s")
        for text in (before, after):
            await writer.log(put("a", text))
    async with inspecting(tmp_path / "app.db") as inspector, browsing(browser, inspector.url) as tabs:
        page = await tabs.visit("#session=s", viewport={"width": width, "height": 900}, color_scheme=scheme)
        sides = page.locator("#diff dd details")
        await expect(sides).to_have_count(2)
        assert await page.locator("#diff").evaluate("element => element.offsetHeight") < 400
        assert await violations(page) == []
        for side, mark, text in ((0, "del", before), (1, "ins", after)):
            await sides.nth(side).locator("summary").click()
            await expect(sides.nth(side).locator(mark)).to_have_text(text, use_inner_text=True)
        assert await fits(page)
        assert await violations(page) == []
        assert tabs.faults == []


async def test_what_is_unfolded_stays_so_while_events_arrive_after_it(browser: Browser, tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "app.db", sample_registry()) as store:
        writer = SessionWriter(store, "s")
        for text in ("a" * 700, "b" * 700):
            await writer.log(put("a", text))
        async with inspecting(tmp_path / "app.db") as inspector, browsing(browser, inspector.url) as tabs:
            page = await tabs.visit("#session=s&at=2")
            sides = page.locator("#diff dd details")
            await sides.first.locator("summary").click()
            await writer.log(put("b", "another"))
            await expect(page.locator("#standing dd").first).to_have_text("3")
            await expect(page.locator("#at-label")).to_contain_text("event 2")
            assert await sides.evaluate_all("all => all.map(({ open }) => open)") == [True, False]
            await page.locator("#later").click()
            await expect(page.locator("#diff [data-change=added]")).to_have_count(1)
            await expect(sides).to_have_count(0)
            assert tabs.faults == []
