"""The endpoint for commands: ``POST /sessions/{id}/commands/{name}`` with the command as protobuf JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sessionstream.errors import InvalidIdError, PayloadDecodeError, UnknownSchemaError
from sessionstream.ids import check_new_id
from sessionstream.logs import BoundedLog
from sessionstream.transport.access import AuthenticateHook, AuthorizeHook
from sessionstream.transport.checks import check_above_zero
from sessionstream.transport.http.endpoint import Endpoint, Request
from sessionstream.transport.http.failures import unknown_command
from sessionstream.transport.http.guard import Guard
from sessionstream.transport.http.payloads import flaw_of
from sessionstream.transport.http.problems import Answer, Problem, shutting_down
from sessionstream.transport.http.requests import check_json, idempotency_key, read_body
from sessionstream.transport.http.submissions import Submissions, Submits, check_errors

if TYPE_CHECKING:
    from sessionstream.schema import SchemaRegistry


class CommandReceiver(Submits, Protocol):
    """Receives the commands of an endpoint. A hub is one."""

    @property
    def schemas(self) -> SchemaRegistry:
        """The messages of the commands."""
        ...


def commands_endpoint(
    hub: CommandReceiver,
    *,
    authenticate: AuthenticateHook | None = None,
    authorize: AuthorizeHook | None = None,
    allowed_origins: Collection[str] | None = None,
    errors: Mapping[type[Any], int] | None = None,
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
            principal; as in WebSocketServer. None, False, "" or an exception refuses: with 403 for a PermissionError,
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
    shown = check_errors(errors)
    guard = Guard(allowed_origins, authenticate, authorize, timeout_seconds, log)
    submissions = Submissions(hub, log, shown, max_running, names_from="client")
    return CommandsEndpoint(hub.schemas, guard, submissions, max_bytes, wait_seconds, timeout_seconds)


class CommandsEndpoint(Endpoint):
    """The result of ``commands_endpoint``: an ASGI application, which belongs to one event loop."""

    _routes: ClassVar = {"sessions/*/commands/*": "POST"}
    _usage = "send a command with POST to /sessions/{id}/commands/{name}"

    def __init__(
        self,
        schemas: SchemaRegistry,
        guard: Guard,
        submissions: Submissions,
        max_bytes: int,
        wait_seconds: float,
        timeout_seconds: float,
    ) -> None:
        super().__init__(guard)
        self._schemas = schemas
        self._submissions = submissions
        self._max_bytes = max_bytes
        self._wait_seconds = wait_seconds
        self._timeout_seconds = timeout_seconds

    async def _serve(self, request: Request) -> Answer | None:
        scope, (session_id, name) = request.scope, request.parts
        self._submissions.check_room()
        check_json(scope)
        admitted = await self._guard.admit(scope)
        await self._guard.allow(admitted.principal, session_id)
        key = idempotency_key(scope)
        body = await read_body(scope, request.receive, self._max_bytes, self._timeout_seconds)
        try:
            if key is not None:
                check_new_id("idempotency key", key)
            payload = self._schemas.decode_command_json(name, body)
        except UnknownSchemaError as error:
            raise unknown_command(name) from error
        except PayloadDecodeError as error:
            raise Problem(400, "invalid_payload", flaw_of(error, body, self._schemas.command_schema(name))) from error
        except InvalidIdError as error:
            raise Problem(400, "invalid_id", str(error)) from error
        running = self._submissions.start(session_id, name, payload, key)
        try:
            await asyncio.wait([running], timeout=self._wait_seconds)
        except asyncio.CancelledError:  # the server gives up its requests; the command goes on
            return Answer(202)
        if not running.done():
            return Answer(202)
        if running.cancelled():
            raise shutting_down()
        problem = running.result()
        return Answer(200) if problem is None else problem.answer()

    @property
    def running(self) -> int:
        """The number of commands that run now, also those whose client has gone."""
        return len(self._submissions)

    async def shutdown(self, timeout_seconds: float = 10.0) -> None:
        """Refuse new commands with 503, wait for those that run, and cancel the ones that take longer than this.

        Call it before ``hub.shutdown``. It may be called more than once, also after it was cancelled.

        Raises:
            ValueError: ``timeout_seconds`` is negative.
        """
        await self._submissions.shutdown(timeout_seconds)
