"""The lab as somebody uses it: every page, every control, checks that turn red and green, two tabs, a restart."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, Route, expect

from sessionstream import doc
from sessionstream.systemlab.phases import PHASES

from ..systemlab.process import ServedLab
from .axe import violations
from .chromium import Tabs
from .lab import (
    act,
    actions,
    expect_disabled_without,
    expect_verdict,
    fits,
    form,
    not_early,
    not_the_servers,
    press,
    problem,
    reset,
    verdicts,
)

NUMBERS = range(len(PHASES))
ASKING = ["", *(f"phases/{number}" for number in NUMBERS), "inspector"]
"""Pages that ask for what they show."""

READ = [
    "docs/",
    "docs/sessionstream-user-guide",
    "docs/sessionstream-reference",
    "chapters/",
    "chapters/1",
    "nowhere",
]
"""Pages that come whole."""

LIKE_OTHERS = {"docs/sessionstream-reference", *(f"phases/{number}" for number in (0, 1, 2, 3, 4))}
"""Pages made by the templates of others; `make test` does not look for violations of accessibility on them here."""


async def width(of: Locator) -> int:
    return int(await of.evaluate("element => element.clientWidth"))


async def settled(page: Page) -> None:
    """Wait until the page has shown what it asked for."""
    await page.wait_for_load_state("networkidle")
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator("#problem")).to_be_hidden()


# -- every page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "scheme", "passed_over"),
    [
        pytest.param(360, "dark", LIKE_OTHERS, id="360-dark-some"),
        pytest.param(360, "dark", (), id="360-dark", marks=pytest.mark.torture),
        pytest.param(1600, "light", (), id="1600-light", marks=pytest.mark.torture),
        pytest.param(360, "light", (), id="360-light", marks=pytest.mark.torture),
        pytest.param(1600, "dark", (), id="1600-dark", marks=pytest.mark.torture),
    ],
)
async def test_every_page_fits_and_everybody_can_read_it(
    lab_tabs: Tabs, width: int, scheme: str, passed_over: Collection[str]
) -> None:
    page = await lab_tabs.visit("", viewport={"width": width, "height": 800}, color_scheme=scheme)
    for place in (*ASKING, *READ):
        await page.goto(f"{lab_tabs.url}{place}")
        if place in ASKING:
            await settled(page)
        assert await fits(page), place
        if place not in passed_over:
            assert await violations(page) == [], place
    assert not_the_servers(lab_tabs.faults) == []


async def test_evidence_has_the_width_of_the_page_and_rows_that_can_be_read(lab_tabs: Tabs) -> None:
    """Beside the controls there is less room, and a column that is squeezed to a ribbon makes a row of a screen."""
    page = await lab_tabs.visit("phases/5", viewport={"width": 1440, "height": 800})
    await act(page, "seed")
    await act(page, "restart")
    bench, evidence, judged = (page.locator(place) for place in (".bench", "#evidence", "#judged"))
    assert await width(evidence) == await width(bench)
    assert await width(judged) < await width(bench) / 2
    await page.set_viewport_size({"width": 360, "height": 800})
    for name in ("kept", "log", "folds"):
        rows = page.locator(f'[data-id="{name}"] tbody tr')
        heights: list[float] = await rows.evaluate_all("rows => rows.map((row) => row.offsetHeight)")
        assert heights
        assert max(heights) < 160, name


@pytest.mark.parametrize("number", [1, 3, *(pytest.param(each, marks=pytest.mark.torture) for each in (0, 2, 4, 5))])
async def test_every_control_of_a_phase_can_be_pressed(lab_tabs: Tabs, number: int) -> None:
    """With each choice of it that breaks a promise; what is refused is said beside the button."""
    page = await lab_tabs.visit(f"phases/{number}", viewport={"width": 360, "height": 800}, color_scheme="dark")
    await settled(page)
    for action, fields in (await actions(page)).items():
        choices = [(field["name"], choice) for field in fields for choice in field["choices"]]
        for name, choice in choices or [("", "")]:
            await press(page, action, **({name: choice} if name else {}))
            assert "fault of its own" not in await problem(page, action)
        assert await fits(page), action
    for live in await page.locator("#live button").all():
        if await live.is_visible():
            await live.click()
    await page.locator("main details").evaluate_all("all => all.forEach((each) => (each.open = true))")
    assert await fits(page)
    assert await violations(page) == []
    await reset(page)
    assert set((await verdicts(page)).values()) <= {"passed", "waiting"}
    assert not_early(lab_tabs.faults) == []


@pytest.mark.parametrize("number", NUMBERS)
async def test_exports_are_files_that_can_be_read(lab_tabs: Tabs, tmp_path: Path, number: int) -> None:
    page = await lab_tabs.visit(f"phases/{number}")
    await settled(page)
    for name, ending in (("Export JSON", "json"), ("Export Markdown", "md")):
        async with page.expect_download() as started:
            await page.get_by_role("link", name=name).click()
        download = await started.value
        assert download.suggested_filename == f"systemlab-phase{number}.{ending}"
        path = tmp_path / download.suggested_filename
        await download.save_as(path)
        text = path.read_text("utf-8")
        if ending == "json":
            assert {check["id"] for check in json.loads(text)["checks"]} == set(await verdicts(page))
        else:
            assert text.startswith(f"# Phase {number}: ")
    assert lab_tabs.faults == []


async def test_the_front_page_says_how_the_checks_stand(lab_tabs: Tabs) -> None:
    front = await lab_tabs.visit("")
    card = front.locator('[data-number="1"]')
    await expect(card.locator("[data-tally]")).to_have_text("6 waiting")
    await card.get_by_role("link").click()
    await press(front, "break", fault="drop")
    await press(front, "submit")
    await front.get_by_role("link", name="sessionstream lab").click()
    await expect(card.locator("[data-tally]")).to_have_text("1 failed5 passed")
    await front.get_by_role("button", name="Reset every phase").click()
    await expect(card.locator("[data-tally]")).to_have_text("6 waiting")
    await expect(front.locator("#announcer")).to_have_text("Every phase was made anew.")
    assert lab_tabs.faults == []


@pytest.mark.parametrize(
    ("place", "script"),
    [("", "front.js"), ("phases/1", "lab.js"), ("phases/5", "lab.js")],
)
async def test_no_button_can_be_pressed_before_its_script_listens(lab_tabs: Tabs, place: str, script: str) -> None:
    await expect_disabled_without(script, lab_tabs, place, "main button:visible")
    assert lab_tabs.faults == []


async def test_the_help_leads_from_page_to_page(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("docs/")
    for entry in doc.entries():
        await expect(page.get_by_role("link", name=entry.title, exact=True)).to_be_visible()
    await page.goto(f"{lab_tabs.url}docs/sessionstream-user-guide")
    await page.locator("article").get_by_role("link", name="reference", exact=True).first.click()
    await page.wait_for_url("**/docs/sessionstream-reference*")
    await page.get_by_role("navigation", name="On this page").get_by_role("link", name="Stores").click()
    await expect(page.get_by_role("heading", name="Stores", exact=True)).to_be_in_viewport()
    assert lab_tabs.faults == []


async def test_the_help_is_searched_by_keyboard(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("docs/", viewport={"width": 360, "height": 800}, color_scheme="dark")
    await expect(page.locator("#query")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("Close Codes")
    hits = page.locator("#hits a")
    await expect(hits.first).to_have_text("Close codes")
    await expect(page.locator("#hits mark").first).to_have_text("close", ignore_case=True)
    assert await fits(page)
    assert await violations(page) == []
    await page.keyboard.press("ArrowDown")
    await expect(hits.first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(hits.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/docs/sessionstream-reference#close-codes")
    await expect(page.get_by_role("heading", name="Close codes", exact=True)).to_be_in_viewport()
    contents = page.get_by_role("navigation", name="On this page")
    await expect(contents.get_by_role("link", name="Stores")).to_be_hidden()  # folded where there is no room
    await contents.get_by_text("On this page").click()
    await expect(contents.get_by_role("link", name="Stores")).to_be_visible()
    await page.go_back(wait_until="commit")  # to the page as it was, which is not loaded again
    await expect(hits.first).to_have_text("Close codes")
    await page.locator("#query").fill("nosuchword")
    await expect(page.locator("#announcer")).to_contain_text("Nothing is found.")
    await page.locator("#query").fill("e")
    await expect(page.locator("#hits")).to_contain_text("The first 20 of ")
    await page.locator("#query").fill("close snapshto")
    await expect(page.locator("#announcer")).to_contain_text("Did you mean close snapshot?")
    assert await fits(page)
    assert await violations(page) == []
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=close+snapshot*")
    await expect(page.locator("#hits mark").first).to_be_visible()
    await expect(page.locator("#query")).to_have_value("close snapshot")
    assert lab_tabs.faults == []


# -- checks, seen green and red --------------------------------------------------------------------------------------


# -- phase 1 ---------------------------------------------------------------------------------------------------------


async def test_what_is_refused_is_said_beside_the_button(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    await expect_verdict(page, "live", "waiting")
    await press(page, "submit", prompt=" ")
    await expect(form(page, "submit").get_by_role("alert")).to_have_text("the prompt is empty: write a few words")
    await press(page, "remove")
    await expect(form(page, "remove").get_by_role("alert")).to_contain_text("has no note: submit a prompt first")
    await press(page, "submit", prompt="<img src=x onerror=alert(1)> & more")
    await expect(form(page, "submit").get_by_role("alert")).to_be_hidden()
    await press(page, "remove")
    await expect(form(page, "remove").get_by_role("alert")).to_be_hidden()
    assert not_the_servers(lab_tabs.faults) == []


async def test_text_is_as_people_write_it_and_nothing_turns_it_around(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    await press(page, "submit", prompt="日本é🌈 شكرا \u202eoverride \u2066isolate")
    snapshot = page.locator('[data-id="snapshot"] tbody')
    await expect(snapshot).to_contain_text("日本é🌈 شكرا \\u202eoverride \\u2066isolate")
    await page.locator('[data-id="trace"] summary').click()
    trace = page.locator('[data-id="trace"] pre')
    await expect(trace).to_contain_text("日本é🌈")
    await expect(trace).to_contain_text("\\u202eoverride")
    assert "\u202e" not in str(await page.locator("main").text_content())
    assert lab_tabs.faults == []


async def test_a_screen_reader_is_told_what_changed(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    await expect_verdict(page, "told", "waiting")
    await press(page, "break", fault="repeat")
    await press(page, "submit")
    await expect(page.locator("#announcer")).to_contain_text("failed: Live clients are sent every UI event")
    assert lab_tabs.faults == []


async def test_each_event_can_be_followed_through_the_pipeline(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    await expect(page.get_by_text("follow each of its events through the pipeline")).to_be_visible()
    await press(page, "submit", prompt="two words")
    slider = page.get_by_role("slider")
    steps = page.locator(".flow > li")
    await expect(page.get_by_text("Event 4 of 4: NoteFinished")).to_be_visible()
    await slider.press("ArrowLeft")
    await expect(page.get_by_text("Event 3 of 4: NoteWord")).to_be_visible()
    await expect(steps.nth(0)).to_contain_text("words")
    await expect(steps.nth(1)).to_contain_text("sees the timeline at 2")
    await expect(steps.nth(3)).to_contain_text("moves the cursor to 3")
    await press(page, "submit", prompt="again")  # the reader has stopped at an event, and stays there
    await expect(page.get_by_text("Event 3 of 7: NoteWord")).to_be_visible()
    await slider.press("End")
    await press(page, "remove")
    await expect(page.get_by_text("Event 8 of 8: NoteRemoved")).to_be_visible()
    await expect(steps.nth(2)).to_contain_text("is gone")
    assert lab_tabs.faults == []


async def test_the_last_step_is_what_the_fan_out_sent(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    await press(page, "break", fault="drop")
    await press(page, "submit", prompt="two words")
    last = page.locator(".flow > li").last
    await expect(last).to_contain_text("sends nothing to live clients")
    await expect(last).to_contain_text("NoteUpdated, which the hub passed on, was not sent")
    await page.get_by_role("slider").press("ArrowLeft")
    await expect(last).to_have_text(re.compile("sends to live clientsNoteUpdated$"))


async def test_two_tabs_show_the_same(lab_tabs: Tabs) -> None:
    first, second = await lab_tabs.visit("phases/1"), await lab_tabs.visit("phases/1")
    for page in (first, second):
        await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await press(first, "submit", prompt="seen by both")
    for page in (first, second):
        await expect(page.locator('[data-id="snapshot"]')).to_contain_text("seen by both")
        await expect_verdict(page, "live", "passed")
    await press(second, "remove")
    for page in (first, second):
        await expect(page.locator('[data-id="snapshot"]')).to_contain_text("The timeline is empty.")
    await reset(first)
    for page in (first, second):
        await expect_verdict(page, "live", "waiting")
    assert lab_tabs.faults == []


async def test_a_server_that_goes_is_found_again(lab: ServedLab, own_tabs: Tabs) -> None:
    page = await own_tabs.visit("phases/1")
    await press(page, "submit", prompt="before")
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await lab.end()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    await press(page, "submit", prompt="to nobody")
    await expect(form(page, "submit").get_by_role("alert")).to_contain_text("The lab does not answer.")
    await lab.start()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await expect_verdict(page, "live", "waiting")  # another lab, whose phases are new
    await press(page, "submit", prompt="after")
    await expect(form(page, "submit").get_by_role("alert")).to_be_hidden()
    await expect_verdict(page, "live", "passed")
    assert not_the_servers(own_tabs.faults) == []


async def test_half_an_answer_is_none(lab_tabs: Tabs) -> None:
    """A server that dies in the middle of an answer has answered nothing, and the page says so."""

    async def half(route: Route) -> None:
        await route.fulfill(status=200, content_type="application/json", body='{"checks": [')

    page = await lab_tabs.visit("phases/1")
    await press(page, "submit", prompt="before")
    before = await verdicts(page)
    await page.route("**/api/phase1/run", half)
    await press(page, "submit", prompt="half")
    await expect(form(page, "submit").get_by_role("alert")).to_contain_text("The lab does not answer.")
    assert (await verdicts(page)).keys() == before.keys()
    await page.unroute("**/api/phase1/run", half)
    await press(page, "submit", prompt="after")
    await expect(form(page, "submit").get_by_role("alert")).to_be_hidden()
    assert lab_tabs.faults == []


async def test_the_present_page_is_in_view_in_the_bar(lab_tabs: Tabs) -> None:
    for place in ("phases/0", "phases/5", "docs/"):
        page = await lab_tabs.visit(place, viewport={"width": 360, "height": 800})
        await expect(page.locator("nav [aria-current]")).to_be_in_viewport(ratio=1)
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()


async def test_the_keyboard_is_enough(lab_tabs: Tabs) -> None:
    page = await lab_tabs.visit("phases/1")
    await verdicts(page)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    reached: list[str] = []
    while "submit" not in reached:
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.closest('form')?.dataset.action ?? ''"))
        assert len(reached) < 12
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type("by hand")
    await page.keyboard.press("Enter")
    await expect(page.locator('[data-id="snapshot"]')).to_contain_text("by hand")
    assert lab_tabs.faults == []
