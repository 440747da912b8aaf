"""Phase 5 as somebody uses it: the backend goes and comes back under an open page; every control, every check."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from ..pairs import pairs
from ..systemlab.process import ServedLab
from .chromium import Tabs
from .lab import (
    act,
    all_passed,
    button,
    expect_verdict,
    fact,
    fits,
    kill_between_answers,
    not_early,
    reset,
)

OF_MEMORY = ("events-kept", "entities-kept", "cursors-kept", "errors-kept", "ordinals-continue", "once")
"""What is lost with a memory store, and red where one lingers."""


def faults(tabs: Tabs) -> list[str]:
    return not_early(tabs.faults)


async def live(page: Page) -> None:
    await expect(page.locator("#live .connection")).to_have_text("Live")


async def held(page: Page, *texts: str) -> None:
    await expect(page.locator(".notes li")).to_have_text(list(texts))


async def use(page: Page, how: str = "ended") -> None:
    """Press what lets every check be judged."""
    await live(page)
    await act(page, "seed", text="before", notes=1, trouble=True)
    await act(page, "restart", how=how, meanwhile=1)
    await act(page, "repeat")
    await live(page)


async def test_every_control_is_pressed_and_every_claim_holds(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/5")
    await expect(page.get_by_text("No note yet. Write one.")).to_be_visible()
    await use(page)
    await expect(page.locator(".connection:visible")).to_have_count(1)  # one client, and one state of it
    await all_passed(page)
    await held(page, "before trouble", "while you were away")
    await use(page, "killed")
    await all_passed(page)
    await held(page, "before trouble", "while you were away", "before trouble", "while you were away")
    await fact(page, "Restarts", "2")
    kept = page.locator('[data-id="kept"] tbody tr').first
    await expect(kept).to_contain_text("the same as before")
    await act(page, "look", ordinal="2")
    earlier = page.locator('[data-id="earlier"]')
    await expect(earlier.get_by_role("heading")).to_contain_text("Timeline right after event 2")
    await expect(earlier.locator("tbody tr")).to_have_count(1)
    await act(page, "replay")
    await expect(page.locator('[data-id="replay"]')).to_be_visible()
    await all_passed(page)
    await button(page, "Disconnect this page").click()
    await expect_verdict(page, "client-converges", "waiting")
    await act(page, "seed", text="unseen", notes=1, trouble=False)
    await button(page, "Connect this page").click()
    await live(page)
    await expect(page.locator(".notes li").last).to_have_text("unseen")
    await all_passed(page)
    assert faults(lab_tabs) == []


async def test_a_memory_store_loses_everything_and_the_page_says_so(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/5")
    await act(page, "choose", store="memory")
    await fact(page, "Store", "memory")
    await use(page)
    await all_passed(page)
    await held(page, "while you were away", "before trouble")
    kept = page.locator('[data-id="kept"] tbody tr').first
    await expect(kept).to_contain_text("4 events before, none now, as it has to be")
    await act(page, "choose", store="sqlite")
    await expect(page.locator("#tally")).to_have_text("8 waiting")
    assert faults(lab_tabs) == []


async def test_every_claim_that_a_memory_store_loses_turns_red_too(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/5")
    await act(page, "choose", store="memory")
    await act(page, "break", promise="lingers")
    await use(page)
    for check in OF_MEMORY:
        await expect_verdict(page, check, "failed")
    await expect(page.locator('[data-id="kept"]')).to_contain_text("though a memory store ends with its process")
    await reset(page)
    await act(page, "choose", store="memory")
    await use(page)
    await all_passed(page)
    assert faults(lab_tabs) == []


async def test_two_tabs_converge_over_a_restart(lab_tabs: Tabs) -> None:
    first, second = await lab_tabs.visit("phases/5"), await lab_tabs.visit("phases/5")
    await use(first)
    for page in (first, second):
        await held(page, "before trouble", "while you were away")
        await all_passed(page)
    await expect(first.locator('[data-id="folds"] tbody tr')).to_have_count(2)
    assert faults(lab_tabs) == []


async def test_a_lab_that_is_killed_and_started_again_is_found_again(lab: ServedLab, own_tabs: Tabs) -> None:
    page = await own_tabs.visit("phases/5")
    await live(page)
    await act(page, "seed", text="of another lab", notes=1)
    await held(page, "of another lab")
    await kill_between_answers(lab, own_tabs, page)
    await expect(page.locator("#live .connection")).to_have_text("Reconnecting")
    await lab.start()
    await live(page)
    await expect(page.get_by_text("No note yet. Write one.")).to_be_visible()
    await use(page)
    await all_passed(page)
    assert faults(own_tabs) == []


@pytest.mark.parametrize(("width", "scheme"), pairs([360, 1440], ["dark", "light"]))
async def test_it_fits(lab_tabs: Tabs, width: int, scheme: str) -> None:
    page = await lab_tabs.visit("phases/5", viewport={"width": width, "height": 800}, color_scheme=scheme)
    await live(page)
    assert await fits(page)
    await act(page, "seed", text="x" * 120, notes="8")
    await use(page)
    await all_passed(page)
    assert await fits(page)
