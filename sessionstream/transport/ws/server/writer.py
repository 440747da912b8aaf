"""Who sends what an outbox holds: at once where the server takes it at once, in a task where it makes one wait."""

from __future__ import annotations

import asyncio
from asyncio import tasks
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context, copy_context
from functools import partial
from types import CoroutineType, coroutine
from typing import Any, TypeAlias

from sessionstream.transport.ws.server.frames import Frame
from sessionstream.transport.ws.server.outbox import Outbox

SendMessage: TypeAlias = Callable[[Any], Awaitable[None]]

Rest: TypeAlias = Callable[..., Awaitable[None]]
"""What is left of a send. Its argument, if any, is the cancellation that came before the task could carry it on."""


class Turn:
    """The writers that have something to send, each once: they come to it when the loop has done what it is at.

    So publishing only enqueues, and events that are published together leave together. One turn serves all the
    connections of a server.
    """

    __slots__ = ("_due", "_number", "_writers")

    def __init__(self) -> None:
        self._writers: list[Writer] = []
        self._number = 0
        self._due = False

    def ask(self, writer: Writer) -> None:
        """Have a writer called."""
        self._writers.append(writer)
        self.number()

    def number(self) -> int:
        """Return the number of this turn. It is another when the loop has gone on and the writers were called."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._come)
        return self._number

    def _come(self) -> None:
        self._due = False
        self._number += 1
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.flush()


class Writer:
    """Sends the frames of one outbox, in order, one after the other, and then its goodbye.

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
        "_asked", "_begun", "_context", "_loop", "_on_empty", "_on_written", "_outbox", "_send", "_task", "_turn",
        "_wake", "sending", "sent",
    )  # fmt: skip

    def __init__(
        self,
        outbox: Outbox,
        turn: Turn,
        *,
        on_empty: Callable[[], None],
        on_written: Callable[[Frame], None] | None = None,
    ) -> None:
        self._outbox = outbox
        self._turn = turn
        self._on_empty = on_empty
        self._on_written = on_written
        self._send: SendMessage  # once it runs
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None]
        self._context: Context
        self._wake: asyncio.Future[None] | None = None  # while the task waits for something to do
        self._asked = False
        self._begun: tuple[Frame, Rest] | None = None  # a send, and how the task goes on
        self.sent = 0
        self.sending = False

    def start(self, send: SendMessage, name: str) -> asyncio.Task[None]:
        """Return the task. It ends when the goodbye is sent, and raises what ``send`` raises."""
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._task = self._loop.create_task(self._run(), name=name, context=self._context)
        return self._task

    def wake(self) -> None:
        """Something is in the outbox."""
        if self._wake is not None and not self._asked:
            self._asked = True
            self._turn.ask(self)

    def flush(self) -> None:
        """Send what there is, as far as nothing makes it wait; leave the rest to the task. Raises nothing."""
        self._asked = False
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
        if self._begun is None and self._outbox.goodbye is None:
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
                if outbox.goodbye is not None:
                    await self._send(outbox.goodbye)
                    return
                self.sending = False
                self._on_empty()
                if not outbox and outbox.goodbye is None:
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
