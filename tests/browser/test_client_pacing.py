"""A virtual list in a page, scrolled past more sessions than the server lets a client watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessionstream.transport.ws import Limits

from ..transport import notes
from ..transport.test_js_pacing import ROWS, SHOWN, TIGHT, VIEW, subscribed_to
from .client import site

if TYPE_CHECKING:
    from playwright.async_api import Browser

SCROLL = f"""
    const client = window.client = connect("/ws", {{ onState: tell }});
    const shown = new Map();
    const show = (row) => shown.set(row, client.subscribe(`row-${{row}}`, {{
      onEvent: ({{ payload }}) => tell({{ [row]: payload.value }}),
      onEnd: (why) => tell({{ end: why }}),
    }}));
    for (let row = 0; row < {ROWS}; row++) {{
      shown.get(row - {VIEW})?.unsubscribe();
      show(row);
      if (row % 10 === 0) await new Promise(requestAnimationFrame);
    }}
"""


@pytest.mark.parametrize("limits", [Limits(), TIGHT], ids=["default", "tight"])
async def test_600_rows_scrolled_past_end_with_those_that_are_shown(browser: Browser, limits: Limits) -> None:
    async with site(browser, limits=limits) as opened:
        await opened.run(SCROLL)
        await subscribed_to(opened.server, SHOWN)
        await notes.publish(opened.hub, f"row-{ROWS - 1}", tell=["it is live"])
        assert await opened.until(lambda told: "state" not in told) == {str(ROWS - 1): "it is live"}
        assert await opened.run("return client.state.state") == "live"
