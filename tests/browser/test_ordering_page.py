"""Phase 2 as somebody uses it: every control, every check red and green again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from ..pairs import pairs
from .chromium import Tabs
from .lab import act, all_passed, fact, fits, press, problem


def rows(page: Page, panel: str) -> Locator:
    return page.locator(f'[data-id="{panel}"] tbody tr')


async def cells(page: Page, panel: str, column: int) -> list[str]:
    return await rows(page, panel).locator(f"td:nth-child({column})").all_inner_texts()


async def use(page: Page) -> None:
    """Press what lets every check be judged."""
    await act(page, "burst", ids="derived", twice=True)
    await act(page, "restart", meanwhile=6)
    await act(page, "burst", ids="missing", twice=False)


async def test_every_control_is_pressed_and_every_promise_kept(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    await expect(page.locator("#tally")).to_have_text("8 waiting")
    await act(page, "burst", session="a", second="", events="2", ids="missing")
    await act(page, "burst", session="a", second="", events="2", ids="swapped")
    assert await cells(page, "ordinals", 3) == ["0"] * 4
    assert await cells(page, "ordinals", 4) == ["1", "2", "1700000000002000000", "1700000000002000001"]
    assert await cells(page, "ordinals", 5) == ["cursor + 1", "cursor + 1", "stream id", "cursor + 1"]
    assert await cells(page, "ordinals", 6) == ["none", "none", "1700000000002-0", "1700000000001-0"]
    assert await cells(page, "ordinals", 7) == ["none", "none", "1700000000002000000", "1700000000001000000"]
    for kind in ("invalid", "repeated"):
        await act(page, "burst", session="b", second="", events="5", ids=kind)
    await use(page)
    await all_passed(page)
    await fact(page, "Restarts", "1")
    await expect(page.locator('[data-id="log-2"] tbody tr').last).to_contain_text("NoteFinished")
    assert set(await cells(page, "history", 6)) == {"done"}
    assert lab_tabs.faults == []


async def test_what_a_field_does_not_take_is_said_beside_it(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    await press(page, "burst", events=0)
    assert await problem(page, "burst") == "Events for each (events) is a whole number from 1 to 200, not 0"


async def test_exports_say_what_the_page_says(lab_tabs: Tabs, tmp_path: Path) -> None:
    page = await lab_tabs.visit("phases/2")
    await use(page)
    await all_passed(page)
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Export JSON").click()
    download = await started.value
    await download.save_as(tmp_path / "export.json")
    exported = json.loads((tmp_path / "export.json").read_text(encoding="utf-8"))
    assert {check["verdict"] for check in exported["checks"]} == {"passed"}
    table = next(panel for panel in exported["panels"] if panel["id"] == "ordinals")
    assert [str(row[3]) for row in table["rows"]] == await cells(page, "ordinals", 4)


async def test_another_tab_sees_it(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    other = await page.context.new_page()
    await other.goto(page.url)
    await act(page, "burst", events=3)
    await expect(rows(other, "ordinals")).to_have_count(6)


@pytest.mark.parametrize(("width", "scheme"), pairs([360, 1440], ["dark", "light"]))
async def test_it_fits(lab_tabs: Tabs, width: int, scheme: str) -> None:
    page = await lab_tabs.visit("phases/2", viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert await fits(page)
    await use(page)
    await all_passed(page)
    assert await fits(page)
