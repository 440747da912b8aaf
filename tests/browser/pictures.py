"""The pictures of the README and of the site, made from the real pages: ``python -m tests.browser.pictures DIRECTORY``.

``chat.png`` moves: an answer streams, its server is killed with SIGKILL and started again, the page comes back, and a
second tab shows the same. The others are stills of the chat, the lab and its inspector, light and dark.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFont
from playwright.async_api import Browser, Page, expect

from ..systemlab.process import ServedLab
from .chromium import Tabs, chromium
from .lab import act
from .serving import Served

LARGEST: Final = 1_000_000
"""Bytes of a picture; one in a README is loaded by everybody who opens it."""

SIZE: Final = (440, 470)
"""Width and height of a tab in the moving picture."""

CAPTION: Final = 40
GAP: Final = 12
SLOW: Final = 0.1
"""Seconds between two parts of an answer."""

COLOURS: Final = 48
PROMPT: Final = "How do browsers agree on what they show?"
LONG: Final = (
    "Explain how a browser that has lost its connection gets every word of an answer once and in order, "
    "even when the server is killed while it writes."
)


@dataclass
class Film:
    """A moving picture of two tabs, with a caption."""

    tabs: list[Page] = field(default_factory=list)
    caption: str = ""
    frames: list[Image.Image] = field(default_factory=list)
    milliseconds: list[int] = field(default_factory=list)

    async def take(self, milliseconds: int) -> None:
        """Add what the tabs show now."""
        width = 2 * SIZE[0] + GAP
        frame = Image.new("RGB", (width, SIZE[1] + CAPTION), "#e8eaee")
        for number, tab in enumerate(self.tabs):
            shot = Image.open(BytesIO(await tab.screenshot(animations="disabled", caret="hide")))
            frame.paste(shot, (number * (SIZE[0] + GAP), CAPTION))
        text = ImageDraw.Draw(frame)
        text.text((width / 2, CAPTION / 2), self.caption, "#20242c", ImageFont.load_default(17), anchor="mm")
        self.frames.append(frame)
        self.milliseconds.append(milliseconds)

    async def until(self, shows: str, most: int = 60) -> None:
        """Add frames until the first tab has an element that a CSS selector finds.

        Raises:
            TimeoutError: it has none after so many frames.
        """
        for _ in range(most):
            await self.take(200)
            if await self.tabs[0].locator(shows).count():
                return
        raise TimeoutError(f"the page has no {shows}")

    def save(self, path: Path) -> None:
        """Write an animated PNG with one palette."""
        palette = self.frames[-1].quantize(COLOURS)
        first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        first.save(path, save_all=True, append_images=rest, duration=self.milliseconds, loop=0, optimize=True)


async def send(page: Page, text: str) -> None:
    """Send a message."""
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send").click()


async def film_chat(browser: Browser, store: Path) -> Film:
    """Film a chat whose server is killed."""
    server, film = Served(store), Film()
    await server.start(delay=SLOW)
    try:
        async with Tabs(browser, server.url) as tabs:
            window = {"width": SIZE[0], "height": SIZE[1]}
            film.tabs.append(await tabs.open("picture", viewport=window))
            film.caption = "An answer streams."
            await send(film.tabs[0], LONG)
            await film.until("#messages :text('lost its connection') >> nth=1")
            await server.kill()
            film.caption = "kill -9 of the server"
            await film.until("#state:not([data-state=live])")
            await film.take(1600)
            await server.start(delay=2 * SLOW)
            film.caption = "The server is started again, and the page comes back."
            await film.until("#state[data-state=live]")
            await film.take(1600)
            await send(film.tabs[0], LONG)
            await film.until("#messages :text('lost its connection') >> nth=3")
            film.tabs.append(await tabs.open("picture", viewport=window))
            film.caption = "A second tab gets a snapshot, and then the same events."
            await film.until(":not(:has([data-status=streaming])) > #messages")
            for tab in film.tabs:
                await expect(tab.locator("[data-status=streaming]")).to_have_count(0)
            film.caption = "Both show the same."
            await film.take(3000)
            assert tabs.foreign == []
    finally:
        await server.close()
    return film


async def still(page: Page, path: Path) -> None:
    """Write what a page shows."""
    await page.wait_for_load_state("networkidle")
    shot = Image.open(BytesIO(await page.screenshot(animations="disabled", caret="hide")))
    shot.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


async def stills(browser: Browser, directory: Path, scheme: Literal["light", "dark"], store: Path) -> None:
    """Write the stills of one colour scheme."""
    narrow, wide = {"width": 360, "height": 720}, {"width": 1440, "height": 900}
    server = Served(store)
    await server.start(delay=0.01)
    try:
        async with Tabs(browser, server.url) as tabs:
            for name, window in (("360", narrow), ("1440", wide)):
                page = await tabs.open(f"still-{scheme}-{name}", viewport=window, color_scheme=scheme)
                await send(page, PROMPT)
                await expect(page.locator("[data-status=finished]").first).to_be_visible()
                await still(page, directory / f"chat-{name}-{scheme}.png")
    finally:
        await server.close()
    with TemporaryDirectory() as temporary:
        lab = ServedLab(Path(temporary))
        await lab.start()
        try:
            async with Tabs(browser, lab.url) as tabs:
                page = await tabs.visit("phases/1", viewport=wide, color_scheme=scheme)
                await act(page, "submit", prompt=PROMPT)
                await still(page, directory / f"lab-1440-{scheme}.png")
                await page.goto(f"{lab.url}inspector#source=phase1")
                await page.locator("#session-table a").first.click()
                await expect(page.locator("#event-table tbody tr").first).to_be_visible()
                await still(page, directory / f"inspector-1440-{scheme}.png")
                page = await tabs.visit("phases/1", viewport=narrow, color_scheme=scheme)
                await still(page, directory / f"lab-360-{scheme}.png")
        finally:
            await lab.close()


async def take_all(directory: Path, scratch: Path) -> None:
    """Write all pictures into an existing directory."""
    async with chromium() as browser:
        (await film_chat(browser, scratch / "film.db")).save(directory / "chat.png")
        for scheme in ("light", "dark"):
            await stills(browser, directory, scheme, scratch / f"{scheme}.db")


def main(directory: Path) -> None:
    """Write all pictures, and print their sizes.

    Raises:
        ValueError: one is larger than ``LARGEST``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        asyncio.run(take_all(directory, Path(scratch)))
    for path in sorted(directory.glob("*.png")):
        size = path.stat().st_size
        print(f"{path}: {size:,} bytes")
        if size > LARGEST:
            raise ValueError(f"{path} has {size:,} bytes, at most {LARGEST:,} are wanted: take fewer frames or colours")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
