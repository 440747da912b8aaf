"""Frames are sent in the name of the writer's task: at once where the server lets them, by the task where it waits."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sessionstream.transport.access import SendMessage
from sessionstream.transport.ws.server.frames import Frame
from sessionstream.transport.ws.server.outbox import Flusher, Outbox, Writer

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


def frame(text: str) -> Frame:
    return Frame(text, len(text), "ui", "s")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Socket:
    """What a server has for ``send``: takes everything, or lets one wait at a gate."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.whos: list[str] = []
        self.gate: asyncio.Event | None = None
        self.error: BaseException | None = None
        self.at_once: Callable[[], None] = lambda: None

    async def send(self, message: dict[str, Any]) -> None:
        self.tasks.append(asyncio.current_task())
        self.whos.append(WHO.get())
        if self.error is not None:
            raise self.error
        at_once, self.at_once = self.at_once, lambda: None
        at_once()
        if self.gate is not None:
            await self.gate.wait()
            await asyncio.sleep(0)
        self.sent.append(message.get("text", message.get("code")))
        self.tasks.append(asyncio.current_task())


class Desk:
    """A writer with its outbox, and how often it had sent everything."""

    def __init__(self, flusher: Flusher | None = None) -> None:
        self.outbox = Outbox(100, 10_000)
        self.empty = 0
        self.when_empty: Callable[[], None] = lambda: None
        self.written: list[str] = []
        self.writer = Writer(
            self.outbox,
            flusher or Flusher(),
            on_empty=self._on_empty,
            on_written=lambda frame: self.written.append(frame.text),
        )

    def _on_empty(self) -> None:
        self.empty += 1
        self.when_empty()

    def offer(self, *texts: str) -> None:
        for text in texts:
            assert self.outbox.offer(frame(text))
        self.writer.wake()

    @asynccontextmanager
    async def running(self, send: SendMessage) -> AsyncIterator[asyncio.Task[None]]:
        task = self.writer.start(send, "writer")
        await settle()
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_what_the_server_takes_at_once_is_sent_without_waking_the_task() -> None:
    desk, socket = Desk(), Socket()
    token = WHO.set("writer")
    async with desk.running(socket.send) as task:
        WHO.reset(token)
        desk.offer("a", "b")
        assert socket.sent == []  # whoever publishes does no more than to enqueue
        await asyncio.sleep(0)
        assert socket.sent == desk.written == ["a", "b"]
        assert (desk.writer.sent, desk.writer.sending, desk.empty) == (2, False, 2)
        assert set(socket.tasks) == {task}
        assert set(socket.whos) == {"writer"}
        assert asyncio.current_task() is not task


async def test_a_send_that_waits_is_carried_on_by_the_task_and_the_rest_comes_behind_it() -> None:
    desk, socket = Desk(), Socket()
    socket.gate = asyncio.Event()
    async with desk.running(socket.send) as task:
        desk.offer("a", "b")
        await settle()
        desk.offer("c")
        await settle()
        assert (socket.sent, desk.writer.sending, len(desk.outbox)) == ([], True, 2)
        socket.gate.set()
        await settle()
        await settle()
        assert socket.sent == desk.written == ["a", "b", "c"]
        assert (desk.writer.sent, desk.writer.sending, desk.empty) == (3, False, 2)
        assert set(socket.tasks) == {task}


async def test_a_timeout_within_a_send_ends_that_send_and_nothing_else() -> None:
    desk, socket, late = Desk(), Socket(), asyncio.Event()
    socket.gate = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(0.001):
                await socket.send(message)
        except TimeoutError:
            socket.sent.append("too late")
            late.set()

    async with desk.running(send):
        desk.offer("a")
        await late.wait()
        socket.gate = None
        desk.offer("b")
        await settle()
        assert socket.sent == ["too late", "b"]


async def test_a_timeout_that_comes_before_the_task_carries_the_send_on_ends_that_send_and_nothing_else() -> None:
    desk, socket = Desk(), Socket()

    async def send(message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(0):  # over in the loop's next round, ahead of the task
                await asyncio.Event().wait()
        except TimeoutError:
            socket.sent.append("too late")

    async with desk.running(send) as task:
        desk.offer("a", "b")
        await settle()
        assert socket.sent == ["too late", "too late"]
        assert desk.written == ["a", "b"]
        assert not task.done()
        assert not task.cancelling()


async def test_cancelled_before_the_task_awaits_it_an_awaitable_that_is_no_coroutine_is_cancelled_too() -> None:
    desk = Desk()
    sending: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async with desk.running(lambda message: sending) as task:
        desk.offer("a")
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait({task})
        assert task.cancelled()
        assert sending.cancelled()


@pytest.mark.parametrize("error", [OSError("gone"), asyncio.CancelledError(), KeyError("x")])
@pytest.mark.parametrize("waits", [False, True])
async def test_what_a_send_raises_is_raised_by_the_task(error: BaseException, waits: bool) -> None:
    other, socket, flusher = Socket(), Socket(), Flusher()
    desk, neighbour = Desk(flusher), Desk(flusher)

    async def send(message: dict[str, Any]) -> None:
        if waits:
            await asyncio.sleep(0)
        await socket.send(message)

    async with desk.running(send) as task, neighbour.running(other.send):
        socket.error = error
        desk.offer("a", "b")
        neighbour.offer("a")
        await settle()
        assert other.sent == ["a"]
        assert task.done()
        with pytest.raises(type(error)):
            task.result()
        desk.offer("c")  # comes to nothing
        await settle()
        assert desk.written == []


async def test_an_awaitable_that_is_no_coroutine_is_awaited_by_the_task() -> None:
    desk, sent = Desk(), []

    class Sending:
        def __init__(self, text: str) -> None:
            self.text = text

        def __await__(self) -> Iterator[Any]:
            yield from asyncio.sleep(0).__await__()
            sent.append((self.text, asyncio.current_task()))

    def send(message: dict[str, Any]) -> Awaitable[None]:
        return Sending(message["text"])  # type: ignore[return-value]

    async with desk.running(send) as task:
        desk.offer("a", "b")
        await settle()
        assert sent == [("a", task), ("b", task)]


async def test_frames_caused_by_a_send_follow_it() -> None:
    desk, socket = Desk(), Socket()
    async with desk.running(socket.send):
        socket.at_once = lambda: desk.offer("b")
        desk.offer("a")
        await settle()
        assert socket.sent == ["a", "b"]


async def test_a_send_that_cancels_its_own_task_and_waits_costs_nobody_else_a_frame() -> None:
    flusher, socket, ended = Flusher(), Socket(), []
    desk, neighbour = Desk(flusher), Desk(flusher)

    async def send(message: dict[str, Any]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(message["text"])

    async with desk.running(send) as task, neighbour.running(socket.send):
        desk.offer("a")
        neighbour.offer("b")
        await settle()
        assert socket.sent == ["b"]
        assert task.cancelled()
        assert ended == ["a"]
        neighbour.offer("c")
        await settle()
        assert socket.sent == ["b", "c"]


@pytest.mark.parametrize("waits", [False, True])
async def test_the_goodbye_comes_last_and_ends_the_task(waits: bool) -> None:
    desk, socket = Desk(), Socket()
    socket.gate = asyncio.Event() if waits else None
    async with desk.running(socket.send) as task:
        desk.offer("a")
        desk.outbox.close(1001, "", flush=True)
        desk.writer.wake()
        await settle()
        if socket.gate is not None:
            socket.gate.set()
        await asyncio.wait({task})
        assert socket.sent == ["a", 1001]
        assert task.exception() is None


async def test_frames_from_before_the_start_are_sent() -> None:
    desk, socket = Desk(), Socket()
    desk.offer("a")
    async with desk.running(socket.send):
        assert socket.sent == ["a"]


async def test_what_is_offered_when_it_is_empty_is_written_too() -> None:
    desk, socket = Desk(), Socket()
    texts = iter(["a", "b", "c"])

    def on_empty() -> None:
        for text in texts:
            desk.offer(text)
            return
        desk.outbox.close(1000, "")
        desk.writer.wake()

    desk.when_empty = on_empty
    async with desk.running(socket.send) as task:
        await asyncio.wait({task})
    assert socket.sent == ["a", "b", "c", 1000]


@pytest.mark.parametrize("when", ["before its turn", "before the task wakes", "later"])
async def test_cancelled_while_a_send_waits_it_ends_and_the_send_with_it(when: str) -> None:
    desk, ended = Desk(), []

    async def send(message: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(message["text"])
            raise

    async with desk.running(send) as task:
        desk.offer("a")
        if when == "before the task wakes":
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.sleep(0)
        elif when == "later":
            await settle()
        task.cancel()
        await asyncio.wait({task})
        await settle()
        assert task.cancelled()
        assert ended == ([] if when == "before its turn" else ["a"])
        assert desk.written == []
