"""The inspector as somebody uses it: on a store that another process writes, and on phases of the lab."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, expect

from sessionstream import Event, Hub, ProjectionError, Session, SQLiteStore, TimelineEntity, TimelineView
from sessionstream.systemlab.notebook import ADD_NOTE, NOTE_WORD, notebook_schemas, open_notebook
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteWordEvent
from sessionstream.testing import SessionWriter, put, sample_registry

from ..systemlab.test_inspector import FAILING
from ..systemlab.test_inspector import fill as fill_one_held
from ..systemlab.web import Inspecting, inspecting
from .axe import violations
from .chromium import Tabs
from .conftest import browsing
from .lab import button, fits, not_the_servers, press, reset

HEBREW = "\u05e9\u05dc\u05d5\u05dd"
LONG = "a word and " * 60
INSIDE = "element => element.scrollWidth <= element.clientWidth"
ORDINALS = [2**60 + 1, 2**60 + 2, 2**60 + 4]
"""Of a stream: more than a browser's numbers can tell apart."""


async def write(path: Path, *texts: str, session_id: str = "notes") -> None:
    """Write notes into a file, as the process of an app does."""
    schemas = notebook_schemas()
    async with SQLiteStore.open(path, schemas) as store, open_notebook(Hub(schemas, store=store)) as hub:
        for text in texts:
            await hub.submit(session_id, ADD_NOTE, AddNoteCommand(text=text))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_inspector(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Inspecting]:
    """The inspector alone of a file: a session of 188 events, one that is held, one of a stream, and 31 others."""
    path = tmp_path_factory.mktemp("inspected") / "app.db"
    await fill_one_held(path)
    await write(path, f"the first {HEBREW} \u202e!", LONG)
    schemas = notebook_schemas()
    async with SQLiteStore.open(path, schemas) as store, open_notebook(Hub(schemas, store=store)) as hub:
        for number in range(30):
            await hub.submit(f"user-{number:02}", ADD_NOTE, AddNoteCommand(text=""))
    async with SQLiteStore.open(path, sample_registry()) as store:
        writer = SessionWriter(store, "stream")
        for ordinal in ORDINALS:
            await writer.log(put("a", str(ordinal)), ordinal=ordinal)
    async with inspecting(path) as inspector:
        yield inspector


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(shared_inspector: Inspecting, browser: Browser) -> AsyncIterator[Tabs]:
    """Pages of that inspector."""
    async with browsing(browser, shared_inspector.url) as tabs:
        yield tabs


def rows(page: Page, table: str) -> Locator:
    return page.locator(f"#{table}-table tbody tr")


def current(page: Page) -> Locator:
    """The event after which the timeline is shown, in the log."""
    return page.locator("#event-table [aria-current] button")


async def test_sessions_are_found_and_opened_and_the_address_leads_back(tabs: Tabs) -> None:
    page = await tabs.visit("")
    await expect(rows(page, "session")).to_have_count(25)
    await expect(page.locator("#session-pager")).to_contain_text("of 34")
    await button(page, "Next").click()
    await expect(rows(page, "session")).to_have_count(9)
    await button(page, "First").click()
    await expect(page.locator("#session-pager")).to_contain_text("1\u201325 of 34")
    await button(page, "Last").click()
    await expect(page.locator("#session-pager")).to_contain_text("26\u201334 of 34")
    await expect(button(page, "Last")).to_be_disabled()
    await page.get_by_label("Held only").check()
    await expect(rows(page, "session")).to_have_count(1)
    await expect(rows(page, "session")).to_contain_text("held, 1 waiting")
    await expect(rows(page, "session").locator(".badge")).to_have_attribute("data-verdict", "held")
    await expect(rows(page, "session")).to_contain_text("timeline-projection at 2: ValueError: no")
    await page.get_by_label("Held only").uncheck()
    await page.get_by_label("Session id contains").fill("USER-1")
    await expect(rows(page, "session")).to_have_count(10)
    await expect(page.locator("#announcer")).to_have_text("10 sessions.")
    await page.get_by_role("link", name="user-17").click()
    await expect(page.get_by_role("heading", name="user-17")).to_be_visible()
    await expect(rows(page, "event")).to_have_count(2)
    address = page.url
    await page.reload()
    await expect(page.get_by_role("heading", name="user-17")).to_be_visible()
    assert page.url == address
    await page.go_back()
    await expect(rows(page, "session")).to_have_count(10)
    await expect(page.get_by_label("Session id contains")).to_have_value("USER-1")
    await page.get_by_label("Session id contains").fill("nobody")
    await expect(page.get_by_text("No session is like that.")).to_be_visible()
    assert tabs.faults == []


async def test_a_session_that_is_opened_while_one_types_stays_open(tabs: Tabs) -> None:
    page = await tabs.visit("")
    await expect(rows(page, "session")).to_have_count(25)
    await page.evaluate(  # the timer is started after that of the search, and ends after it
        """async () => {
             const search = document.getElementById("search");
             search.value = "n";
             search.dispatchEvent(new Event("input"));
             location.hash = "#session=notes";
             await new Promise((done) => setTimeout(done, 200));
           }"""
    )
    await expect(page.locator("#session-id")).to_have_text("notes")
    assert page.url.endswith("session=notes")
    await page.go_back()
    await page.get_by_label("Session id contains").fill("user-07")
    await expect(page.locator("#announcer")).to_have_text("1 session.")
    assert tabs.faults == []


async def test_the_slider_has_a_place_for_every_event(tabs: Tabs) -> None:
    page = await tabs.visit("#session=notes")
    at, label = page.locator("#at"), page.locator("#at-label")
    await expect(label).to_have_text("The timeline right after event 188, NoteFinished")
    await expect(at).to_have_attribute("max", "188")
    for key, words, count in (
        ("Home", "before the first event", 0),
        ("ArrowRight", "right after event 1, NoteStarted", 1),
        ("PageUp", "right after event 20, NoteWord", 2),
        ("End", "right after event 188, NoteFinished", 2),
    ):
        await at.press(key)
        await expect(label).to_have_text(f"The timeline {words}")
        await expect(rows(page, "entity")).to_have_count(count)
    await button(page, "Earlier").click()
    await expect(label).to_have_text("The timeline right after event 187, NoteWord")
    await expect(current(page)).to_have_text("187")
    changed = page.locator("#diff li")
    await expect(changed).to_have_count(1)
    await expect(changed).to_contain_text("changed, last event 186 → 187")
    await expect(changed.locator("ins")).to_have_text(" and")
    await expect(page.locator("#from-label")).to_have_text("Since event 186, NoteWord, the event before")
    await page.locator("#from").press("Home")
    await expect(page.locator("#from-label")).to_have_text("Since the beginning")
    await expect(changed).to_have_count(2)
    await button(page, "Since the event before").click()
    await expect(changed).to_have_count(1)
    await page.goto(f"{tabs.url}#session=stream")
    for place, ordinal in ((3, 2), (2, 1), (1, 0)):
        await expect(at).to_have_value(str(place))
        await expect(label).to_have_text(f"The timeline right after event {ORDINALS[ordinal]}, Delta")
        await expect(current(page)).to_have_text(str(ORDINALS[ordinal]))
        await at.press("ArrowLeft")
    await expect(label).to_have_text("The timeline before the first event")
    assert tabs.faults == []


async def test_a_slider_that_is_drawn_asks_for_the_place_where_it_stops(tabs: Tabs) -> None:
    page = await tabs.visit("#session=notes")
    await expect(current(page)).to_have_text("188")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/diff?" in request.url else None)
    await page.locator("#at").evaluate(
        """(slider) => {
             for (let index = 1; index <= 150; index += 1) {
               slider.value = index;
               slider.dispatchEvent(new Event("input"));
             }
           }"""
    )
    await expect(current(page)).to_have_text("150")
    await expect(page.locator("#at-label")).to_have_text("The timeline right after event 150, NoteWord")
    assert len(asked) <= 3
    assert tabs.faults == []


async def test_the_log_comes_in_pages_and_an_event_moves_the_timeline(tabs: Tabs) -> None:
    page = await tabs.visit("#session=notes")
    ordinals = page.locator("#event-table tbody button")
    await expect(ordinals.first).to_have_text("188")
    pager = page.locator("#event-pager")
    await expect(pager).to_contain_text("ordinals 139\u2013188, of 188 events")
    await button(page, "Older").click()
    await expect(ordinals.first).to_have_text("138")
    await expect(pager).to_contain_text("ordinals 89\u2013138, of 188 events")
    await button(page, "Oldest").click()
    await expect(pager).to_contain_text("ordinals 1\u201350, of 188 events")
    await expect(button(page, "Oldest")).to_be_disabled()
    await button(page, "Newest").click()
    await expect(ordinals.first).to_have_text("188")
    await button(page, "Older").click()
    await expect(ordinals.first).to_have_text("138")
    await ordinals.nth(2).click()
    await expect(page.locator("#at-label")).to_have_text("The timeline right after event 136, NoteWord")
    await expect(current(page)).to_have_text("136")
    await button(page, "Newer").click()
    await expect(ordinals.first).to_have_text("188")
    await page.get_by_label("Ordinal", exact=True).fill("2")
    await button(page, "Go").click()
    await expect(ordinals.last).to_have_text("1")
    await expect(ordinals).to_have_count(50)
    await expect(current(page)).to_have_text("2")
    await page.get_by_label("Ordinal", exact=True).fill("two")
    await button(page, "Go").click()
    await expect(page.get_by_text("An ordinal is a whole number from")).to_be_visible()
    await page.get_by_label("Ordinal", exact=True).fill(str(2**64))  # more than there can be
    await button(page, "Go").click()
    await expect(page.get_by_text("An ordinal is a whole number from 0 to 18446744073709551615.")).to_be_visible()
    await expect(page.locator("#at-label")).to_contain_text("event 2,")
    await ordinals.first.click()
    await expect(page.locator("#go-problem")).to_be_hidden()
    await page.get_by_label("Ordinal", exact=True).fill("189")
    await button(page, "Go").click()
    beyond = page.get_by_text("Ordinal 189 is beyond the timeline, whose last is 188: that is shown.")
    await expect(beyond).to_be_visible()
    await page.locator("#at").press("ArrowLeft")
    await expect(beyond).to_be_hidden()
    assert not_the_servers(tabs.faults) == []


async def test_the_log_shows_the_event_that_the_slider_is_at(tabs: Tabs) -> None:
    page = await tabs.visit("#session=notes")
    at, ordinals = page.locator("#at"), page.locator("#event-table tbody button")
    await expect(ordinals.first).to_have_text("188")
    await at.press("Home")
    await expect(ordinals.last).to_have_text("1")
    await expect(ordinals).to_have_count(50)
    await expect(current(page)).to_have_count(0)
    for number in range(1, 6):
        await at.press("ArrowRight")
        await expect(current(page)).to_have_text(str(number))
    assert await current(page).evaluate(
        """row => {
             const box = row.closest(".scroll").getBoundingClientRect();
             const at = row.getBoundingClientRect();
             return at.top >= box.top && at.bottom <= box.bottom;
           }"""
    )
    address = page.url
    assert "at=5" in address
    await page.reload()
    await expect(current(page)).to_have_text("5")
    await at.fill("101")
    await expect(current(page)).to_have_text("101")
    await expect(ordinals).to_have_count(50)
    first = await ordinals.first.text_content()
    await button(page, "Later").click()
    await expect(current(page)).to_have_text("102")
    await expect(ordinals.first).to_have_text(first or "")  # the page that has it stays
    await page.get_by_label("Ordinal", exact=True).fill("0")
    await button(page, "Go").click()
    await expect(page.locator("#at-label")).to_contain_text("before the first event")
    await expect(ordinals.last).to_have_text("1")
    await at.press("End")
    await expect(ordinals.first).to_have_text("188")
    await expect(current(page)).to_have_text("188")
    assert "below" not in page.url
    assert "after" not in page.url
    await page.goto(f"{tabs.url}#session=notes&at=77")
    await expect(current(page)).to_have_text("77")
    await page.goto(f"{tabs.url}#session=notes&below=1")
    await expect(page.get_by_text("No event is on this page.")).to_be_visible()
    assert tabs.faults == []


@pytest.mark.parametrize("value", ["abc", str(2**64)])
async def test_an_address_with_an_ordinal_that_is_none_is_named(tabs: Tabs, value: str) -> None:
    page = await tabs.visit(f"#session=notes&at={value}")
    problem = page.locator("#go-problem")
    await expect(problem).to_contain_text(f"at is a whole number from 0 to {2**64 - 1}, not '{value}'")
    await expect(current(page)).to_have_text("188")
    await page.goto(f"{tabs.url}#session=notes&below={value}")
    await expect(problem).to_contain_text(f"below is a whole number from 0 to {2**64 - 1}, not '{value}'")
    await expect(current(page)).to_have_text("188")
    assert not_the_servers(tabs.faults) == []


@pytest.mark.parametrize("before", ["", "#session=notes"])
async def test_a_session_that_is_not_there_leads_to_those_that_are(tabs: Tabs, before: str) -> None:
    page = await tabs.visit(before)
    await expect(page.get_by_role("heading", level=2).first).to_be_visible()
    await page.goto(f"{tabs.url}#source=store&session=nobody")
    await expect(page.locator("#problem")).to_contain_text("has no session 'nobody'")
    await expect(page.locator("#inspected")).to_be_hidden()
    await expect(rows(page, "session")).to_have_count(25)
    await expect(page.get_by_text("No answer")).to_be_hidden()
    assert await violations(page) == []
    await page.get_by_label("Session id contains").fill("user-1")
    await expect(rows(page, "session")).to_have_count(10)
    await expect(page.locator("#problem")).to_be_hidden()
    await page.goto(f"{tabs.url}#source=store&session=nobody")
    await expect(page.locator("#problem")).to_be_visible()
    await page.get_by_role("link", name="All sessions").click()
    await expect(page.locator("#problem")).to_be_hidden()
    await expect(rows(page, "session")).to_have_count(25)
    await expect(page.get_by_role("link", name="All sessions")).to_be_hidden()
    assert not_the_servers(tabs.faults) == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
async def test_long_payloads_fold_and_text_is_as_people_write_it(tabs: Tabs, width: int, scheme: str) -> None:
    page = await tabs.visit("#session=notes", viewport={"width": width, "height": 900}, color_scheme=scheme)
    note = rows(page, "entity").nth(1).locator("details")
    await expect(note.locator("summary")).to_contain_text("…")
    assert await note.evaluate("element => element.offsetHeight") < 60
    for table in ("event", "entity"):  # on a phone a payload has a line of its own
        cells = rows(page, table).last.locator("td")
        tops = await cells.evaluate_all("cells => cells.map((cell) => cell.getBoundingClientRect().top)")
        assert (tops[2] > tops[1], tops[1] == tops[0]) == (width == 360, True)
        assert await cells.last.evaluate("cell => cell.offsetWidth") > 250
    await note.locator("summary").click()
    await expect(note.locator("pre")).to_contain_text(LONG.strip())
    first = rows(page, "entity").first
    await expect(first).to_contain_text(HEBREW)
    await expect(first).to_contain_text("\\u202e!")
    assert "\u202e" not in str(await page.locator("main").text_content())
    assert await fits(page)
    assert await violations(page) == []
    await page.goto(f"{tabs.url}#session={FAILING}")
    held = page.locator("#session-held")
    await expect(held).to_contain_text("Its timeline stands at 1, and 1 event waits in the log.")
    await expect(held.locator(".badge")).to_have_text("held")
    colour = "element => getComputedStyle(element).color"
    assert await held.evaluate(colour) == await held.locator(".badge").evaluate(colour)
    await expect(page.locator("#retry-elsewhere")).to_contain_text(f"{FAILING} --app MODULE:FUNCTION")
    await expect(button(page, "Retry")).to_be_hidden()
    assert await fits(page)
    assert await violations(page) == []
    await page.locator("#back").click()
    await expect(rows(page, "session")).to_have_count(25)
    assert await fits(page)
    assert await violations(page) == []
    assert tabs.faults == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
async def test_long_texts_wrap_and_long_errors_fold(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    store, schemas, session = tmp_path / "long.db", notebook_schemas(), "i" * 400

    def fails(event: Event, _session: Session, _view: TimelineView) -> list[TimelineEntity]:
        if event.name == NOTE_WORD and event.session_id != "notes":
            raise ValueError("e" * 400 + "\nand more" * 40 if event.session_id == session else "f" * 140)
        return []

    await write(store, "w" * 5_000)
    async with SQLiteStore.open(store, schemas) as opened:
        hub = open_notebook(Hub(schemas, store=opened))
        hub.register_timeline_projection(fails)
        async with hub:
            for session_id in (session, "short"):
                with pytest.raises(ProjectionError):
                    await hub.publish(Event(NOTE_WORD, NoteWordEvent(note_id="n", word="w"), session_id))
    async with inspecting(store) as inspector, browsing(browser, inspector.url) as tabs:
        page = await tabs.visit("", viewport={"width": width, "height": 900}, color_scheme=scheme)
        await expect(rows(page, "session")).to_have_count(3)
        heights = await rows(page, "session").evaluate_all("rows => rows.map((row) => row.offsetHeight)")
        assert max(heights) < 90, heights
        held = page.get_by_text("held, 1 waiting").first
        assert await held.evaluate("element => element.getBoundingClientRect().right") <= width
        assert await page.locator("#session-table").evaluate(INSIDE) or width < 1440
        assert await violations(page) == []
        for of in ("short", session):
            await page.goto(f"{tabs.url}#session={of}")
            await expect(page.get_by_role("heading", name=of)).to_be_visible()
            await expect(rows(page, "error")).to_have_count(1)
            assert await page.locator("#error-table").evaluate(INSIDE) or width < 1440
            assert await rows(page, "error").evaluate("row => row.offsetHeight") < 250
            assert await fits(page)
        await rows(page, "error").locator("summary").click()
        await expect(rows(page, "error").locator("pre")).to_contain_text("and more\nand more")
        assert await rows(page, "error").locator("pre").evaluate(INSIDE)
        assert await violations(page) == []
        await page.goto(f"{tabs.url}#session=notes")
        await expect(page.get_by_role("heading", name="notes")).to_be_visible()
        await rows(page, "entity").locator("summary").click()
        assert await rows(page, "entity").locator("pre").evaluate(INSIDE)
        assert await fits(page)
        assert tabs.faults == []


async def test_an_id_shows_its_tabs_and_spaces(browser: Browser, tmp_path: Path) -> None:
    store = tmp_path / "ids.db"
    await write(store, "x", session_id="a\tb")
    await write(store, "x", session_id="  two  spaces")
    await write(store, "x", session_id="x\u202egnp.exe")
    async with inspecting(store) as inspector, browsing(browser, inspector.url) as tabs:
        page = await tabs.visit("")
        for words in ("a\\u0009b", "\\u0020 two\\u0020 spaces", "x\\u202egnp.exe"):
            await page.get_by_role("link", name=words, exact=True).click()
            await expect(page.get_by_role("heading", name=words, exact=True)).to_be_visible()
            await page.locator("#back").click()
        await expect(rows(page, "session")).to_have_count(3)
        await page.get_by_label("Session id contains").fill("x\\u202egnp")
        await expect(rows(page, "session")).to_have_count(1)
        assert tabs.faults == []


async def test_what_is_done_before_the_first_answer_is_not_lost(browser: Browser, tmp_path: Path) -> None:
    store, answered = tmp_path / "app.db", asyncio.Event()
    await write(store, "one")
    await write(store, "two", session_id="another")

    async def late(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    async with inspecting(store) as inspector, browsing(browser, inspector.url) as tabs:
        typed, led = await tabs.visit(""), await tabs.visit("")
        for each in (typed, led):
            await each.route("**/sources*", late)
            await each.reload()
        await typed.get_by_label("Session id contains").fill("other")
        await led.evaluate("location.hash = 'search=other'")
        await expect(led.get_by_label("Session id contains")).to_have_value("other")
        answered.set()
        for each in (typed, led):
            await expect(rows(each, "session")).to_have_count(1)
            await expect(each.get_by_label("Session id contains")).to_have_value("other")
        assert tabs.faults == []


async def test_what_another_process_writes_is_shown_while_it_is_live(browser: Browser, tmp_path: Path) -> None:
    store = tmp_path / "app.db"
    await write(store, "one two")
    async with inspecting(store) as inspector, browsing(browser, inspector.url) as tabs:
        page, listing = await tabs.visit("#session=notes"), await tabs.visit("#search=later")
        last, label = page.locator("#standing dd").first, page.locator("#at-label")
        await expect(last).to_have_text("4")
        await expect(listing.get_by_text("No session is like that.")).to_be_visible()
        await rows(page, "event").nth(1).locator("summary").click()
        await write(store, "new")
        await expect(last).to_have_text("7")
        await expect(label).to_contain_text("event 7")
        await expect(current(page)).to_have_text("7")
        await expect(page.locator("#event-table details[open]")).to_have_count(1)
        await page.get_by_label("Ordinal", exact=True).fill("two")
        await button(page, "Go").click()
        await write(store, "more")
        await expect(last).to_have_text("10")
        await expect(page.locator("#go-problem")).to_contain_text("An ordinal is a whole number from")
        await page.locator("#at").press("Home")  # the reader has stopped at a place, and stays there
        await expect(page.locator("#go-problem")).to_be_hidden()
        await expect(label).to_contain_text("before the first event")
        await page.get_by_label("Live").uncheck()
        await tabs.answered()
        await write(store, "a", session_id="later")
        await write(store, "newest")
        await expect(rows(listing, "session")).to_have_count(1)
        await expect(last).to_have_text("10")
        await page.get_by_label("Live").check()
        await expect(last).to_have_text("13")
        await expect(label).to_contain_text("before the first event")
        assert tabs.faults == []


async def test_it_follows_a_phase_that_runs(lab_tabs: Tabs) -> None:
    inspector = await lab_tabs.visit("inspector#source=phase1")
    await expect(inspector.get_by_text("There is no session here yet.")).to_be_visible()
    phase = await lab_tabs.visit("phases/1")
    await press(phase, "submit", prompt="one")
    await inspector.locator("#session-table a").click()
    await expect(rows(inspector, "event")).to_have_count(3)
    await press(phase, "submit", prompt="two more")
    await expect(rows(inspector, "event")).to_have_count(7)
    await expect(inspector.locator("#at-label")).to_contain_text("event 7")
    await expect(rows(inspector, "connection")).to_have_count(1)
    await expect(inspector.get_by_text("Nothing went wrong.")).to_be_visible()
    await inspector.locator("#back").click()
    await inspector.get_by_label("Source").select_option("store")
    await expect(rows(inspector, "session")).to_contain_text("notesno14142")
    assert lab_tabs.faults == []


async def test_it_retries_what_is_held(lab_tabs: Tabs) -> None:
    phase = await lab_tabs.visit("phases/1")
    await press(phase, "stumble", fails=True)
    await press(phase, "submit", prompt="one two")
    await expect(phase.locator("#held")).to_contain_text("held at event 1 NoteStarted: RuntimeError: the lab was told")
    await expect(phase.locator("#tally")).to_have_text("4 held1 passed1 waiting")
    await expect(phase.locator(".flow")).to_contain_text("raised RuntimeError: the lab was told to fail at NoteStarted")
    assert await violations(phase) == []
    inspector = await lab_tabs.visit("inspector#source=phase1")
    await inspector.locator("#session-table a").click()
    await expect(rows(inspector, "error")).to_contain_text("the lab was told to fail at NoteStarted")
    await button(inspector, "Retry").click()
    await expect(inspector.locator("#retry-problem")).to_contain_text("the lab was told to fail")
    await press(phase, "stumble", fails=False)
    await button(inspector, "Retry").click()
    await expect(inspector.locator("#announcer")).to_contain_text("1 event was applied; the timeline stands at 1.")
    await expect(inspector.locator("#session-held")).to_be_hidden()
    await expect(phase.locator("#held")).to_be_hidden()
    await expect(phase.locator("#tally")).to_have_text("6 passed")
    await reset(phase)
    assert not_the_servers(lab_tabs.faults) == []
