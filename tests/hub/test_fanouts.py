"""Several fan-outs of one hub: each gets everything, whatever another one does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sessionstream import SQLiteStore, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate

from .support import App, Broken, Recorder, not_a, registry


class Resynced(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.resyncs: list[int] = []

    def resync(self, session_id: str, ordinal: int, epoch: int) -> None:
        self.resyncs.append(ordinal)


def chunks(recorder: Recorder) -> list[str]:
    payloads = [event.payload for _, _, events in recorder.sent for event in events]
    return [payload.chunk for payload in payloads if isinstance(payload, ChatMessageUpdate)]


async def test_each_gets_every_event_from_the_time_it_was_added() -> None:
    app, added = App(), Recorder()
    await app.publish("a")
    remove = app.hub.add_fanout(added)
    await app.publish("b")
    later = Recorder()
    app.hub.add_fanout(later)
    await app.publish("c")
    remove()
    remove()
    await app.publish("d")
    assert [app.recorder.ordinals(), added.ordinals(), later.ordinals()] == [[1, 2, 3, 4], [2, 3], [3, 4]]


async def test_setting_one_leaves_those_that_were_added() -> None:
    app, added, replaced = App(), Recorder(), Recorder()
    app.hub.add_fanout(added)
    app.hub.set_fanout(replaced)
    await app.publish("a")
    app.hub.set_fanout(None)
    await app.publish("b")
    assert [app.recorder.ordinals(), replaced.ordinals(), added.ordinals()] == [[], [1], [1, 2]]


async def test_the_same_one_twice_is_called_twice() -> None:
    app, twice = App(), Recorder()
    remove = app.hub.add_fanout(twice)
    app.hub.add_fanout(twice)
    await app.publish("a")
    remove()
    await app.publish("b")
    assert twice.ordinals() == [1, 1, 2]


async def test_each_may_change_its_events() -> None:
    def clear(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
        for event in events:
            event.payload.Clear()

    app, last = App(fanout=clear), Recorder()
    app.hub.add_fanout(clear)
    app.hub.add_fanout(last)
    await app.publish("a")
    assert chunks(last) == ["a"]


def broken(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
    raise Broken("this one")


def cancelled(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
    raise asyncio.CancelledError


def forgotten(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> object:
    return asyncio.sleep(0)


@pytest.mark.parametrize(
    ("fanouts", "words"),
    [
        ([broken], "this one"),
        ([cancelled], "CancelledError"),
        ([lambda *arguments: forgotten(*arguments)], "returned a coroutine"),
        ([broken, broken], "2 fan-outs failed: Broken: this one; Broken: this one"),
    ],
)
async def test_one_that_fails_is_recorded_and_the_others_get_theirs(
    fanouts: list[Callable[..., Any]], words: str
) -> None:
    app, last = App(), Recorder()
    for fanout in fanouts:
        app.hub.add_fanout(fanout)
    app.hub.add_fanout(last)
    await app.publish("a")
    assert [app.recorder.ordinals(), last.ordinals()] == [[1], [1]]
    (error,) = app.recorder.errors
    assert (error.kind, error.ordinal) == ("fanout", 1)
    assert words in error.error


async def test_resyncs_go_to_those_that_want_them() -> None:
    app, one, other = App(), Resynced(), Resynced()
    app.hub.add_fanout(one)
    app.hub.add_fanout(other)
    await app.publish("a")
    await app.hub.rebuild_timeline("s")
    assert one.resyncs == other.resyncs == [1]


async def test_a_fanout_that_misses_events_of_other_processes_is_named_beside_one_that_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        SQLiteStore.open(tmp_path / "x.db", registry()) as here,
        SQLiteStore.open(tmp_path / "x.db", registry()) as there,
    ):
        app, other = App(here, fanout=Resynced()), App(there, fanout=None)
        await app.publish("a")
        with caplog.at_level(logging.WARNING, "sessionstream"):
            await other.publish("b")
            await app.publish("c")
            assert not caplog.records
            app.hub.add_fanout(Recorder())
            await other.publish("d")
            await app.publish("e")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "the fan-out gets none of their UI events" in caplog.text


@pytest.mark.parametrize("fanout", [None, 3, Recorder, forgotten.__class__])
def test_what_is_no_fanout_is_refused(fanout: object) -> None:
    with pytest.raises(TypeError, match="a fan-out"):
        App().hub.add_fanout(not_a(fanout))
