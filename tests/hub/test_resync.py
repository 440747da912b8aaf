"""A timeline that changed without this hub's events: the fan-out's resync is called."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sessionstream import UIEvent

from .support import App, Broken, not_a, said


class Clients:
    """A fan-out that notes both kinds of calls, in order."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[tuple[str, int]] = []
        self.epochs: list[int] = []
        self._error = error

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        self.told.append((session_id, ordinal))

    def resync(self, session_id: str, ordinal: int, epoch: int) -> None:
        self.told.append(("resync", ordinal))
        self.epochs.append(epoch)
        if self._error is not None:
            raise self._error


async def test_in_its_place_among_the_events() -> None:
    clients = Clients()
    app = App(fanout=clients)
    await app.publish("a", "b")
    report = await app.hub.rebuild_timeline("s")
    await app.publish("c")
    assert clients.told == [("s", 1), ("s", 2), ("resync", 2), ("s", 3)]
    assert clients.epochs == [report.epoch]


async def test_not_by_a_retry_or_a_failed_rebuild() -> None:
    clients = Clients()
    app = App(fanout=clients)
    await app.publish("a")
    await app.hub.retry_timeline("s")
    await app.store.prune("s", before=1)
    with pytest.raises(Exception, match="pruned"):
        await app.hub.rebuild_timeline("s")
    assert clients.told == [("s", 1)]


async def test_what_another_hub_did_is_made_good_before_the_next_event() -> None:
    """As another process on the same store: nobody here was told of its events."""
    clients = Clients()
    app = App(fanout=clients)
    other = App(app.store, schemas=app.schemas)
    await app.publish("a")
    await other.publish("b", "c")
    await app.publish("d", "e")
    assert clients.told == [("s", 1), ("resync", 3), ("s", 4), ("s", 5)]
    await other.hub.rebuild_timeline("s")
    await app.publish("f")
    assert clients.told[4:] == [("resync", 5), ("s", 6)]


async def test_a_session_that_is_read_anew_may_have_moved_meanwhile() -> None:
    """Whoever got a snapshot here before knows more than this hub does."""
    app = App()
    await app.publish("a")
    clients = Clients()
    later = App(app.store, schemas=app.schemas, fanout=clients)
    await later.publish("b")
    assert clients.told == [("resync", 1), ("s", 2)]


async def test_what_it_raises_is_recorded_and_the_timeline_stays_rebuilt() -> None:
    app = App(fanout=Clients(Broken("no clients")))
    await app.publish("a")
    report = await app.hub.rebuild_timeline("s")
    assert report.events == 1
    (record,) = app.recorder.errors
    assert (record.kind, record.session_id, record.ordinal) == ("fanout", "s", 1)
    assert "no clients" in record.error


async def test_a_fan_out_without_the_method_and_a_function() -> None:
    app = App(fanout=lambda session_id, ordinal, events: None)
    await app.publish("a")
    assert (await app.hub.rebuild_timeline("s")).events == 1
    app.hub.set_fanout(None)
    assert (await app.hub.rebuild_timeline("s")).events == 1
    await app.hub.publish(said("b"))


def test_an_async_one_is_refused() -> None:
    class Async(Clients):
        async def resync(self, session_id: str, ordinal: int, epoch: int) -> None:  # type: ignore[override]
            raise NotImplementedError

    with pytest.raises(TypeError, match="resync"):
        App(fanout=not_a(Async()))
