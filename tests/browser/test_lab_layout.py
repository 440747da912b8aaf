"""Cause and effect on one screen: what is pressed, and the checks that change, without scrolling."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from sessionstream.systemlab.phases import PHASES

from .axe import violations
from .chromium import Tabs
from .lab import act, button, expect_verdict, fill, fits, form, reset, verdicts

CHANGED_BY_THE_FIRST_BUTTON = (1, 2, 4)
"""Phases whose first button changes checks; those of phase 0 have run already, and the others need two buttons."""

AGREE = """[...document.querySelectorAll(".check")].every(
    ({ id, dataset }) => document.querySelector(`#dots [href="#${id}"]`).dataset.verdict === dataset.verdict
)"""
BELOW_THE_STRIP = """check =>
    check.getBoundingClientRect().top >= document.getElementById("strip").getBoundingClientRect().bottom"""


async def press_the_first_button(page: Page, number: int) -> None:
    """Press the button that the page offers first: it is in view before and after, and nothing was scrolled."""
    before = await verdicts(page)
    name = await page.locator("form[data-action]").first.get_attribute("data-action")
    assert name is not None
    pressed = form(page, name).locator("button")
    await expect(pressed).to_be_in_viewport(ratio=1)
    await act(page, name)
    if number in CHANGED_BY_THE_FIRST_BUTTON:
        assert await verdicts(page) != before
    await expect(pressed).to_be_in_viewport(ratio=1)
    assert await page.evaluate("window.scrollY") == 0
    assert await fits(page)


async def test_a_button_and_the_checks_that_it_changes_are_in_view_at_once(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("", viewport={"width": 1440, "height": 900})
    for number in range(len(PHASES)):
        await page.goto(f"{lab_tabs.url}phases/{number}")
        await press_the_first_button(page, number)
        for check in await page.locator(".check").all():
            await expect(check).to_be_in_viewport(ratio=1)


async def test_on_a_phone_the_strip_shows_what_changes(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("", viewport={"width": 360, "height": 740})
    for number in range(len(PHASES)):
        await page.goto(f"{lab_tabs.url}phases/{number}")
        await press_the_first_button(page, number)
        dots = page.locator("#dots a")
        for dot in await dots.all():
            await expect(dot).to_be_in_viewport(ratio=1)
            await expect(dot).to_have_accessible_name(re.compile(r"[a-z ]+ (passed|failed|held|waiting)$"))
        assert await page.evaluate(AGREE)
        await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        await expect(page.locator("#strip")).to_be_in_viewport(ratio=1)
        await dots.last.click()  # the checks are folded, and are unfolded for it
        await expect(page.locator(".check").last).to_be_in_viewport()
        assert await page.locator(".check").last.evaluate(BELOW_THE_STRIP)


@pytest.mark.parametrize("number", [2, 3])
async def test_clients_are_connected_on_one_screen_with_what_they_are_connected_for(
    lab_tabs: Tabs, number: int
) -> None:
    page = await lab_tabs.visit(f"phases/{number}", viewport={"width": 1440, "height": 900})
    both = button(page, "Connect and subscribe both")
    first = page.locator("form[data-action] button").first
    await both.click()
    await first.click()
    for each in (both, first, page.locator(".check").last):
        await expect(each).to_be_in_viewport(ratio=1)
    await expect(page.locator("#live .connection").last).to_have_text("Live")
    assert await page.evaluate("window.scrollY") == 0
    assert await violations(page) == []


async def test_a_check_that_is_read_keeps_focus_and_scroll_when_it_turns_red(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    await act(page, "burst")
    item = page.locator("#check-rising")
    data = item.locator("pre")
    await expect(item).to_have_attribute("data-verdict", "passed")
    await item.locator("summary").click()
    await data.evaluate("element => (element.style.maxHeight = '4rem')")
    await fill(page, "break", promise="backwards")
    await data.focus()
    assert await data.evaluate("element => (element.scrollTop = 30, element.scrollTop)") == 30
    await form(page, "break").evaluate("form => form.requestSubmit()")  # which moves no focus
    await expect_verdict(page, "rising", "failed")
    await expect(page.locator(".check").first).to_have_attribute("data-id", "rising")
    await expect(data).to_be_focused()
    assert await data.evaluate("element => element.scrollTop") == 30


async def test_a_check_that_turns_red_comes_first_and_is_in_view(lab_tabs: Tabs) -> None:
    """Phase 4 has the most checks, and what is broken stands above them."""
    page = await lab_tabs.visit("phases/4", viewport={"width": 1440, "height": 900})
    rows, state = page.locator(".check"), page.locator("#live .connection")
    last = str(await rows.last.get_attribute("data-id"))
    await expect(state).to_have_text("Live")
    greetings = page.locator('#live .frames [data-kind="hello"]')
    before = await greetings.count()
    await act(page, "break", breach="hasty")
    await expect(greetings).to_have_count(before + 1)  # before, "Live" is that of the old connection
    await expect(state).to_have_text("Live")
    await act(page, "send")
    await expect_verdict(page, last, "failed")
    await expect(rows.first).to_have_attribute("data-id", last)
    await expect(rows.first).to_be_in_viewport(ratio=1)
    assert await page.evaluate("window.scrollY") == 0
    await expect(page.locator("#dots a").last).to_have_attribute("data-verdict", "failed")  # where it was
    await reset(page)
    await expect(rows.last).to_have_attribute("data-id", last)
