"""Responses of content type text/event-stream: their number, heartbeats, clients that take nothing, how they end.

A stream has a task that writes it, and a task that waits until its client has gone. It ends when the writer returns or
fails, and when the client has gone, a right is revoked, an admission is over, the client takes nothing, or the endpoint
is shut down. A part of the body that is being sent is sent to its end; then the last part of the body is sent, unless
nobody would read it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sessionstream.errors import error_text
from sessionstream.ids import check_id
from sessionstream.logs import SessionLog
from sessionstream.transport.access import seconds_left
from sessionstream.transport.http.problems import REFUSALS, Headers, Problem, shutting_down
from sessionstream.transport.http.requests import ClientGone, client_gone

if TYPE_CHECKING:
    from sessionstream.logs import BoundedLog
    from sessionstream.transport.access import Admitted, Receive, SendMessage
    from sessionstream.transport.clock import Clock
    from sessionstream.transport.http.limits import StreamLimits

Ending: TypeAlias = Literal["over", "failed", "revoked", "expired", "shutdown", "gone", "stuck"]
"""Why a stream ends: there is no more; its writer failed; the right or the admission is over; the endpoint is shut
down; the client has gone, or takes nothing."""

LONGEST_PERIOD: Final = 4.0
"""Heartbeats and time limits are checked as if one of them were not longer than this, in seconds."""

TICKS: Final = 4
"""How often they are checked within the shortest period."""

CONTENT_TYPE: Final = b"text/event-stream"

_HEADERS: Final[Headers] = (
    (b"content-type", CONTENT_TYPE + b"; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # or nginx would keep back what it has until its buffer is full
    (b"x-content-type-options", b"nosniff"),
)
_COMMENT: Final = b": \n\n"
_PING: Final = b": ping\n\n"

_log = SessionLog()


def block(data: str, *, position: str = "") -> bytes:
    """Return one event of a stream; ``data`` has no line break, as JSON on one line has none."""
    line = f"id: {position}\n" if position else ""
    return f"{line}data: {data}\n\n".encode("utf-8", "backslashreplace")


class StreamEnded(Exception):
    """The stream has ended, so nothing more can be written."""


class Stream:
    """One open stream.

    Attributes:
        principal: what ``authenticate`` returned; None without it.
        ending: why it ends; None while it is open.
        reason: what the application has told ``revoke``.
    """

    __slots__ = (
        "_busy", "_clock", "_ends_at", "_finished", "_in_block", "_lock", "_log", "_receive", "_send",
        "_sending_since", "_sent_at", "_tasks", "_writer", "ending", "principal", "reason", "session_id",
    )  # fmt: skip

    def __init__(
        self, admitted: Admitted, session_id: str, receive: Receive, send: SendMessage, clock: Clock, log: BoundedLog
    ) -> None:
        now, left = clock.now(), seconds_left(admitted)
        self.principal: object = admitted.principal
        self.session_id: str = session_id
        self.ending: Ending | None = None
        self.reason: str = ""
        self._receive = receive
        self._send = send
        self._clock = clock
        self._log = log
        self._ends_at = None if left is None else now + left
        self._lock = asyncio.Lock()
        self._busy = False  # whether the writer has something to send
        self._in_block = False  # whether the body stands within a block, where nothing else may be sent
        self._finished = False
        self._sent_at = now
        self._sending_since: float | None = None
        self._writer: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # those that send

    async def write(self, data: bytes, *, whole: bool = True) -> None:
        """Send a part of the body, and wait until the server has taken it.

        Args:
            whole: whether a block ends with it.

        Raises:
            StreamEnded: the part was sent, and the stream has ended meanwhile.
            Exception: what the server raised.
        """
        self._busy = True
        try:
            async with self._lock:
                self._in_block = not whole
                await self._put(data)
        finally:
            self._busy = False
        if self.ending is not None:
            raise StreamEnded

    async def _put(self, data: bytes, *, last: bool = False) -> None:
        self._sending_since = self._clock.now()
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        except Exception:
            self.ending = self.ending or "gone"
            raise
        finally:
            self._sending_since, self._sent_at = None, self._clock.now()

    def end(self, ending: Ending, reason: str = "") -> None:
        """End the stream; the first reason counts. A part that is being sent is sent, unless nobody takes it."""
        if self.ending is None:
            self.ending, self.reason = ending, reason
            if self._writer is not None and not self._busy:
                self._writer.cancel()
        if ending in ("gone", "stuck"):
            self.ending = ending
            for task in self._tasks:
                task.cancel()

    def tick(self, limits: StreamLimits) -> None:
        """End the stream if its time is over or its client takes nothing; send a ping if nothing was sent for long."""
        now = self._clock.now()
        if self._ends_at is not None and now >= self._ends_at:
            self.end("expired")
        if self._sending_since is not None:
            if now - self._sending_since >= limits.send_timeout_seconds:
                self.end("stuck")
        elif now - self._sent_at >= limits.heartbeat_seconds and self._writer is not None and self.ending is None:
            self._sent_at = now
            self._task(self._send_ping(), "sessionstream: heartbeat of a stream")

    async def _send_ping(self) -> None:
        try:
            async with self._lock:
                if not (self._in_block or self._finished):
                    await self._put(_PING)
        except Exception as error:  # noqa: BLE001 - the client has gone; each server raises something else
            _log.debug("a heartbeat could not be sent: %s", error_text(error), session_id=self.session_id)
            self.end("gone")

    # -- the response ------------------------------------------------------------------------------------------

    async def respond(
        self,
        headers: Headers,
        write: Callable[[Stream], Coroutine[Any, Any, None]],
        last_part: Callable[[Stream], bytes],
    ) -> None:
        """Send a comment, what ``write`` writes, and, when the stream has ended, what ``last_part`` returns.

        Some proxies and middleware hold back the headers until the first bytes of the body, so the comment comes first.
        If the call is cancelled, the stream ends as with a shutdown, and the call returns; a second time, it is
        cancelled.

        Raises:
            ClientGone: a message could not be sent.
        """
        try:
            await self._send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
            await self._run(write)
            if self.ending not in ("gone", "stuck"):
                await self._finish(b"" if self._in_block else last_part(self))
        except Exception as error:
            raise ClientGone from error  # each server raises something else

    async def _run(self, write: Callable[[Stream], Coroutine[Any, Any, None]]) -> None:
        """Write the stream until it ends; ``ending`` says why."""
        writer = self._writer = self._task(self._write(write), "sessionstream: stream")
        leaving = asyncio.create_task(client_gone(self._receive), name="sessionstream: disconnect of a stream")
        try:
            await asyncio.wait([writer, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not writer.done():
                self.end("gone")
        except asyncio.CancelledError:  # the server gives up its requests: at the end of its time for a shutdown
            self.end("shutdown")
        finally:
            writer.cancel()
            leaving.cancel()
            await asyncio.wait([writer, leaving])
            if not leaving.cancelled():
                leaving.exception()
        error: BaseException | None = RuntimeError("the writer of a stream waited for something that was cancelled")
        if not writer.cancelled():
            error = writer.exception()
        if self.ending is None:
            self.ending = "failed"
            line = f"a stream of session {self.session_id!r} failed"
            self._log.log("streams that failed", line, error=error, level=logging.ERROR, session_id=self.session_id)

    async def _finish(self, data: bytes) -> None:
        """Send the last part of the body; give up if the client takes nothing."""

        async def finish() -> None:
            async with self._lock:
                self._finished = True
                await self._put(data, last=True)

        finishing = self._task(finish(), "sessionstream: end of a stream")
        try:
            await asyncio.wait([finishing])
        finally:
            finishing.cancel()
        if not finishing.cancelled():
            finishing.result()

    def _task(self, running: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that sends; it is cancelled if the client has gone or takes nothing."""
        task = asyncio.create_task(running, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _write(self, write: Callable[[Stream], Coroutine[Any, Any, None]]) -> None:
        await self.write(_COMMENT)
        await write(self)
        self.ending = self.ending or "over"


class Entering:
    """A request that is not a stream yet. Rights that are revoked meanwhile count for it."""

    __slots__ = ("_revoked",)

    def __init__(self) -> None:
        self._revoked: list[tuple[object, str | None]] = []

    def revoke(self, principal: object, session_id: str | None) -> None:
        """Note that a principal may no longer watch a session, or any (None)."""
        self._revoked.append((principal, session_id))

    def check(self, principal: object, session_id: str) -> None:
        """Check that the right to watch was not revoked meanwhile.

        Raises:
            Problem: it was.
        """
        if any(whose == principal and which in (None, session_id) for whose, which in self._revoked):
            raise Problem(*REFUSALS["forbidden"])


class Streams:
    """The open streams of one endpoint."""

    def __init__(self, limits: StreamLimits, clock: Clock, log: BoundedLog) -> None:
        self._limits = limits
        self._clock = clock
        self._log = log
        self._entering: set[Entering] = set()
        self._open: dict[Stream, asyncio.Event] = {}
        self._principals: Counter[object] = Counter()
        self._ticker: asyncio.Task[None] | None = None
        self._stopping = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def entering(self) -> Iterator[Entering]:
        """Register a request while the application is asked about it.

        Raises:
            Problem: with 503, there is no room, or the endpoint is shut down.
        """
        self._check_room(None)
        entering = Entering()
        self._entering.add(entering)
        try:
            yield entering
        finally:
            self._entering.discard(entering)

    @contextmanager
    def stream(self, admitted: Admitted, session_id: str, receive: Receive, send: SendMessage) -> Iterator[Stream]:
        """Open a stream, which counts while the context is open, also before its response begins.

        Raises:
            Problem: with 503, there is no room, or the endpoint is shut down.
        """
        self._check_room(admitted.principal)
        stream = Stream(admitted, session_id, receive, send, self._clock, self._log)
        gone = self._open[stream] = asyncio.Event()
        self._principals[stream.principal] += 1
        if self._ticker is None:  # the task outlives this request, so it must not run in the request's context
            self._ticker = asyncio.create_task(self._tick(), name="sessionstream: heartbeat", context=Context())
        try:
            yield stream
        finally:
            if stream.ending == "stuck":
                line = "a client takes nothing: its stream was cut off"
                self._log.log("clients that take nothing", line, session_id=session_id)
            del self._open[stream]
            gone.set()
            self._principals[stream.principal] -= 1
            if not self._principals[stream.principal]:
                del self._principals[stream.principal]
            if not self._open and self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None

    async def _tick(self) -> None:
        limits = self._limits
        pause = min(limits.heartbeat_seconds, limits.send_timeout_seconds, LONGEST_PERIOD) / TICKS
        while True:
            await self._clock.sleep(pause)
            self._log.flush()
            for stream in list(self._open):
                stream.tick(limits)

    def revoke(self, principal: object, session_id: str | None, reason: str = "") -> int:
        """End streams of a principal, of one session or of all (None); return how many were ended.

        Raises:
            InvalidIdError: the session id is not valid.
            TypeError: the principal is not hashable.
        """
        hash(principal)
        if session_id is not None:
            check_id("session id", session_id)
        for entering in self._entering:
            entering.revoke(principal, session_id)
        theirs = [
            stream
            for stream in self._open
            if stream.principal == principal and session_id in (None, stream.session_id) and stream.ending is None
        ]
        for stream in theirs:
            stream.end("revoked", reason)
        return len(theirs)

    async def shutdown(self) -> None:
        """Refuse new streams, and end the open ones; return when they have ended."""
        self._stopping = True
        for stream in self._open:
            stream.end("shutdown")
        await asyncio.gather(*(gone.wait() for gone in self._open.values()))
        self._log.flush(now=True)

    def _check_room(self, principal: object) -> None:
        limits = self._limits
        if self._stopping:
            raise shutting_down()
        if len(self._open) >= limits.streams:
            why = f"there are {limits.streams} streams already"
        elif principal is not None and self._principals[principal] >= limits.streams_per_principal:
            why = f"{principal!r} has {limits.streams_per_principal} streams already"
        else:
            return
        self._log.log("streams refused with 503", f"a stream was refused with 503: {why}")
        raise Problem(503, "busy", "the server has too much to do; try again in a moment")
