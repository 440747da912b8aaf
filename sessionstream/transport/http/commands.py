"""The endpoint for commands: ``POST /sessions/{id}/commands/{name}`` with the command as protobuf JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sessionstream.callables import refuse_unasked
from sessionstream.errors import InvalidIdError, PayloadDecodeError, UnknownSchemaError, error_text
from sessionstream.ids import check_new_id
from sessionstream.transport.access import AuthenticateHook, AuthorizeHook, Receive, Scope, SendMessage
from sessionstream.transport.bounded_log import BoundedLog
from sessionstream.transport.checks import check_above_zero
from sessionstream.transport.http.endpoint import Endpoint
from sessionstream.transport.http.failures import FAILED, problem_of, unknown_command
from sessionstream.transport.http.guard import Guard
from sessionstream.transport.http.problems import Answer, Headers, Problem
from sessionstream.transport.http.requests import check_json, idempotency_key, read_body

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.schema import SchemaRegistry

_log = logging.getLogger("sessionstream")


class CommandReceiver(Protocol):
    """Receives the commands of an endpoint. A hub is one."""

    @property
    def schemas(self) -> SchemaRegistry:
        """The messages of the commands."""
        ...

    async def submit(self, session_id: str, name: str, payload: Message, *, idempotency_key: str | None = None) -> None:
        """Run a command's handler; see ``Hub.submit``."""
        ...


def commands_endpoint(
    hub: CommandReceiver,
    *,
    authenticate: AuthenticateHook | None = None,
    authorize: AuthorizeHook | None = None,
    allowed_origins: Collection[str] | None = None,
    errors: Mapping[type[Exception], int] | None = None,
    max_bytes: int = 65_536,
    max_running: int = 1_000,
    wait_seconds: float = 25.0,
    timeout_seconds: float = 10.0,
) -> CommandsEndpoint:
    """Return an ASGI application that takes commands over HTTP. (Reference: HTTP endpoints.)

    ``POST /sessions/{id}/commands/{name}`` has the command's message as protobuf JSON in its body, and may have an
    ``Idempotency-Key``. It is answered with 200 and ``{}`` when the handler has returned, also for a repeat, and
    otherwise with a status and ``{"error": {"code": …, "message": …}}``. It mounts in any ASGI framework::

        app = Starlette(routes=[Mount("/api", commands_endpoint(hub))])

    A client that goes away does not stop its command.

    Args:
        hub: receives the commands; usually a Hub.
        authenticate: ``authenticate(scope)``, plain or async, gets the ASGI scope of a request and returns the
            principal; as in WebSocketServer. None, False or an exception refuses: with 403 for a PermissionError,
            otherwise with 401.
        authorize: ``authorize(principal, session_id)``, plain or async. Only True allows.
        allowed_origins: which pages may send commands; as in WebSocketServer. Pages of other origins that are allowed
            get the CORS headers that they need; with ``["*"]``, browsers send no cookies.
        errors: exceptions of your handlers that clients may be told, and the status of each; the message is the
            exception's text, the code the name of its class. The first class that fits counts.
        max_bytes: longest body.
        max_running: commands that may run at the same time; others are answered with 503.
        wait_seconds: a command that runs longer is answered with 202 and goes on; if it fails then, that is logged.
            Shorter than the time limit of proxies.
        timeout_seconds: time limit of ``authenticate``, of ``authorize``, and of the arrival of the body.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a number is not above 0; an entry of ``allowed_origins`` is not a valid origin; or a status of
            ``errors`` is not between 400 and 599.
    """
    log = BoundedLog()
    if not callable(getattr(hub, "submit", None)):
        raise TypeError(f"hub must have a method submit, as a Hub has; got {hub!r}")
    for name, value in (("max_bytes", max_bytes), ("max_running", max_running)):
        check_above_zero(name, value, whole=True)
    for name, seconds in (("wait_seconds", wait_seconds), ("timeout_seconds", timeout_seconds)):
        check_above_zero(name, seconds)
    shown: dict[Any, Any] = dict(errors or {})
    for cls, status in shown.items():
        if not (isinstance(cls, type) and issubclass(cls, Exception)):
            raise TypeError(f"errors has exception classes and their statuses; {cls!r} is no exception class")
        if isinstance(status, bool) or not isinstance(status, int):
            raise TypeError(f"the status of {cls.__name__} in errors must be an int, not {status!r}")
        if not 400 <= status <= 599:
            raise ValueError(f"the status of {cls.__name__} in errors must be between 400 and 599, not {status}")
    guard = Guard(allowed_origins, authenticate, authorize, timeout_seconds, log)
    return CommandsEndpoint(hub, guard, log, shown, max_bytes, max_running, wait_seconds, timeout_seconds)


class CommandsEndpoint(Endpoint):
    """The result of ``commands_endpoint``: an ASGI application, which belongs to one event loop."""

    _pattern = "sessions/*/commands/*"
    _method = "POST"
    _usage = "send a command with POST to /sessions/{id}/commands/{name}"

    def __init__(
        self,
        hub: CommandReceiver,
        guard: Guard,
        log: BoundedLog,
        shown: Mapping[type[Exception], int],
        max_bytes: int,
        max_running: int,
        wait_seconds: float,
        timeout_seconds: float,
    ) -> None:
        super().__init__(guard)
        self._hub = hub
        self._log = log
        self._shown = shown
        self._max_bytes = max_bytes
        self._max_running = max_running
        self._wait_seconds = wait_seconds
        self._timeout_seconds = timeout_seconds
        self._running: set[asyncio.Task[Answer]] = set()
        self._stopping = False

    async def _serve(
        self, scope: Scope, receive: Receive, send: SendMessage, cors: Headers, *parts: str
    ) -> Answer | None:
        session_id, name = parts
        self._check_room()
        check_json(scope)
        admitted = await self._guard.admit(scope)
        await self._guard.allow(admitted.principal, session_id)
        key = idempotency_key(scope)
        body = await read_body(scope, receive, self._max_bytes, self._timeout_seconds)
        try:
            if key is not None:
                check_new_id("idempotency key", key)
            payload = self._hub.schemas.decode_command_json(name, body)
        except UnknownSchemaError as error:
            raise unknown_command(name) from error
        except PayloadDecodeError as error:
            raise Problem(400, "invalid_payload", str(error)) from error
        except InvalidIdError as error:
            raise Problem(400, "invalid_id", str(error)) from error
        self._check_room()
        running = asyncio.create_task(
            self._submit(session_id, name, payload, key), name=f"sessionstream: command {name}"
        )
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        await asyncio.wait([running], timeout=self._wait_seconds)  # if this request is cancelled, the command goes on
        if not running.done():
            return Answer(202)
        if running.cancelled():
            raise _shutting_down()
        return running.result()

    async def _submit(self, session_id: str, name: str, payload: Message, key: str | None) -> Answer:
        """Run the command; return the answer, also for an error, which is logged if it is the server's."""
        try:
            try:
                await self._hub.submit(session_id, name, payload, idempotency_key=key)
            except asyncio.CancelledError as error:
                refuse_unasked(error, "the handler waited for something that was cancelled")
                raise
        except Exception as error:  # noqa: BLE001 - told, and logged with its traceback
            problem = problem_of(error, session_id, name, key, self._shown)
            if problem.status >= 500:
                line = f"command {name!r} of session {session_id!r} was answered with {problem.status} {problem.code}"
                cause = error if problem.code == FAILED else None
                details = "" if cause else f": {error_text(error)}"
                kind = f"commands answered with {problem.code}"
                self._log.log(kind, line + details, error=cause, level=logging.ERROR)
            return problem.answer()
        return Answer(200)

    def _check_room(self) -> None:
        if self._stopping:
            raise _shutting_down()
        if len(self._running) >= self._max_running:
            self._log.log("commands refused with 503", f"{self._max_running} commands run already: one was refused")
            raise Problem(503, "busy", "the server has too much to do; try again in a moment")

    @property
    def running(self) -> int:
        """The number of commands that run now, also those whose client has gone."""
        return len(self._running)

    async def shutdown(self, timeout_seconds: float = 10.0) -> None:
        """Refuse new commands with 503, wait for those that run, and cancel the ones that take longer than this.

        Call it before ``hub.shutdown``. It may be called more than once, also after it was cancelled.

        Raises:
            ValueError: ``timeout_seconds`` is negative.
        """
        if not timeout_seconds >= 0:
            raise ValueError(f"timeout_seconds must be 0 or more, not {timeout_seconds!r}")
        self._stopping = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=timeout_seconds)
            if late:
                _log.warning("%d commands were cancelled by the shutdown of their endpoint", len(late))
                for task in late:
                    task.cancel()
                await asyncio.wait(late)
        self._log.flush(end=True)


def _shutting_down() -> Problem:
    return Problem(503, "shutting_down", "the server is shutting down; try again in a moment")
