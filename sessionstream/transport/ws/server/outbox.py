"""The frames that wait to be sent to one connection, and the writer that sends them.

An outbox is bounded and filled without waiting. Its writer sends a frame at once where the server takes it at once, and
leaves a send that waits to a task.
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

from sessionstream.transport.ws.server.frames import Frame
from sessionstream.transport.ws.server.slow_consumers import Overflow

SendMessage: TypeAlias = Callable[[Any], Awaitable[None]]

Rest: TypeAlias = Callable[..., Awaitable[None]]
"""What is left of a send. Its argument, if any, is the cancellation that came before the task could carry it on."""

BURST: Final = 4
"""How many times its limits an outbox takes while its client had no chance to read."""


class Outbox:
    """Frames in order, with a limit on their number and on their bytes together.

    Snapshots are always taken and do not count towards the limit, because what a client asked for has to come, however
    large. They are kept few in another way: who fills the outbox asks ``has_room`` before it lets one load.

    Attributes:
        size: UTF-8 bytes of the frames that wait, snapshots included.
        close_message: the close message that comes after them; None while there is none.
    """

    __slots__ = ("_frames", "_max_bytes", "_max_frames", "_snapshots", "_snapshots_size", "close_message", "size")

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._snapshots = 0
        self._snapshots_size = 0
        self.size = 0
        self.close_message: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def has_room(self) -> bool:
        """Whether at least half of it is free."""
        return len(self._frames) * 2 <= self._max_frames and self.size * 2 <= self._max_bytes

    def offer(self, frame: Frame, *, burst: bool = False) -> bool:
        """Take a frame; return whether it was taken. In a ``burst`` there is room for ``BURST`` times as much."""
        if self.close_message is not None:
            return True  # nobody will read it, and that is nobody's fault any more
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
        """Take the next frame out; None, if nothing waits."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self.size -= frame.size
        if frame.kind == "snapshot":
            self._snapshots -= 1
            self._snapshots_size -= frame.size
        return frame

    def overflow(self, by: Frame) -> Overflow:
        """Return what a policy has to know; ``by`` is the frame that was not taken."""
        sizes: dict[str, int] = {}
        for frame in (*self._frames, by):
            if frame.kind == "ui":
                sizes[frame.session_id] = sizes.get(frame.session_id, 0) + frame.size
        return Overflow(len(self._frames), self.size, sizes)

    def drop_ui(self, sessions: AbstractSet[str]) -> int:
        """Drop the UI events of some sessions; return how many."""
        return self._drop(lambda frame: frame.kind == "ui" and frame.session_id in sessions)

    def drop(self, sessions: AbstractSet[str]) -> int:
        """Drop everything that shows some sessions, or says that it was shown; return how many frames."""
        return self._drop(lambda frame: frame.session_id in sessions)

    def _drop(self, goes: Callable[[Frame], bool]) -> int:
        before = len(self._frames)
        self._frames = deque(frame for frame in self._frames if not goes(frame))
        snapshots = [frame.size for frame in self._frames if frame.kind == "snapshot"]
        self._snapshots, self._snapshots_size = len(snapshots), sum(snapshots)
        self.size = sum(frame.size for frame in self._frames)
        return before - len(self._frames)

    def close(self, code: int, reason: str, *, flush: bool = False) -> None:
        """End it with a close message, after what waits (``flush``) or instead of it. The first close counts."""
        if self.close_message is None:
            self.close_message = {"type": "websocket.close", "code": code, "reason": reason}
            if not flush:
                self._frames.clear()
                self.size = self._snapshots = self._snapshots_size = 0


class Flusher:
    """The writers that have something to send, each once: they come to it when the loop has done what it is at.

    So publishing only enqueues, and events that are published together leave together. One turn serves all the
    connections of a server.
    """

    __slots__ = ("_due", "_iteration", "_writers")

    def __init__(self) -> None:
        self._writers: list[Writer] = []
        self._iteration = 0
        self._due = False

    def schedule(self, writer: Writer) -> None:
        """Have a writer called."""
        self._writers.append(writer)
        self.iteration()

    def iteration(self) -> int:
        """Return the number of this turn. It is another when the loop has gone on and the writers were called."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._come)
        return self._iteration

    def _come(self) -> None:
        self._due = False
        self._iteration += 1
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.flush()


class Writer:
    """Sends the frames of one outbox, in order, one after the other, and then the close message.

    Waking a task for a frame costs more than handing the frame to the server, and nearly always the server takes it
    without making anybody wait. So frames are sent in the turn of all writers, in the name of this writer's task: in
    its context, and as the current task. It is the task itself that carries on a send that waits, sends what comes
    behind it, and raises what a send raised.

    Args:
        on_empty: called when everything was sent.
        on_written: called after each frame that was sent.

    Attributes:
        sent: how many frames were sent so far.
        sending: whether a send is under way at this moment.
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
        self._send: SendMessage  # once it runs
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None]
        self._context: Context
        self._wake: asyncio.Future[None] | None = None  # while the task waits for something to do
        self._scheduled = False
        self._begun: tuple[Frame, Rest] | None = None  # a send, and how the task goes on
        self.sent = 0
        self.sending = False

    def start(self, send: SendMessage, name: str) -> asyncio.Task[None]:
        """Return the task. It ends when the close message is sent, and raises what ``send`` raises."""
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._task = self._loop.create_task(self._run(), name=name, context=self._context)
        return self._task

    def wake(self) -> None:
        """Something is in the outbox."""
        if self._wake is not None and not self._scheduled:
            self._scheduled = True
            self._flusher.schedule(self)

    def flush(self) -> None:
        """Send what there is, as far as nothing makes it wait; leave the rest to the task. Raises nothing."""
        self._scheduled = False
        wake, self._wake = self._wake, None  # what a send itself has to say is taken behind it, without another turn
        if wake is None or wake.done():
            return  # the task is at it, or cancelled
        self.sending = True
        # As "Extending asyncio" says, of whoever runs the code of a task: timeouts in it look for the current task.
        tasks._enter_task(self._loop, self._task)  # noqa: SLF001
        try:
            self._context.run(self._send_at_once)
        finally:
            tasks._leave_task(self._loop, self._task)  # noqa: SLF001
        if self._begun is None and self._outbox.close_message is None:
            self.sending = False
            self._wake = wake
            self._on_empty()
        elif not wake.done():  # it is, if the send has cancelled the task
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
        """Finish a send. Neither this frame nor a traceback may keep what the send returned.

        A server in Rust (granian) has objects there that the garbage collector cannot see into. One that is held
        here holds its whole connection, and nobody ever frees either.
        """
        frame, rest = begun
        self._begun = None
        sending = rest()
        del begun, rest
        await sending
        self._count(frame)

    async def _woken(self, wake: asyncio.Future[None]) -> None:
        """Wait. A cancellation may be meant for a send under way, as that of a timeout in there: the send gets it."""
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
    """Await what is left of a coroutine that was begun and waits for something."""
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
        del waits_for  # it may be the server's, and a traceback would keep it


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
