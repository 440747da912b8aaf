"""hub.session_events: a session's events as they become true, for a handler that waits for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sessionstream import HubClosed, InvalidIdError, SessionEvents, SQLiteStore

from .support import App, chunk, said

PATIENCE = 30.0


async def texts(events: SessionEvents, count: int) -> list[tuple[int, str]]:
    """Return ordinals and texts of the next events."""
    found = []
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            found.append((event.ordinal, chunk(event)))
            if len(found) == count:
                break
    return found


async def test_each_event_once_from_the_moment_of_entering() -> None:
    app = App()
    await app.publish("before")
    async with app.hub.session_events("s") as events:
        await app.publish("a", "b")
        await app.hub.publish(said("elsewhere", "another"))
        assert await texts(events, 2) == [(2, "a"), (3, "b")]
        waiting = asyncio.create_task(texts(events, 1))
        await asyncio.sleep(0)
        await app.publish("c")
        assert await waiting == [(4, "c")]


async def test_from_an_ordinal_on() -> None:
    app = App()
    await app.publish("a", "b", "c")
    async with app.hub.session_events("s", after=1) as events:
        assert await texts(events, 2) == [(2, "b"), (3, "c")]


async def test_more_events_than_are_kept() -> None:
    app = App()
    async with app.hub.session_events("s") as events:
        await app.publish(*map(str, range(250)))
        assert await texts(events, 250) == [(number + 1, str(number)) for number in range(250)]


async def test_the_payload_is_the_listeners_own() -> None:
    app = App()
    async with app.hub.session_events("s") as one, app.hub.session_events("s") as other:
        await app.publish("a")
        (await anext(one)).payload.Clear()
        assert await texts(other, 1) == [(1, "a")]
    assert chunk((await app.store.events("s"))[0]) == "a"


async def test_an_event_of_another_process_between_its_own(tmp_path: Path) -> None:
    schemas = App().schemas
    async with (
        SQLiteStore.open(tmp_path / "x.db", schemas) as here,
        SQLiteStore.open(tmp_path / "x.db", schemas) as there,
    ):
        app, other = App(here, schemas=schemas), App(there, schemas=schemas)
        async with app.hub.session_events("s") as events:
            await app.publish("a")
            await other.publish("b")
            await app.publish("c")
            await other.publish("d")
            assert await texts(events, 4) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
        assert app.hub._pipeline.follower is not None
        assert not app.hub._pipeline.follower.watched


async def test_it_ends_when_the_hub_is_shut_down() -> None:
    app = App()
    async with app.hub.session_events("s") as events:
        waiting = asyncio.create_task(texts(events, 1))
        await asyncio.sleep(0)
        await app.hub.shutdown()
        assert await waiting == []
        assert await texts(events, 1) == []
    with pytest.raises(HubClosed):
        app.hub.session_events("s")


async def test_who_has_left_hears_nothing_and_is_not_kept() -> None:
    app = App()
    events = app.hub.session_events("s")
    with pytest.raises(RuntimeError, match=r"async with hub\.session_events"):
        await anext(events)
    async with events:
        pass
    with pytest.raises(RuntimeError, match=r"async with hub\.session_events"):
        await anext(events)
    assert not app.hub._pipeline.listeners


@pytest.mark.parametrize(
    ("session_id", "after", "error"), [("", None, InvalidIdError), ("s", -1, ValueError), ("s", "1", TypeError)]
)
async def test_wrong_arguments(session_id: str, after: int | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        App().hub.session_events(session_id, after=after)
