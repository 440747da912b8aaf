"""Phase 2 as somebody uses it: every control, every check red and green again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from ..pairs import pairs
from .axe import violations
from .chromium import Tabs
from .lab import act, all_passed, button, fact, fits, press, problem


def rows(page: Page, panel: str) -> Locator:
    return page.locator(f'[data-id="{panel}"] tbody tr')


async def cells(page: Page, panel: str, column: int) -> list[str]:
    return await rows(page, panel).locator(f"td:nth-child({column})").all_inner_texts()


def card(page: Page, client: str) -> Locator:
    return page.locator(f'[data-client="{client}"]')


def frames(page: Page, client: str, kind: str) -> Locator:
    return card(page, client).locator(f'.frames [data-kind="{kind}"] > span:last-child')


async def live(page: Page) -> None:
    for client in ("A", "B"):
        await expect(card(page, client).locator(".connection")).to_have_text("Live")


async def both_connected(page: Page) -> None:
    await button(page, "Connect and subscribe both").click()
    await live(page)


async def assigned(page: Page, session: str) -> list[str]:
    """Return the ordinals of a session's log."""
    both = zip(await cells(page, "ordinals", 2), await cells(page, "ordinals", 4), strict=True)
    return [ordinal for of, ordinal in both if of == session]


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


async def test_browsers_are_sent_each_assigned_ordinal_once(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    await both_connected(page)
    await act(page, "burst", events="4", ids="swapped", twice=True)
    for client, session in (("A", "a"), ("B", "b")):
        await expect(card(page, client)).to_contain_text(f"Session {session}")
        ordinals = await assigned(page, session)
        assert ordinals[0] > "1700000000000000000"  # above what a Number of JavaScript has exactly
        runs = [f"{first} to {first[:-1]}1 NoteUpdated" for first in ordinals[::2]]  # the second has cursor + 1
        await expect(frames(page, client, "live")).to_have_text(runs)
    await act(page, "restart", meanwhile="4")
    for client in ("A", "B"):
        await expect(frames(page, client, "hello")).to_have_count(2)  # before, "Live" is that of the old connection
    await live(page)
    for client, session in (("A", "a"), ("B", "b")):
        await expect(frames(page, client, "closed")).to_have_text("1012 retry-after=0")
        last = (await assigned(page, session))[-1]
        await expect(card(page, client)).to_contain_text(f"Holds 2 notes, at ordinal {last} of")
        await expect(card(page, client).locator(".notes li")).to_have_text(["word-1 word-2"] * 2)
    await all_passed(page)
    await act(page, "burst", session="b", second="", events="3", ids="missing")
    await expect(card(page, "A")).to_contain_text("Session b")
    last = (await assigned(page, "b"))[-1]
    await expect(frames(page, "A", "snapshot").last).to_contain_text(f"at {last}: ")
    await expect(frames(page, "B", "live").last).to_contain_text(last)
    assert lab_tabs.faults == []


async def test_the_lab_shows_the_frames_of_clients_that_have_just_connected(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    panel = page.locator('#panels [data-id="frames"]')
    await expect(panel).to_contain_text("No client is connected.")
    await both_connected(page)
    await expect(panel.locator("tbody tr")).not_to_have_count(0)
    await expect(panel).not_to_contain_text("No client is connected.")
    assert lab_tabs.faults == []


async def test_a_browser_gets_what_came_after_the_ordinal_that_was_typed(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    await act(page, "burst", events="4")
    typed = (await assigned(page, "b"))[-1]
    await act(page, "burst", events="3")
    await both_connected(page)
    await expect(frames(page, "B", "snapshot")).to_contain_text("everything, 2 of it")
    await card(page, "B").get_by_label("sinceSnapshotOrdinal").fill(typed)
    await button(card(page, "B"), "Disconnect").click()
    await button(card(page, "B"), "Connect").click()
    last = (await assigned(page, "b"))[-1]
    await expect(frames(page, "B", "subscribe")).to_have_text(["from nothing", f"since {typed}"])
    await expect(frames(page, "B", "snapshot").last).to_have_text(f"at {last}: 1 changed since {typed}")
    await live(page)
    await act(page, "burst", events="2")
    later = (await assigned(page, "b"))[-2:]
    await expect(frames(page, "B", "live")).to_have_text([f"{ordinal} NoteUpdated" for ordinal in later])
    await expect(card(page, "B").locator(".notes li")).to_have_count(3)
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
    await both_connected(page)
    await use(page)
    await all_passed(page)
    await live(page)
    assert await fits(page)
    await page.locator("main details").evaluate_all("all => all.forEach((each) => (each.open = true))")
    assert await fits(page)
    assert await violations(page) == []
