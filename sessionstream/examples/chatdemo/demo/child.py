"""The chat process: opens a SQLite file, answers prompts from its input, and prints what happens.

``python -m sessionstream.examples.chatdemo.demo.child FILE SESSION DELAY LIMIT``

It first prints the snapshot it found, then for every line of its input (a prompt, as a JSON string) the live UI
events of the answer and the snapshot after it. An answer of more than LIMIT pieces is stopped. When its input
ends it closes the file and exits, so it never outlives its parent process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from sessionstream import SQLiteStore, UIEvent
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.demo.records import LiveUpdate, StoredSnapshot, snapshot_of, to_line, update_of
from sessionstream.examples.chatdemo.schemas import TOKENS_DELTA, UI_EVENTS, chat_schemas


def say(record: LiveUpdate | StoredSnapshot) -> None:
    """Print one record, at once."""
    print(to_line(record), flush=True)


class Reader:
    """A live client: prints the UI events, and has read enough after a given number of pieces."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces = 0
        self.enough: asyncio.Event = asyncio.Event()

    def publish_ui(self, _session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Print the UI events."""
        for event in events:
            say(update_of(ordinal, event))
            self._pieces += event.name == UI_EVENTS[TOKENS_DELTA]
        if self._pieces >= self._limit:
            self.enough.set()


def lines(descriptor: int) -> Iterator[bytes]:
    """Read lines to the end; unlike ``sys.stdin``, a thread that waits here does not hold up the exit."""
    rest = b""
    while data := os.read(descriptor, 1 << 16):
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


async def serve(path: str, session_id: str, delay: float, limit: int, prompts: asyncio.Queue[str]) -> None:
    """Open the file and answer prompts until cancelled.

    Raises:
        SessionstreamError: the file cannot be opened, or an answer failed.
    """
    async with SQLiteStore.open(path, chat_schemas()) as store, Chat(store=store, delay=delay) as chat:
        say(snapshot_of(await chat.hub.snapshot(session_id)))
        while True:
            prompt = await prompts.get()
            reader = Reader(limit)
            chat.hub.set_fanout(reader)
            await chat.start(session_id, prompt)
            await _read_along(chat, session_id, reader)
            say(snapshot_of(await chat.hub.snapshot(session_id)))


async def run(path: str, session_id: str, delay: float, limit: int) -> None:
    """Serve until standard input ends, be it in the middle of an answer."""
    loop = asyncio.get_running_loop()
    prompts: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.create_task(serve(path, session_id, delay, limit, prompts))

    def read() -> None:
        with suppress(RuntimeError):  # the loop is gone when serving has failed
            for line in lines(0):
                loop.call_soon_threadsafe(prompts.put_nowait, json.loads(line))
            loop.call_soon_threadsafe(serving.cancel)

    threading.Thread(target=read, daemon=True).start()
    with suppress(asyncio.CancelledError):
        await serving


async def _read_along(chat: Chat, session_id: str, reader: Reader) -> None:
    async def stop_when_enough() -> None:
        await reader.enough.wait()
        await chat.stop(session_id)

    async with asyncio.TaskGroup() as tasks:
        stopping = tasks.create_task(stop_when_enough())
        await chat.wait(session_id)
        if not reader.enough.is_set():
            stopping.cancel()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
