"""How many calls a published event costs, and how many files of ours it passes until its frame is sent.

    python -m benchmarks.calls [--files] [--functions]

Calls are counted by ``sys.setprofile``: one projection of each kind, a function as fan-out, the memory store, an event
that updates an entity; the median of the events. A call counts if

- ``publish`` is on the stack. Neither asyncio's loop nor the benchmark's call of ``publish`` counts; what the library
  calls of asyncio (its lock, its futures) does.
- neither the caller nor the called is a projection or the fan-out, which are the benchmark's. When a projection asks
  its view or makes an entity, that call does not count, but those that the library makes to answer it do.
- it is of a Python function, of a generated ``__init__``, of a coroutine that begins or is resumed, or of a function
  written in C. CPython reports no call of a class that is written in C: making a message or a future does not count.

The bare loop of ``publish_memory.py`` is counted in the same way.

The files are those below ``sessionstream/`` in which a function is called, in any thread, from the call of ``publish``
until the server calls ASGI's ``send``, with one subscriber of a ``WebSocketServer``. The ``__init__`` that a dataclass
generates counts for the file that defines the class. A file counts if most events pass it.

``--files`` prints their names, and ``--functions`` the forty functions that cost the most calls: each with how often it
is called, and how many functions written in C it calls itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from types import CodeType, FrameType
from typing import Any, TypeAlias

import sessionstream
from benchmarks.figures import Figure, report
from benchmarks.publish_memory import CHUNK, BareLoop, new_schemas, timeline_projection, ui_projection
from benchmarks.subscribe import SESSION, Peer
from sessionstream import Event, Hub, HydrationStore, MemoryStore, SQLiteStore, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.fanout import FanoutFunction, UIFanout
from sessionstream.transport.ws import WebSocketServer

ENTITIES = 10
EVENTS = 100
SHOWN = 40
ROOT = Path(sessionstream.__file__).parents[1]
PACKAGE = str(Path(sessionstream.__file__).parent)

Hook: TypeAlias = Callable[[FrameType, str, object], None]


def _fan_out(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
    """Take UI events and do nothing."""


CALLBACKS = frozenset(function.__code__ for function in (ui_projection, timeline_projection, _fan_out))


def _events(count: int) -> list[Event]:
    payloads = (TokensDeltaEvent(message_id=f"m{number % ENTITIES}", chunk=CHUNK) for number in range(count))
    return [Event("Delta", payload, SESSION) for payload in payloads]


def _hub(store: HydrationStore | None, fanout: UIFanout | FanoutFunction | None) -> Hub:
    hub = Hub(new_schemas(), store=store, fanout=fanout)
    hub.register_ui_projection(ui_projection)
    hub.register_timeline_projection(timeline_projection)
    return hub


@contextmanager
def _profiled(hook: Hook) -> Iterator[None]:
    """Have a hook called in this thread, and in every thread that begins meanwhile."""
    threading.setprofile(hook)
    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _defined_in(frame: FrameType) -> str:
    """Return the file of the called function, or of the class whose ``__init__`` was generated."""
    if frame.f_code.co_filename != "<string>":
        return frame.f_code.co_filename
    return str(getattr(sys.modules[type(frame.f_locals.get("self")).__module__], "__file__", ""))


def _named(frame: FrameType) -> str:
    file = Path(_defined_in(frame))
    generated = frame.f_code.co_filename == "<string>"
    name = f"{type(frame.f_locals.get('self')).__qualname__}.__init__" if generated else frame.f_code.co_qualname
    return f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else '/'.join(file.parts[-2:])} {name}"


class Calls:
    """Counts the calls that are made on behalf of one function, event by event.

    Attributes:
        counted: for each event.
        functions: how often each was called, over all events.
        inside: how many functions written in C each has called, over all events.
    """

    def __init__(self, publish: CodeType) -> None:
        self._publish = publish
        self.counted: list[int] = []
        self.functions: Counter[str] = Counter()
        self.inside: Counter[str] = Counter()

    def hook(self, frame: FrameType, kind: str, _: object) -> None:
        """Count a call; for ``sys.setprofile``."""
        if kind == "call" and frame.f_code not in CALLBACKS and self._counts(frame.f_back):
            self.counted[-1] += 1
            self.functions[_named(frame)] += 1
        elif kind == "c_call" and self._counts(frame):
            self.counted[-1] += 1
            self.inside[_named(frame)] += 1

    def _counts(self, caller: FrameType | None) -> bool:
        if caller is None or caller.f_code in CALLBACKS:
            return False
        while caller is not None:
            if caller.f_code is self._publish:
                return True
            caller = caller.f_back
        return False

    def table(self) -> str:
        """Return the functions that cost the most calls, as lines of a Markdown table."""
        both = self.functions + self.inside
        lines = ["| calls per event | called | in C by it | function |", "|---|---|---|---|"]
        for name, total in both.most_common(SHOWN):
            each = (count / len(self.counted) for count in (total, self.functions[name], self.inside[name]))
            lines.append(f"| {' | '.join(f'{count:.2f}' for count in each)} | {name} |")
        return "\n".join(lines)


async def count_calls(publisher: Hub | BareLoop) -> Calls:
    """Publish, and count the calls of each event after the first of each entity."""
    calls = Calls(type(publisher).publish.__code__)
    for event in _events(ENTITIES):
        await publisher.publish(event)
    with _profiled(calls.hook):
        for event in _events(EVENTS):
            calls.counted.append(0)
            await publisher.publish(event)
    return calls


class Passed:
    """Notes the files of ours that functions are called in, while it is told to."""

    def __init__(self) -> None:
        self._now: set[str] | None = None
        self._events: Counter[str] = Counter()

    def hook(self, frame: FrameType, kind: str, _: object) -> None:
        """Note a call; for ``sys.setprofile``."""
        if self._now is not None and kind == "call":
            self._now.add(_defined_in(frame))

    def begin(self) -> None:
        """Note what is called from now on."""
        self._now = set()

    def end(self) -> None:
        """Stop, if that has not been done; the event's frame is sent."""
        if self._now is not None:
            self._events.update(self._now)
            self._now = None

    def files(self) -> list[str]:
        """Return those of ours that most events pass."""
        return sorted(
            str(Path(name).relative_to(PACKAGE))
            for name, events in self._events.items()
            if name.startswith(PACKAGE) and events > EVENTS / 2
        )


class _Subscriber(Peer):
    """A connection that says when the server has sent something."""

    def __init__(self, server: WebSocketServer, sent: Callable[[], None]) -> None:
        self._on_send = sent
        super().__init__(server)

    async def _send(self, message: dict[str, Any]) -> None:
        self._on_send()
        await super()._send(message)


@asynccontextmanager
async def _memory() -> AsyncIterator[HydrationStore]:
    yield MemoryStore(new_schemas())


@asynccontextmanager
async def _sqlite() -> AsyncIterator[HydrationStore]:
    with tempfile.TemporaryDirectory() as directory:
        async with SQLiteStore.open(Path(directory) / "store.db", new_schemas()) as store:
            yield store


async def passed_files(opened: Callable[[], AbstractAsyncContextManager[HydrationStore]]) -> list[str]:
    """Publish to one subscriber, and return the files that an event passes until its frame is sent."""
    passed = Passed()
    with _profiled(passed.hook):
        async with opened() as store:
            hub = _hub(store, None)
            server = WebSocketServer(hub)
            hub.set_fanout(server)
            subscriber = _Subscriber(server, passed.end)
            await subscriber.subscribe()
            for event in _events(ENTITIES):
                await hub.publish(event)
                await subscriber.read()
            for event in _events(EVENTS):
                passed.begin()
                await hub.publish(event)
                await subscriber.read()
            await subscriber.leave()
    return passed.files()


STORES = {"memory store": _memory, "SQLite": _sqlite}


async def main() -> list[Figure]:
    """Count, and return calls per event."""
    ours, bare = await count_calls(_hub(None, _fan_out)), await count_calls(BareLoop([]))
    what, against = "calls to publish, memory store", "the same copies and projection calls"
    return [Figure(what, median(ours.counted), against, median(bare.counted), "calls", "≤ 90 calls")]


async def _print(files: bool, functions: bool) -> None:
    report(await main())
    for name, opened in STORES.items():
        names = await passed_files(opened)
        print(f"\n{len(names)} files until the frame is sent, {name}")
        if files:
            print("\n".join(f"  {each}" for each in names))
    if functions:
        print(f"\n{(await count_calls(_hub(None, _fan_out))).table()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description="count calls and files of an event")
    parser.add_argument("--files", action="store_true", help="print the names of the files")
    parser.add_argument("--functions", action="store_true", help="print the functions that cost the most calls")
    asyncio.run(_print(**vars(parser.parse_args())))
