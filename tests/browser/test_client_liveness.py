"""The JavaScript client in a page whose network goes and comes, and that is hidden and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..transport import notes
from .client import AN_HOUR, Site, site

if TYPE_CHECKING:
    from playwright.async_api import Browser

WATCH = f"""
    class Recorded extends WebSocket {{
      constructor(...given) {{
        super(...given);
        this.addEventListener("message", () => {{ window.heardAt = performance.now(); }});
      }}
    }}
    const client = window.client = connect("/ws", {{
      WebSocket: Recorded, heartbeat: {AN_HOUR}, hurryPatience: 300,
      floor: WAIT, first: WAIT, ceiling: WAIT, onState: tell,
    }});
    client.subscribe("s-1", {{ onSnapshot: ({{ ordinal }}) => tell({{ snapshot: String(ordinal) }}) }});
"""

SHOW = """
    Object.defineProperty(document, "visibilityState", { configurable: true, value: "%s" });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
"""
"""A browser without a window never hides a page; so the event is made."""

QUIET = """
    while (performance.now() - window.heardAt <= 1_050) await new Promise((resolve) => setTimeout(resolve, 50));
"""
"""Waits until the client will check the connection: it does not within a second of the last frame."""

LONGER = "window.heardAt = performance.now();" + QUIET
"""Waits longer than the client waits for an answer."""


async def watching(opened: Site, wait: int) -> None:
    await opened.run(WATCH.replace("WAIT", str(wait)))
    assert await opened.until(lambda told: "snapshot" in told) == {"snapshot": "0"}


async def missed(opened: Site) -> None:
    """Lose the connection without a word, and then an event."""
    opened.proxy.vanish()
    await notes.publish(opened.hub, "s-1", put={"a": "A"}, tell=["nobody hears it"])
    await opened.run(QUIET)


async def caught_up(opened: Site) -> None:
    assert await opened.until(lambda told: "snapshot" in told) == {"snapshot": "1"}


async def test_a_network_that_goes_is_noticed_and_one_that_comes_is_used_at_once(browser: Browser) -> None:
    async with site(browser) as opened:
        await watching(opened, wait=AN_HOUR)
        await opened.run(QUIET)
        await opened.context.set_offline(True)
        assert (await opened.state("reconnecting"))["reason"] == "the server is silent"
        await notes.publish(opened.hub, "s-1", put={"a": "A"})
        await opened.context.set_offline(False)
        await caught_up(opened)


async def test_a_page_that_goes_offline_keeps_a_connection_that_lives(browser: Browser) -> None:
    async with site(browser) as opened:
        await watching(opened, wait=AN_HOUR)
        await opened.run(
            QUIET + 'dispatchEvent(new Event("offline")); ' + LONGER + "tell({ state: client.state.state });"
        )
        assert await opened.until(lambda told: True) == {"state": "live"}


@pytest.mark.parametrize(
    "event",
    [
        'dispatchEvent(new Event("online"))',
        'dispatchEvent(new PageTransitionEvent("pageshow"))',
        SHOW % "hidden" + SHOW % "visible",
        "client.reconnect()",
    ],
    ids=["online", "pageshow", "visible", "reconnect()"],
)
async def test_a_half_open_connection_is_replaced_within_moments(browser: Browser, event: str) -> None:
    async with site(browser) as opened:
        await watching(opened, wait=1)
        await missed(opened)
        await opened.run(event)
        assert (await opened.state("reconnecting"))["reason"] == "the server is silent"
        await caught_up(opened)


async def test_a_page_that_is_hidden_asks_nothing(browser: Browser) -> None:
    async with site(browser) as opened:
        await watching(opened, wait=1)
        await missed(opened)
        await opened.run(SHOW % "hidden" + LONGER + "tell({ state: client.state.state })")
        assert await opened.until(lambda told: True) == {"state": "live"}


async def test_a_page_that_comes_back_from_the_cache_is_live_at_once(browser: Browser) -> None:
    async with site(browser) as opened:
        await watching(opened, wait=AN_HOUR)
        await opened.page.goto(f"{opened.url}/elsewhere")
        await notes.publish(opened.hub, "s-1", put={"a": "A"})
        await opened.page.evaluate("history.back()")
        await caught_up(opened)


async def test_a_client_that_is_closed_listens_to_the_page_no_more(browser: Browser) -> None:
    async with site(browser) as opened:
        await watching(opened, wait=1)
        await opened.run("client.close();")
        await opened.state("closed")
        made = opened.proxy.made
        await opened.run('for (const type of ["online", "offline", "pageshow"]) dispatchEvent(new Event(type));')
        await opened.run(SHOW % "visible" + "tell({ state: client.state.state })")
        assert await opened.until(lambda told: True) == {"state": "closed"}
        assert opened.proxy.made == made
