"""The chat page as somebody uses it: click, watch, stop, reload, and lose the server for a while."""

from __future__ import annotations

import signal
import sqlite3
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from playwright.async_api import Page, expect

from sessionstream import SQLiteStore
from sessionstream.examples.chatdemo import chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity

from ..pairs import pairs
from .chromium import LOST, Tabs
from .lab import expect_disabled_without
from .serving import Served

LONG = "Tell me something that takes its time. " * 40


async def send(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send").click()


def answer(page: Page, number: int) -> Any:
    return page.locator(f'[data-id="chat-msg-{number}"]')


async def status(page: Page, number: int, word: str) -> None:
    await expect(answer(page, number)).to_have_attribute("data-status", word)


async def live(page: Page) -> None:
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")


async def shown(page: Page) -> list[tuple[str, str, str, str]]:
    """Id, role, status and text of every message on the page, in order."""
    rows = await page.locator("#messages > li").evaluate_all(
        "items => items.map((item) => [item.dataset.id, item.dataset.role, item.dataset.status,"
        " item.querySelector('p').textContent])"
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def stored(path: Path, session_id: str = "s-1") -> list[tuple[str, str, str, str]]:
    """The same of the store; nobody else has it open."""
    async with SQLiteStore.open(path, chat_schemas()) as store:
        snapshot = await store.snapshot(session_id)
    found = []
    for entity in snapshot.entities:
        assert isinstance(entity.payload, ChatMessageEntity)
        found.append((entity.id, entity.payload.role, entity.payload.status, entity.payload.text))
    return found


async def test_send_watch_reload_and_compare_with_the_store(server: Served, tabs: Tabs, tmp_path: Path) -> None:
    page = await tabs.open()
    await expect(page.get_by_role("heading", name="Ask something")).to_be_visible()
    await send(page, "Explain ordinals")
    await status(page, 1, "finished")
    await expect(answer(page, 1)).to_contain_text("Answer: Explain ordinals")
    await expect(page.locator("#announcer")).to_have_text("Answer: Explain ordinals")
    await expect(page.get_by_role("heading", name="Ask something")).to_be_hidden()
    await expect(page.get_by_label("Message", exact=True)).to_have_value("")
    await send(page, "And <b>this</b>\n  on two lines \U0001f600")
    await status(page, 2, "finished")
    before = await shown(page)
    await page.reload()
    await status(page, 2, "finished")
    assert await shown(page) == before
    await server.end()
    assert await stored(tmp_path / "chat.db") == before
    assert tabs.faults == []


async def test_a_message_that_the_server_cannot_show_says_so_and_the_others_are_there(
    server: Served, tabs: Tabs, tmp_path: Path
) -> None:
    page = await tabs.open()
    await send(page, "Explain ordinals")
    await status(page, 1, "finished")
    await server.end()
    message = FileDescriptorProto(name="gone.proto", package="app", message_type=[DescriptorProto(name="Gone")])
    descriptors = FileDescriptorSet(file=[message]).SerializeToString()
    row = ("app.Gone", sha256(descriptors).digest(), descriptors)
    with sqlite3.connect(tmp_path / "chat.db") as file:
        file.execute("INSERT INTO payload_types (name, digest, descriptors) VALUES (?, ?, ?)", row)
        gone = "UPDATE entities SET type = (SELECT type FROM payload_types WHERE name = 'app.Gone') WHERE id = ?"
        assert file.execute(gone, ("chat-msg-1",)).rowcount == 1
    file.close()
    await server.start()
    await page.reload()
    await status(page, 1, "unreadable")
    await expect(answer(page, 1)).to_contain_text("This message cannot be shown.")
    assert [row[3] for row in await shown(page)] == ["Explain ordinals", "This message cannot be shown."]
    _, errors = await server._stopped(signal.SIGTERM)
    assert "'chat-msg-1' cannot be shown to clients, stored as app.Gone: its message is not registered" in errors


async def test_nothing_can_be_sent_before_the_script_listens(tabs: Tabs) -> None:
    await expect_disabled_without("chat.js", tabs, "#s-1", "form button:visible")
    assert tabs.faults == []


async def test_the_answer_streams_and_can_be_stopped(slow_server: Served, slow_tabs: Tabs, tmp_path: Path) -> None:
    page = await slow_tabs.open()
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    await send(page, LONG)
    await status(page, 1, "streaming")
    lengths = [len(text) for text in [await answer(page, 1).locator("p").inner_text()]]
    for _ in range(3):  # it grows
        await page.wait_for_function(
            "length => document.querySelector('[data-id=chat-msg-1] p').textContent.length > length", arg=lengths[-1]
        )
        lengths.append(len(await answer(page, 1).locator("p").inner_text()))
    assert lengths == sorted(set(lengths))
    await page.get_by_role("button", name="Stop", exact=True).click()
    await status(page, 1, "stopped")
    await expect(answer(page, 1)).to_contain_text("Stopped")
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    before = await shown(page)
    assert len(before[1][3]) < len(LONG)
    await slow_server.end()
    assert await stored(tmp_path / "chat.db") == before
    assert slow_tabs.faults == []


async def test_two_tabs_converge(slow_tabs: Tabs) -> None:
    first = await slow_tabs.open()
    await send(first, LONG)
    await status(first, 1, "streaming")
    second = await slow_tabs.open()  # in the middle of an answer
    await status(second, 1, "streaming")
    await send(second, "Something else")  # which ends what is running
    for page in (first, second):
        await status(page, 1, "stopped")
        await status(page, 2, "finished")
    assert await shown(first) == await shown(second)
    assert slow_tabs.faults == []


async def test_a_server_that_is_restarted_under_the_page_still_has_the_conversation(
    tabs_of_itself: Tabs, by_itself: Served
) -> None:
    page = await tabs_of_itself.open()
    await send(page, "Explain ordinals")
    await status(page, 1, "finished")
    before = await shown(page)
    await by_itself.end()
    await expect(page.locator("#state")).to_have_attribute("data-state", "reconnecting")
    await by_itself.start()
    await live(page)
    assert await shown(page) == before
    await page.reload()
    await status(page, 1, "finished")
    assert await shown(page) == before
    await send(page, "And on")
    await status(page, 2, "finished")
    assert [fault for fault in tabs_of_itself.faults if not any(known in fault for known in LOST)] == []


async def test_a_killed_server_is_found_again_and_nothing_is_lost(
    slow_server: Served, slow_tabs: Tabs, tmp_path: Path
) -> None:
    page = await slow_tabs.open()
    await send(page, "Before")
    await status(page, 1, "finished")
    await send(page, LONG)
    await status(page, 2, "streaming")
    await slow_server.kill()
    await expect(page.locator("#state")).to_have_attribute("data-state", "reconnecting")
    await send(page, "Sent to nobody")
    await expect(page.get_by_role("alert")).to_contain_text("Your message is still in the box")
    await slow_server.start()
    await live(page)
    await status(page, 2, "stopped")  # by the new process, which found it unfinished
    await expect(page.get_by_role("alert")).to_be_hidden()  # that the server cannot be reached is no longer so
    await expect(page.get_by_label("Message", exact=True)).to_have_value("Sent to nobody")
    await page.get_by_role("button", name="Send").click()
    await status(page, 3, "finished")
    await expect(page.get_by_role("alert")).to_be_hidden()
    before = await shown(page)
    assert [row[0] for row in before if row[1] == "user"] == ["chat-msg-1-user", "chat-msg-2-user", "chat-msg-3-user"]
    await slow_server.end()
    assert await stored(tmp_path / "chat.db") == before
    assert [fault for fault in slow_tabs.faults if not any(known in fault for known in LOST)] == []


async def test_a_page_without_a_network_says_so_and_is_back_with_it(tabs: Tabs) -> None:
    page = await tabs.open()
    await live(page)
    await page.context.set_offline(True)
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")  # it need not wait
    await expect(page.locator("#state-text")).to_have_text("Offline")
    await expect(page.get_by_role("button", name="Retry")).to_be_visible()
    await page.context.set_offline(False)
    await live(page)
    await expect(page.locator("#announcer")).to_have_text("Connected again.")
    await expect(page.get_by_role("button", name="Retry")).to_be_hidden()
    assert [fault for fault in tabs.faults if "ERR_INTERNET_DISCONNECTED" not in fault] == []


async def test_a_page_that_is_not_let_in_says_so(tabs: Tabs) -> None:
    page = await tabs.open("")
    await page.route_web_socket("**/ws", lambda socket: socket.close(code=4403, reason="not yours"))
    await page.reload()
    await expect(page.locator("#state")).to_have_attribute("data-state", "closed")
    await expect(page.locator("#state-text")).to_have_text("Disconnected")
    await expect(page.get_by_role("button", name="Retry")).to_be_hidden()
    await expect(page.get_by_role("alert")).to_contain_text("this client is not let in: 403 not yours")


async def test_a_server_that_ends_stops_its_answers_and_says_when_it_is_back(
    slow_server: Served, slow_tabs: Tabs
) -> None:
    page = await slow_tabs.open()
    await send(page, LONG)
    await status(page, 1, "streaming")
    await page.clock.install()
    await page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=10))  # so that it does not come back by itself
    await slow_server.end()
    await status(page, 1, "stopped")
    await expect(page.locator("#state")).to_contain_text("Back in")
    await slow_server.start()
    await page.get_by_role("button", name="Retry").click()
    await live(page)
    await expect(page.get_by_role("button", name="Retry")).to_be_hidden()
    assert [fault for fault in slow_tabs.faults if not any(known in fault for known in LOST)] == []


async def test_each_chat_has_its_address(tabs: Tabs) -> None:
    page = await tabs.open("")
    await page.wait_for_url("**/#chat-*")
    first = page.url
    await send(page, "In the first")
    await status(page, 1, "finished")
    await page.get_by_role("button", name="New chat").click()
    await expect(page.get_by_role("heading", name="Ask something")).to_be_visible()
    assert page.url != first
    assert await shown(page) == []
    await page.get_by_role("button", name="Explain ordinals in one line").click()
    await status(page, 1, "finished")
    await expect(answer(page, 1)).to_contain_text("Answer: Explain ordinals in one line")
    await page.go_back()
    await expect(answer(page, 1)).to_contain_text("Answer: In the first")
    assert page.url == first
    assert tabs.faults == []


async def test_the_keyboard_is_enough(slow_tabs: Tabs) -> None:
    page = await slow_tabs.open()
    await live(page)
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()
    await page.keyboard.type("One line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type(LONG[:200])
    await page.keyboard.press("Enter")
    await status(page, 1, "streaming")
    await page.keyboard.press("Escape")
    await status(page, 1, "stopped")
    await expect(page.locator('[data-id="chat-msg-1-user"] p')).to_have_text(f"One line\n{LONG[:200]}")
    await page.keyboard.press("Enter")  # nothing is sent
    reached = set()
    for _ in range(6):
        await page.keyboard.press("Tab")
        reached.add(await page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"skip", "new", "prompt", "send"} <= reached
    assert len(await shown(page)) == 2
    assert slow_tabs.faults == []


@pytest.mark.parametrize(("width", "scheme"), pairs([360, 1440], ["dark", "light"]))
async def test_it_fits_and_can_be_read(server: Served, tabs: Tabs, width: int, scheme: str) -> None:
    page = await tabs.open(viewport={"width": width, "height": 640}, color_scheme=scheme)
    await send(page, "x" * 300)
    await status(page, 1, "finished")
    fits = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert await page.evaluate(fits)
    await expect(page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("button", name="New chat")).to_be_in_viewport(ratio=1)
    await expect(answer(page, 1)).to_be_in_viewport()
    colours = "(of) => { const style = getComputedStyle(of); return [style.color, style.backgroundColor] }"
    for selector in ("body", "#send", '[data-role="user"]'):
        assert contrast(*await page.locator(selector).evaluate(colours), on=await background(page)) >= 4.5, selector
    await server.kill()
    await expect(page.get_by_role("button", name="Retry")).to_be_in_viewport(ratio=1)
    assert await page.evaluate(fits)


async def background(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))


def contrast(ink: str, paper: str, *, on: str) -> float:
    """The contrast ratio of WCAG 2; a transparent paper lets through what it lies on."""
    light, dark = sorted((luminance(ink), luminance(on if paper.startswith("rgba") else paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(text) / 255 for text in colour.removeprefix("rgb(").removesuffix(")").split(","))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
