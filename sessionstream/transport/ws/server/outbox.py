"""The queue of frames of one connection, and the writer that sends them.

An outbox is bounded, and putting a frame into it never waits. The writer sends a frame without a task switch if
``send`` does not suspend; otherwise the writer's task finishes it.
"""

from __future__ import annotations

import asyncio
from asyncio import tasks
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from collections.abc import Set as AbstractSet
from contextvars import Context, copy_context
from functools import partial
from types import CoroutineType, coroutine
from typing import Any, Final, TypeAlias

from sessionstream.transport.access import SendMessage
from sessionstream.transport.ws.server.frames import Frame
from sessionstream.transport.ws.server.slow_consumers import Overflow

Rest: TypeAlias = Callable[..., Awaitable[None]]
"""The rest of a send that was begun. Its argument, if any, is a cancellation that came before the task continued it."""

BURST: Final = 4
"""Factor on the limits of an outbox while its client had no chance to read."""


class Outbox:
    """A queue of frames, with a limit on their number and on their total bytes.

    Snapshots are always accepted and do not count, because a client must get what it requested, however large. Their
    number is limited by the connection, which loads one only if ``has_room``.

    Attributes:
        size: UTF-8 bytes of all frames in the queue, including snapshots.
        close_message: the close message to send after them; None until ``close``.
    """

    __slots__ = ("_frames", "_max_bytes", "_max_frames", "_snapshots", "_snapshots_size", "close_message", "size")

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._snapshots = 0
        self._snapshots_size = 0
        self.size: int = 0
        self.close_message: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def has_room(self) -> bool:
        """Whether at least half of both limits is free, snapshots included."""
        return len(self._frames) * 2 <= self._max_frames and self.size * 2 <= self._max_bytes

    def offer(self, frame: Frame, *, burst: bool = False) -> bool:
        """Append a frame if the limits allow; return whether they did. ``burst`` multiplies the limits by ``BURST``."""
        if self.close_message is not None:
            return True  # it is closing: the frame is ignored
        if frame.kind == "snapshot":
            self._snapshots += 1
            self._snapshots_size += frame.size
        else:
            count, size = len(self._frames) - self._snapshots, self.size - self._snapshots_size
            times = BURST if burst else 1
            if count and (count >= self._max_frames * times or size + frame.size > self._max_bytes * times):
                return False
        self._frames.append(frame)
        self.size += frame.size
        return True

    def take(self) -> Frame | None:
        """Remove and return the next frame; None if the queue is empty."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self.size -= frame.size
        if frame.kind == "snapshot":
            self._snapshots -= 1
            self._snapshots_size -= frame.size
        return frame

    def overflow(self, by: Frame) -> Overflow:
        """Return the argument for a policy; ``by`` is the frame that was not accepted."""
        sizes: dict[str, int] = {}
        for frame in (*self._frames, by):
            if frame.kind == "ui":
                sizes[frame.session_id] = sizes.get(frame.session_id, 0) + frame.size
        return Overflow(len(self._frames), self.size, sizes)

    def drop_ui(self, sessions: AbstractSet[str]) -> int:
        """Drop the UI events of some sessions; return how many."""
        return self._drop(lambda frame: frame.kind == "ui" and frame.session_id in sessions)

    def drop(self, sessions: AbstractSet[str]) -> int:
        """Drop all frames of some sessions; return how many."""
        return self._drop(lambda frame: frame.session_id in sessions)

    def _drop(self, goes: Callable[[Frame], bool]) -> int:
        before = len(self._frames)
        self._frames = deque(frame for frame in self._frames if not goes(frame))
        snapshots = [frame.size for frame in self._frames if frame.kind == "snapshot"]
        self._snapshots, self._snapshots_size = len(snapshots), sum(snapshots)
        self.size = sum(frame.size for frame in self._frames)
        return before - len(self._frames)

    def close(self, code: int, reason: str, *, flush: bool = False) -> None:
        """Add the close message, after the queue (``flush``) or instead of it. Only the first call has an effect."""
        if self.close_message is None:
            self.close_message = {"type": "websocket.close", "code": code, "reason": reason}
            if not flush:
                self._frames.clear()
                self.size = self._snapshots = self._snapshots_size = 0


class Flusher:
    """Flushes the writers that have something to send, in the next iteration of the event loop.

    So publishing only enqueues, and events that are published together are sent together. One flusher serves all
    connections of a server.
    """

    __slots__ = ("_due", "_iteration", "_writers")

    def __init__(self) -> None:
        self._writers: list[Writer] = []
        self._iteration = 0
        self._due = False

    def schedule(self, writer: Writer) -> None:
        """Have a writer flushed in the next iteration."""
        self._writers.append(writer)
        self.iteration()

    def iteration(self) -> int:
        """Return the number of this iteration; it increases when the loop goes on and the writers were flushed."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._flush)
        return self._iteration

    def _flush(self) -> None:
        self._due = False
        self._iteration += 1
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.flush()


class Writer:
    """Sends the frames of one outbox, one after the other, and then the close message.

    Waking a task costs more than handing a frame to the server, whose ``send`` rarely suspends. So the flusher calls
    ``send`` directly, as if in this writer's task: in its context, and with it as the current task. If a ``send``
    suspends, the task finishes it and sends the frames behind it. The task also raises what a ``send`` raised.

    Args:
        on_empty: called when all frames were sent.
        on_written: called after each frame.

    Attributes:
        sent: number of frames sent so far.
        sending: whether a send is in progress.
    """

    __slots__ = (
        "_begun", "_context", "_flusher", "_loop", "_on_empty", "_on_written", "_outbox", "_scheduled", "_send",
        "_task", "_wake", "sending", "sent",
    )  # fmt: skip

    def __init__(
        self,
        outbox: Outbox,
        flusher: Flusher,
        *,
        on_empty: Callable[[], None],
        on_written: Callable[[Frame], None] | None = None,
    ) -> None:
        self._outbox = outbox
        self._flusher = flusher
        self._on_empty = on_empty
        self._on_written = on_written
        self._send: SendMessage  # set by start
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None]
        self._context: Context
        self._wake: asyncio.Future[None] | None = None  # set while the task is idle
        self._scheduled = False
        self._begun: tuple[Frame, Rest] | None = None  # a send that the task has to finish
        self.sent: int = 0
        self.sending: bool = False

    def start(self, send: SendMessage, name: str) -> asyncio.Task[None]:
        """Start and return the task. It ends when the close message was sent, and raises what ``send`` raises."""
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._task = self._loop.create_task(self._run(), name=name, context=self._context)
        return self._task

    def wake(self) -> None:
        """Call this after putting something into the outbox."""
        if self._wake is not None and not self._scheduled:
            self._scheduled = True
            self._flusher.schedule(self)

    def flush(self) -> None:
        """Send frames until a send suspends; leave the rest to the task. Raises nothing."""
        self._scheduled = False
        wake, self._wake = self._wake, None  # frames that a send itself puts in are sent by the loop below
        if wake is None or wake.done():
            return  # the task is sending, or was cancelled
        self.sending = True
        # As "Extending asyncio" says for code that runs a task's code: asyncio.timeout looks for the current task.
        tasks._enter_task(self._loop, self._task)  # noqa: SLF001
        try:
            self._context.run(self._send_at_once)
        finally:
            tasks._leave_task(self._loop, self._task)  # noqa: SLF001
        if self._begun is None and self._outbox.close_message is None:
            self.sending = False
            self._wake = wake
            self._on_empty()
        elif not wake.done():  # it is done if the send cancelled the task
            wake.set_result(None)

    def _send_at_once(self) -> None:
        while self._begun is None and (frame := self._outbox.take()) is not None:
            try:
                sending = self._send({"type": "websocket.send", "text": frame.text})
                if type(sending) is CoroutineType:
                    self._begun = frame, partial(_carried_on, sending, sending.send(None))
                else:
                    self._begun = frame, partial(_awaited, sending)
            except StopIteration:
                self._count(frame)
            except BaseException as error:  # noqa: BLE001 - the task raises it
                self._begun = frame, partial(_failed, error)

    async def _run(self) -> None:
        outbox = self._outbox
        try:
            while True:
                self.sending = True
                if self._begun is not None:
                    await self._carry_on(self._begun)
                while (frame := outbox.take()) is not None:
                    await self._send({"type": "websocket.send", "text": frame.text})
                    self._count(frame)
                if outbox.close_message is not None:
                    await self._send(outbox.close_message)
                    return
                self.sending = False
                self._on_empty()
                if not outbox and outbox.close_message is None:
                    self._wake = self._loop.create_future()
                    await self._woken(self._wake)
        finally:
            self._begun = self._wake = None

    async def _carry_on(self, begun: tuple[Frame, Rest]) -> None:
        """Finish a send. Neither this frame nor a traceback may keep a reference to what ``send`` returned.

        In a server written in Rust (granian) the garbage collector cannot look into that object. A reference from here
        would leak it and its whole connection.
        """
        frame, rest = begun
        self._begun = None
        sending = rest()
        del begun, rest
        await sending
        self._count(frame)

    async def _woken(self, wake: asyncio.Future[None]) -> None:
        """Wait. A cancellation during a begun send, such as that of a timeout inside it, is passed to the send."""
        try:
            await wake
        except asyncio.CancelledError as error:
            if self._begun is None:
                raise
            frame, rest = self._begun
            self._begun = frame, partial(rest, error)

    def _count(self, frame: Frame) -> None:
        self.sent += 1
        if self._on_written is not None:
            self._on_written(frame)


@coroutine
def _carried_on(
    begun: CoroutineType[Any, Any, None], waits_for: object, cancelled: asyncio.CancelledError | None = None
) -> Generator[Any, Any, None]:
    """Await the rest of a coroutine that was begun and has suspended."""
    try:
        while True:
            try:
                if cancelled is not None:
                    raise cancelled
                step = partial(begun.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001 - the coroutine gets it
                step, cancelled = partial(begun.throw, error), None
            try:
                waits_for = step()
            except StopIteration:
                return
    finally:
        del waits_for  # it may belong to the server; a traceback would keep it


async def _awaited(sending: Awaitable[None], cancelled: asyncio.CancelledError | None = None) -> None:
    try:
        if cancelled is not None:
            if asyncio.isfuture(sending):
                sending.cancel()
            raise cancelled
        await sending
    finally:
        del sending  # a traceback would keep it


async def _failed(error: BaseException, _: asyncio.CancelledError | None = None) -> None:
    raise error
