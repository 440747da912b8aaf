"""Every break turns its check red by pressing only what the page says, as a reader does who knows nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from sessionstream.systemlab.phases import PHASES

from .axe import violations
from .chromium import Tabs
from .lab import act, actions, broken, button, expect_verdict, fill, fits, form, not_early, reset, verdicts

SETTINGS = re.compile("(tick|untick|set) “(.+?)”(?: to “(.+?)”)?, ")
AWAY = re.compile("^(Connecting|Reconnecting|Connected)$")
"""What a client says while it is not there yet."""


async def follow(page: Page, words: str) -> None:
    """Do what a sentence of the guide says."""
    [label] = re.findall("press “(.+?)”", words)
    pressed = button(page, label)
    place = page.locator("form").filter(has=pressed)
    for verb, field, value in SETTINGS.findall(words):
        found = place.get_by_label(field, exact=True)
        if verb != "set":
            await found.set_checked(verb == "tick")
        elif await found.get_attribute("data-kind") == "choice":
            await found.select_option(label=value)
        else:
            await found.fill(value)
    await pressed.click()
    await expect(pressed).not_to_have_attribute("aria-busy", "true")


async def settled(page: Page) -> None:
    """Wait until the clients of the page are where they belong, as a reader waits."""
    for state in await page.locator("#live .connection").all():
        await expect(state).not_to_have_text(AWAY)


async def to_the_end(page: Page, guide: Locator) -> str:
    """Follow the guide until it asks for nothing; return the check that it named."""
    words = await guide.inner_text()
    while "Next" in words:
        await settled(page)
        await follow(page, words)
        await expect(guide).not_to_have_text(words)
        words = await guide.inner_text()
    [check] = re.findall("“(.+?)” has turned red.", words)
    return str(check)


FIRST_BREAKS = {0: 2, 3: 4, 4: 4, 5: 4}
"""How many breaks of a phase `make test` tries where all of them take long."""


@pytest.mark.parametrize(
    ("number", "some"),
    [
        *((number, FIRST_BREAKS.get(number)) for number in range(len(PHASES))),
        *(pytest.param(number, None, marks=pytest.mark.torture) for number in FIRST_BREAKS),
    ],
)
async def test_whoever_presses_what_the_page_says_sees_the_check_turn_red(
    lab_tabs: Tabs, number: int, some: int | None, tmp_path: Path
) -> None:
    """In phase 0 there is nothing to press, and each break takes two processes."""
    page = await lab_tabs.visit(f"phases/{number}", viewport={"width": 1440, "height": 900})
    guide = page.locator("#guide")
    breaks = PHASES[number](tmp_path).breaks()
    [field] = (await actions(page))["break"]
    for name, each in list(breaks.items())[:some]:
        await settled(page)
        live = await page.locator("#live .connection", has_text=re.compile("^Live$")).count()
        greetings = page.locator('#live .frames [data-kind="hello"]')
        before = await greetings.count()
        await act(page, "break", **{field["name"]: name})
        await broken(page, each.label)
        if live and number in (2, 3, 4):  # until then, "Live" is that of the old connection
            await expect(greetings.nth(before + live - 1)).to_be_attached()
        check = await to_the_end(page, guide)
        assert check == each.check.replace("-", " "), name
        await expect_verdict(page, each.check, "failed")
        if number != 0:  # where each break runs all checks anew
            await reset(page)
    await reset(page)
    await broken(page, "")
    await expect(guide).to_be_empty()
    assert "failed" not in set((await verdicts(page)).values())
    assert not_early(lab_tabs.faults) == []


async def test_the_guide_points_at_the_button_and_at_the_check(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2", viewport={"width": 360, "height": 740})
    await act(page, "break", promise="renames")
    guide, next_button = page.locator("#guide"), form(page, "burst").locator("button")
    await expect(guide).to_have_text(
        "Next: tick “Deliver each message twice”, press “Send a burst”; then “once” turns red."
    )
    await expect(guide).to_be_in_viewport(ratio=1)
    await expect(page.locator("[data-next]")).to_have_count(3)  # the button, the check, and its dot
    await expect(next_button).to_have_attribute("data-next", "")
    await expect(page.locator("#check-once")).to_have_attribute("data-next", "")
    assert await fits(page)
    assert await violations(page) == []
    await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    await guide.get_by_role("button").click()
    await expect(next_button).to_be_in_viewport(ratio=1)
    await expect(next_button).to_be_focused()
    await act(page, "burst")  # without what was to be ticked, nothing is delivered twice
    await expect(guide).to_contain_text("press “Send a burst”")
    await fill(page, "burst", twice=True)
    await expect(guide).to_have_text("Next: press “Send a burst”; then “once” turns red.")
    await act(page, "burst")
    await expect(guide).to_have_text("“once” has turned red.")
    await expect(page.locator("[data-next]")).to_have_count(0)
    await guide.get_by_role("link").click()
    await expect(page.locator("#check-once")).to_be_in_viewport()


async def test_a_page_that_is_opened_while_a_promise_is_broken_has_its_guide_and_its_clients(lab_tabs: Tabs) -> None:
    """The guide names a button that the phase's own script makes, after the first answer is shown."""
    page = await lab_tabs.visit("phases/3")
    await act(page, "break", breach="drop")
    words = page.locator("#guide")
    await expect(words).to_contain_text("press “Connect and subscribe both”")
    said = await words.inner_text()
    await page.reload()
    await expect(words).to_have_text(said)
    both = button(page, "Connect and subscribe both")
    await expect(both).to_have_attribute("data-next", "")
    await expect(page.locator("#live .client")).to_have_count(2)
    await words.get_by_role("button").click()
    await expect(both).to_be_focused()
    assert lab_tabs.faults == []


async def test_the_guide_of_a_projection_that_fails_leads_to_a_held_session_and_back(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    guide, held, fails = page.locator("#guide"), page.locator("#held"), page.get_by_label("A timeline projection fails")
    await expect(fails).not_to_be_checked()  # as nothing fails
    await act(page, "stumble", fails=True)
    words = "Next: press “Submit”; then “traced” is held."
    await expect(guide).to_have_text(words)
    await expect(page.locator("[data-next]")).to_have_count(3)
    await page.reload()
    await expect(fails).to_be_checked()
    await expect(guide).to_have_text(words)
    await follow(page, words)
    await expect_verdict(page, "traced", "held")
    await expect(held).to_contain_text(
        "Untick “A timeline projection fails”, press “Set the projection”, and submit again"
    )
    await act(page, "stumble", fails=False)
    await expect(held).to_contain_text("told to fail at NoteStarted. Submit again, or press Retry in the inspector")
    await act(page, "submit")
    await expect(held).to_be_hidden()
    await expect_verdict(page, "traced", "passed")
    await act(page, "stumble", fails=True)
    await reset(page)
    await expect(fails).not_to_be_checked()


async def test_after_a_break_the_page_says_how_to_begin_anew(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/2")
    chosen = page.get_by_label("What goes wrong")
    await act(page, "break", promise="backwards")
    await act(page, "burst")
    await expect_verdict(page, "rising", "failed")
    await page.reload()
    await expect(chosen).to_have_value("backwards")  # what is broken
    await act(page, "break", promise="swaps")
    await act(page, "burst")
    await act(page, "break", promise="none")
    await expect_verdict(page, "in-order", "failed")
    await expect(page.locator("#broken")).to_have_text(
        re.compile("^Nothing is broken on purpose now. What went wrong before stays red: press “Reset this phase”.$"),
        use_inner_text=True,
    )
    await page.locator("#guide").get_by_role("button").click()
    await expect(page.locator("#reset")).to_be_focused()
    assert await violations(page) == []
    await fill(page, "burst", session="another", events=7, twice=True)
    await reset(page)
    await broken(page, "")
    await expect(chosen).to_have_value("loses")  # one to try
    burst = form(page, "burst")
    await expect(burst.locator('[name="session"]')).to_have_value("a")
    await expect(burst.locator('[name="twice"]')).not_to_be_checked()
