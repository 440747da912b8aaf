"""Sessions and ordinals that a reader types: used where they are valid, refused in words where they are not."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from .axe import violations
from .chromium import Tabs
from .lab import act, button, fact, fits, not_the_servers, press, problem, reset

ODD = "тест/42 🙂"
"""A valid id that no address and no style sheet would take as it is."""


WRITE = {3: ("add", "text"), 4: ("send", "prompt"), 5: ("seed", "text")}
"""How each phase writes: an action, and its field for the text."""


@pytest.mark.parametrize("number", WRITE)
async def test_a_page_goes_on_with_the_session_that_was_typed(lab_tabs: Tabs, number: int) -> None:
    page = await lab_tabs.visit(f"phases/{number}")
    if number == 3:
        await button(page, "Connect and subscribe both").click()
    await expect(page.locator("#live .connection").first).to_have_text("Live")
    action, field = WRITE[number]
    await act(page, action)
    held = page.locator("#live").get_by_text("of another")
    await act(page, "session", session=ODD)
    await act(page, action, **{field: "of another"})
    await expect(held.first).to_be_visible()
    await fact(page, "Session", ODD)
    await expect(page.locator(".check[data-verdict=failed]")).to_have_count(0)
    await press(page, "session", session=" ")
    assert await problem(page, "session") == "session id ' ' is not usable: it is empty"
    await expect(held.first).to_be_visible()
    assert await fits(page)
    await act(page, "session", session=("notebook", "chat", "persistence")[number - 3])
    await expect(held).to_have_count(0)
    assert not_the_servers(lab_tabs.faults) == []


async def test_every_action_of_phase_1_is_of_the_session_that_was_typed(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    await act(page, "submit", prompt="of the first")
    await act(page, "session", session=ODD)
    await act(page, "submit", prompt="of another")
    await act(page, "remove")
    await fact(page, "Session", ODD)
    await fact(page, "Events", "5")
    await page.reload()
    await expect(page.get_by_label("Session", exact=True)).to_have_value(ODD)
    assert lab_tabs.faults == []


async def test_two_sessions_of_any_name_travel_over_the_bus(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    await button(page, "Connect and subscribe both").click()
    await act(page, "burst", session=ODD, second="b")
    client = page.locator('[data-client="A"]')
    await expect(client).to_contain_text(f"Session {ODD}")
    await expect(client.locator(".notes li")).to_have_text(["word-1 word-2 word-3 word-4"])
    await fact(page, f"Events in {ODD}", "6")
    await fact(page, "Events in b", "6")
    for session, second, words in (
        (" ", "b", "session id ' ' is not usable: it is empty"),
        ("b", "b", "both sessions are 'b': name two, or leave the second empty"),
        ("é" * 600, "", "it has 1200 bytes of UTF-8, and at most 1024 fit"),
    ):
        await press(page, "burst", session=session, second=second)
        assert words in await problem(page, "burst")
    for new in ("c", "d", "e"):
        await act(page, "burst", session=new, second="")
    await press(page, "burst", session="f", second="")
    assert "6 sessions are the maximum: use a, b," in await problem(page, "burst")
    await act(page, "burst", session="e", second=ODD)
    await reset(page)
    long = "x" * 300
    await act(page, "burst", session=long, second="")
    await fact(page, f"Events in {long[:39]}…", "6")
    await expect(page.locator('[data-id="log-3"] h3')).to_have_text(f"Event log of session {long[:39]}… 6")
    await expect(page.locator(".check[data-verdict=failed]")).to_have_count(0)


@pytest.mark.parametrize("number", [2, *WRITE])
async def test_a_client_subscribes_with_the_ordinal_that_was_typed(lab_tabs: Tabs, number: int) -> None:
    page = await lab_tabs.visit(f"phases/{number}")
    state, buttons = page.locator("#live .connection").last, page.locator("#live").get_by_role("button")
    since, alert = (
        page.get_by_label("sinceSnapshotOrdinal").last,
        page.locator("#live .field").last.get_by_role("alert"),
    )
    asked = page.locator('#live .frames [data-kind="subscribe"]').last
    if number in (2, 3):
        await button(page, "Connect and subscribe both").click()
    await expect(state).to_have_text("Live")
    await expect(since).to_have_attribute("placeholder", "from nothing")
    write = WRITE[number][0] if number in WRITE else "burst"
    await act(page, write)
    await expect(page.locator('#live .frames [data-kind="live"]').last).to_be_attached()
    for words in ("-1", "x", str(2**64)):
        await since.fill(words)
        await since.blur()
        await expect(alert).to_contain_text(f"or empty, not “{words}”")
    await buttons.filter(has_text="Disconnect").last.click()
    await buttons.filter(has_text=re.compile("^Connect")).last.click()
    await expect(since).to_be_focused()  # and nothing else happens
    await expect(state).to_have_text("Disconnected")
    await since.fill("")
    await buttons.filter(has_text=re.compile("^Connect")).last.click()
    await expect(state).to_have_text("Live")
    for ordinal in ("2", "4000000000"):  # of less than it holds it gets what changed, of more than there is everything
        await since.fill(ordinal)
        await since.blur()
        await expect(alert).to_be_hidden()
        await buttons.filter(has_text="Disconnect").last.click()
        await buttons.filter(has_text=re.compile("^Connect")).last.click()
        await expect(asked).to_contain_text(f"since {ordinal}")
        await expect(since).to_have_value("")  # the next time it says again what it holds
        await expect(state).to_have_text("Live")
    await act(page, write)  # live events belong to no snapshot: it is not their ordinal that is said
    said = await since.get_attribute("placeholder")
    await buttons.filter(has_text="Disconnect").last.click()
    await buttons.filter(has_text=re.compile("^Connect")).last.click()
    await expect(asked).to_have_text(re.compile(f"since {said}$"))
    await expect(state).to_have_text("Live")
    await expect(page.locator(".check[data-verdict=failed]")).to_have_count(0)
    assert await fits(page)
    assert not_the_servers(lab_tabs.faults) == []


async def test_a_client_without_an_epoch_says_that_it_gets_everything(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/3")
    card = page.locator('[data-client="B"]')
    since, hint = card.get_by_label("sinceSnapshotOrdinal"), card.locator(".hint")
    nothing = "It holds no epoch: whatever it says, it gets everything."
    await expect(hint).to_have_text(nothing)
    await button(page, "Connect and subscribe both").click()
    await expect(hint).to_have_text("Said when it subscribes next, once. Empty: that of its last snapshot.")
    await button(card, "Unsubscribe").click()
    await expect(hint).to_have_text(nothing)
    await since.fill("x")
    await button(card, "Subscribe").click()
    await expect(since).to_be_focused()
    await expect(button(card, "Unsubscribe")).to_have_count(0)
    await button(page, "Connect and subscribe both").click()
    await expect(button(card, "Unsubscribe")).to_have_count(0)
    assert await violations(page) == []
    await since.fill("3")
    await button(card, "Subscribe").click()
    await expect(card.locator('.frames [data-kind="snapshot"]').last).to_contain_text("everything")
    await expect(card.locator('.frames [data-kind="subscribe"]')).to_have_count(2)
    assert lab_tabs.faults == []
