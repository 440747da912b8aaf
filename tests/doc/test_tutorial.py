"""The tutorial's last step as its reader sees it: two windows, a reload, a server that is started again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from ..browser.chromium import CHROMIUM, Tabs, chromium
from .pages import HELP, blocks
from .run_blocks import free_port, named, write
from .serving import serving

TUTORIAL = HELP / "tutorials" / "sessionstream-getting-started.md"


async def ask(page: Page, question: str) -> None:
    await page.get_by_label("Question").fill(question)
    await page.get_by_role("button", name="Ask").click()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, so NOTHING was tried in a browser")
async def test_windows_watch_one_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(TUTORIAL.read_text("utf-8")):
        if path := named(block.text):
            write(path, block.text)
    port = free_port()
    async with chromium() as browser:
        tabs = Tabs(browser, f"http://127.0.0.1:{port}/")
        async with serving(tmp_path, "-m", "uvicorn", "app:app", "--port", port):
            first, second = await tabs.open(""), await tabs.open("")
            await ask(first, "one two three four five six")
            question, answer = "one two three four five six", "You asked: one two three four five six"
            await expect(second.get_by_role("listitem").nth(1)).to_contain_text("You")
            await second.reload()
            for window in (first, second):
                await expect(window.get_by_role("listitem")).to_have_text([question, answer])
            assert tabs.faults in (
                [],
                ["Failed to load resource: the server responded with a status of 404 (Not Found)"],
            )
        async with serving(tmp_path, "-m", "uvicorn", "app:app", "--port", port):
            await ask(second, "again")
            for window in (first, second):
                await expect(window.get_by_role("listitem")).to_have_text(
                    [question, answer, "again", "You asked: again"]
                )
        assert tabs.foreign == []
