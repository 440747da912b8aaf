"""Phase 3 as somebody uses it: two clients in one page, every control, every check red and green again."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

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
    not_the_servers,
    reset,
)


def card(page: Page, client: str) -> Locator:
    return page.locator(f'[data-client="{client}"]')


async def state(page: Page, client: str, words: str) -> None:
    await expect(card(page, client).locator(".connection")).to_have_text(words)


async def live(page: Page) -> None:
    for client in ("A", "B"):
        await state(page, client, "Live")


async def notes(page: Page, client: str) -> list[str]:
    return await card(page, client).locator(".notes li").all_inner_texts()


async def frames(page: Page, client: str) -> list[str]:
    return await card(page, client).locator(".frames .kind").all_inner_texts()


async def both_connected(page: Page) -> None:
    await button(page, "Connect and subscribe both").click()
    await live(page)


async def all_right(page: Page) -> None:
    """Do what shows every promise kept: write, come back, remove, write."""
    await act(page, "add")
    await act(page, "hydrate", notes="1")  # now they hold a snapshot that a delta can start from
    await button(card(page, "B"), "Disconnect").click()
    await act(page, "add", notes="2", text="while nobody looked")
    await button(card(page, "B"), "Connect").click()
    await live(page)
    await act(page, "remove")
    await all_passed(page)


async def test_every_control_is_pressed_and_every_promise_kept(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/3")
    await state(page, "A", "Not connected")
    await act(page, "add", text="before anybody came", notes="2")
    await button(card(page, "A"), "Connect").click()
    await state(page, "A", "Connected")
    await button(card(page, "A"), "Subscribe").click()
    await state(page, "A", "Live")
    await expect(card(page, "A").locator(".notes li")).to_have_text(["before anybody came"] * 2)
    await both_connected(page)
    await act(page, "hydrate", notes="3")
    await expect(card(page, "A").locator(".notes li")).to_have_count(5)
    assert await frames(page, "A") == ["hello", "subscribe", "snapshot", "subscribed", "snapshot", "live"]

    await button(card(page, "B"), "Unsubscribe").click()
    await expect(card(page, "B").get_by_text("Holds nothing")).to_be_visible()
    await act(page, "hold")
    await fact(page, "Snapshots held back", "0")
    await button(card(page, "B"), "Subscribe").click()
    await state(page, "B", "Waiting for its snapshot")
    await act(page, "add", text="held back", notes="1")
    await act(page, "release")
    await live(page)

    await button(card(page, "B"), "Disconnect").click()
    await state(page, "B", "Disconnected")
    await act(page, "remove")
    await act(page, "rebuild")
    await button(card(page, "B"), "Connect").click()
    await live(page)
    await act(page, "drop")
    await expect(card(page, "A").locator(".frames")).to_contain_text("1012 retry-after=0")
    await live(page)
    await act(page, "add", text="and live again", notes="1")
    await expect(card(page, "A").locator(".notes li").last).to_have_text("and live again")
    await all_passed(page)
    assert await notes(page, "A") == await notes(page, "B")
    assert lab_tabs.faults == []


async def test_who_loses_events_does_not_converge(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/3")
    await both_connected(page)
    await act(page, "break", breach="drop")
    await live(page)
    await act(page, "add", text="one two three four", notes="2")  # the end of each note is lost
    await act(page, "add", text="one", notes="1")
    await expect_verdict(page, "converged", "failed")
    await reset(page)
    await live(page)
    await all_right(page)


async def test_two_tabs_converge(lab_tabs: Tabs) -> None:
    first, second = await lab_tabs.visit("phases/3"), await lab_tabs.visit("phases/3")
    await both_connected(first)
    await act(first, "add", notes="3")
    await both_connected(second)
    await act(second, "remove")
    await expect(card(first, "B").locator(".notes li")).to_have_count(2)
    for page in (first, second):
        await expect_verdict(page, "converged", "passed")
    told = first.locator('[data-id="folds"] tbody tr')
    await expect(told).to_have_count(4)
    assert await notes(first, "A") == await notes(second, "B")
    assert lab_tabs.faults == []


async def test_a_lab_that_is_started_again_is_found_again(lab: ServedLab, own_tabs: Tabs) -> None:
    page = await own_tabs.visit("phases/3")
    await both_connected(page)
    await act(page, "add")
    await kill_between_answers(lab, own_tabs, page)
    await state(page, "A", "Reconnecting")
    await lab.start()
    await live(page)
    await expect(card(page, "A").get_by_text("Holds nothing")).to_be_hidden()
    assert await notes(page, "A") == []  # another lab, another store, another epoch: what was held is gone
    await all_right(page)
    assert not_the_servers(own_tabs.faults) == []


@pytest.mark.parametrize(("width", "scheme"), pairs([360, 1440], ["dark", "light"]))
async def test_it_fits(lab_tabs: Tabs, width: int, scheme: str) -> None:
    page = await lab_tabs.visit("phases/3", viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert await fits(page)
    await both_connected(page)
    await act(page, "add", text="x" * 120, notes="8")
    await expect(card(page, "A").locator(".notes li")).to_have_count(8)
    assert await fits(page)
