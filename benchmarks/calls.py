"""The number of calls for a published event, and of our files that it passes until its frame is sent.

    python -m benchmarks.calls [--files] [--functions]

``sys.setprofile`` counts the calls. The hub has one projection of each kind, a function as fan-out, and the memory
store; each event updates an entity. The figure is the median of the events. A call counts if

- ``publish`` is on the stack. Calls of asyncio's loop, and the benchmark's call of ``publish``, do not count; the
  library's calls of asyncio (its lock, its futures) do.
- neither the caller nor the called function is a projection or the fan-out, which belong to the benchmark. A
  projection's call of its view, or of an entity's class, does not count, but the calls that the library makes for it
  do.
- it is a call of a Python function, a generated ``__init__``, a coroutine that begins or is resumed, or a function
  written in C. CPython reports no calls of classes written in C, so creating a message or a future does not count.

The bare loop of ``publish_memory.py`` is counted in the same way.

The files are those below ``sessionstream/`` in which a function is called, in any thread, from the call of ``publish``
until the server calls ASGI's ``send``, with one subscriber of a ``WebSocketServer``. The ``__init__`` that a dataclass
generates counts for the file that defines the class. A file counts if most events pass it.

``--files`` prints their names. ``--functions`` prints the forty functions with the most calls, each with its number of
calls and the number of functions written in C that it calls.
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
    """Receive UI events and do nothing."""


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
    """Install a profile hook in this thread, and in every thread that starts within the block."""
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
    """Counts the calls within one function, for each event.

    Attributes:
        counted: the number of calls of each event.
        functions: the number of calls of each function, over all events.
        inside: the number of functions written in C that each function called, over all events.
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
        """Return the functions with the most calls, as lines of a Markdown table."""
        both = self.functions + self.inside
        lines = ["| calls per event | called | in C by it | function |", "|---|---|---|---|"]
        for name, total in both.most_common(SHOWN):
            each = (count / len(self.counted) for count in (total, self.functions[name], self.inside[name]))
            lines.append(f"| {' | '.join(f'{count:.2f}' for count in each)} | {name} |")
        return "\n".join(lines)


async def count_calls(publisher: Hub | BareLoop) -> Calls:
    """Publish, and count the calls of each event except the first of each entity."""
    calls = Calls(type(publisher).publish.__code__)
    for event in _events(ENTITIES):
        await publisher.publish(event)
    with _profiled(calls.hook):
        for event in _events(EVENTS):
            calls.counted.append(0)
            await publisher.publish(event)
    return calls


class Passed:
    """Records our files in which functions are called, between ``begin`` and ``end``."""

    def __init__(self) -> None:
        self._now: set[str] | None = None
        self._events: Counter[str] = Counter()

    def hook(self, frame: FrameType, kind: str, _: object) -> None:
        """Record a call; for ``sys.setprofile``."""
        if self._now is not None and kind == "call":
            self._now.add(_defined_in(frame))

    def begin(self) -> None:
        """Start to record calls."""
        self._now = set()

    def end(self) -> None:
        """Stop recording, because the event's frame is sent. Calling it again has no effect."""
        if self._now is not None:
            self._events.update(self._now)
            self._now = None

    def files(self) -> list[str]:
        """Return the files that most events pass."""
        return sorted(
            str(Path(name).relative_to(PACKAGE))
            for name, events in self._events.items()
            if name.startswith(PACKAGE) and events > EVENTS / 2
        )


class _Subscriber(Peer):
    """A connection that reports when the server has sent a message."""

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
