"""Phase 4 as somebody uses it: a chat beside its timeline, every control, every check red and green again."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from ..pairs import pairs
from ..systemlab.process import ServedLab
from .chromium import Tabs
from .lab import act, all_passed, button, expect_verdict, fits, not_the_servers, reset


async def status(page: Page, side: str, number: int, words: str) -> None:
    """Wait until an answer is so, live or in the store."""
    answer = page.locator(f'[data-side="{side}"] [data-id="chat-msg-{number}"]')
    await expect(answer).to_have_attribute("data-status", words)


async def shown(page: Page, side: str) -> list[str]:
    return await page.locator(f'[data-side="{side}"] .message').all_inner_texts()


async def state(page: Page, words: str) -> None:
    await expect(page.locator("#live .connection")).to_have_text(words)


async def stream(page: Page, number: int) -> None:
    """Begin an answer that takes long enough for whatever is to be done meanwhile."""
    await act(page, "stream", sentences="7")
    await status(page, "live", number, "streaming")


async def all_right(page: Page, number: int = 1) -> None:
    """Do what shows every promise kept: ask twice at once, stream, stop."""
    await act(page, "send", prompt="Explain ordinals", twice=True)
    await status(page, "live", number, "finished")
    await stream(page, number + 1)
    await act(page, "stop")
    await status(page, "live", number + 1, "stopped")
    await all_passed(page)


async def test_every_control_is_pressed_and_every_promise_kept(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/4")
    await state(page, "Live")
    await expect(page.locator('[data-side="live"] .empty')).to_be_visible()
    await all_right(page)
    await stream(page, 3)
    await button(page, "Disconnect this page").click()
    await state(page, "Disconnected")
    await button(page, "Connect this page").click()
    await state(page, "Live")
    await act(page, "drop")
    await state(page, "Live")
    await status(page, "live", 3, "finished")
    await stream(page, 4)
    await act(page, "stop")
    await status(page, "live", 4, "stopped")
    await status(page, "store", 4, "stopped")
    await all_passed(page)
    assert await shown(page, "live") == await shown(page, "store")
    await page.get_by_text("Frames sent and received").click()
    await expect(page.locator(".said .frames")).to_contain_text("since")
    assert lab_tabs.faults == []


async def test_a_page_that_loses_messages_does_not_match_the_timeline(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/4")
    await state(page, "Live")
    await act(page, "break", breach="drop")
    await state(page, "Live")
    for number, last in (
        (1, "finished"),
        (2, "finished"),
        (3, "streaming"),
    ):  # four live events each; the ninth is lost
        await act(page, "send", prompt="12", twice=False)
        await status(page, "live", number, last)
        await status(page, "store", number, "finished")
    await expect_verdict(page, "matches", "failed")
    await reset(page)
    await state(page, "Live")
    await all_right(page)


async def test_two_tabs_converge(lab_tabs: Tabs) -> None:
    first, second = await lab_tabs.visit("phases/4"), await lab_tabs.visit("phases/4")
    await button(second, "Disconnect this page").click()
    await state(first, "Live")
    await stream(first, 1)
    await button(second, "Connect this page").click()  # in the middle of an answer
    await status(second, "live", 1, "streaming")
    await act(second, "send", prompt="Something else")  # which ends what is running
    for page in (first, second):
        await status(page, "live", 1, "stopped")
        await status(page, "live", 2, "finished")
        await expect_verdict(page, "matches", "passed")
    assert await shown(first, "live") == await shown(second, "live")
    assert lab_tabs.faults == []


async def test_a_lab_that_ends_stops_its_answers_and_is_found_again(lab: ServedLab, own_tabs: Tabs) -> None:
    page = await own_tabs.visit("phases/4")
    await state(page, "Live")
    await stream(page, 1)
    await lab.end()
    await status(page, "live", 1, "stopped")
    await state(page, "Reconnecting")
    await expect(page.locator("#problem")).to_have_text("The lab does not answer. Is it still running?")
    await lab.start()
    await state(page, "Live")
    await expect(page.locator("#problem")).to_be_hidden()
    assert await shown(page, "live") == []  # another lab
    await all_right(page)
    assert not_the_servers(own_tabs.faults) == []


@pytest.mark.parametrize(("width", "scheme"), pairs([360, 1440], ["dark", "light"]))
async def test_it_fits(lab_tabs: Tabs, width: int, scheme: str) -> None:
    page = await lab_tabs.visit("phases/4", viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert await fits(page)
    await act(page, "send", prompt="x" * 300)
    await expect(page.locator('[data-side="live"] .message')).to_have_count(2)
    assert await fits(page)
