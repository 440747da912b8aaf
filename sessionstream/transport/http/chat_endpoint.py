"""What the endpoints for chats share: their arguments, the requests they read, and the streams they send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypedDict

from google.protobuf.message import Message

from sessionstream.errors import HubClosed, InvalidIdError, StoreError, error_text
from sessionstream.ids import check_new_id
from sessionstream.logs import BoundedLog, SessionLog
from sessionstream.transport.access import AuthenticateHook, AuthorizeHook
from sessionstream.transport.checks import check_above_zero
from sessionstream.transport.clock import MonotonicClock
from sessionstream.transport.http.chat import ChatMapping, ChatMessage, UserMessage
from sessionstream.transport.http.chat_run import ChatRun
from sessionstream.transport.http.endpoint import Endpoint, Request
from sessionstream.transport.http.guard import Guard
from sessionstream.transport.http.limits import StreamLimits
from sessionstream.transport.http.problems import REFUSALS, Problem, shutting_down
from sessionstream.transport.http.requests import check_json, read_body
from sessionstream.transport.http.streams import Stream, Streams, block
from sessionstream.transport.http.submissions import Submissions, check_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessionstream.fanout import LiveSessions
    from sessionstream.transport.http.problems import Headers
    from sessionstream.transport.http.transcript import Change

_log = SessionLog()

_MAX_MESSAGE_ID_BYTES: Final = 512
"""Half of what other ids may have: applications make ids of it, such as that of the answer, and they have to fit."""

_CUT_OFF: Final = "the server has ended this stream; the answer goes on"
_BROKEN: Final = "the server has failed; its log says why"


class Encoder(Protocol):
    """Encodes a run for one protocol; what it returns may be made while it is iterated.

    Attributes:
        ended: whether the end of the run was returned.
        closing: what follows the end.
    """

    ended: bool
    closing: ClassVar[bytes]

    def begin(self) -> Iterable[Mapping[str, Any]]:
        """Return what comes first, from the transcript's snapshot."""
        ...

    def changes(self, changes: Iterable[Change], /) -> Iterable[Mapping[str, Any]]:
        """Return what says the changes."""
        ...

    def finish(self) -> Iterable[Mapping[str, Any]]:
        """Return the end of a run that is over."""
        ...

    def fail(self, message: str, code: str, /) -> Iterable[Mapping[str, Any]]:
        """Return the end of a run that failed."""
        ...


class ChatOptions(TypedDict, total=False):
    """The keyword arguments of ``agui_endpoint`` and ``ai_sdk_endpoint``. (Reference: Chats over HTTP.)

    Attributes:
        authenticate: as in ``sse_endpoint``.
        authorize: as in ``sse_endpoint``.
        allowed_origins: which pages may ask; as in ``commands_endpoint``.
        errors: exceptions of your handlers that clients may be told; as in ``commands_endpoint``.
        max_bytes: longest body, by default 4 MiB; clients may send all messages each time.
        limits: bounds on what clients may use. ``streams`` bounds the commands that run as well, and
            ``timeout_seconds`` the arrival of the body; ``retry_seconds`` and ``snapshot_cache_bytes`` have no effect.
    """

    authenticate: AuthenticateHook | None
    authorize: AuthorizeHook | None
    allowed_origins: Collection[str] | None
    errors: Mapping[type[Any], int] | None
    max_bytes: int
    limits: StreamLimits


class ChatEndpoint(Endpoint):
    """An endpoint that streams the answers of chats; it belongs to one event loop.

    Args:
        hub: where the sessions are; usually a Hub.
        mapping: how they are chats.
        authenticate, authorize, allowed_origins, errors, max_bytes, limits: see ChatOptions.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: ``max_bytes`` is not above 0; an entry of ``allowed_origins`` is not a valid origin; or a status of
            ``errors`` is not between 400 and 599.
    """

    def __init__(
        self,
        hub: LiveSessions,
        mapping: ChatMapping,
        *,
        authenticate: AuthenticateHook | None = None,
        authorize: AuthorizeHook | None = None,
        allowed_origins: Collection[str] | None = None,
        errors: Mapping[type[Any], int] | None = None,
        max_bytes: int = 4_194_304,
        limits: StreamLimits = StreamLimits(),  # noqa: B008 - frozen
    ) -> None:
        if not callable(getattr(hub, "watch", None)):
            raise TypeError(f"hub must have a method watch, as a Hub has; got {hub!r}")
        if not isinstance(mapping, ChatMapping):
            raise TypeError(f"mapping must be a ChatMapping, not {mapping!r}")
        if not isinstance(limits, StreamLimits):
            raise TypeError(f"limits must be a StreamLimits, not {limits!r}")
        check_above_zero("max_bytes", max_bytes, whole=True)
        log = BoundedLog()
        super().__init__(Guard(allowed_origins, authenticate, authorize, limits.timeout_seconds, log))
        self._hub = hub
        self._mapping = mapping
        self._max_bytes = max_bytes
        self._limits = limits
        self._submissions = Submissions(hub, log, check_errors(errors), limits.streams, names_from="mapping")
        self._streams = Streams(limits, MonotonicClock(), log)
        self._loading = asyncio.Semaphore(limits.concurrent_loads)

    async def _body(self, request: Request) -> dict[str, Any]:
        """Return the JSON object in the body of a request.

        Raises:
            Problem: there is none.
        """
        check_json(request.scope)
        raw = await read_body(request.scope, request.receive, self._max_bytes, self._limits.timeout_seconds)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Problem(400, "invalid_request", "the body is not a JSON object")
        return body

    # -- streams -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run(self, session_id: str) -> AsyncIterator[ChatRun]:
        """Follow a session from its first snapshot on.

        Raises:
            Problem: the session cannot be read now.
        """
        async with self._hub.watch(session_id, limit=self._limits.buffered_events, shared=True) as watch:
            run = ChatRun(self._hub, session_id, watch, self._mapping)
            try:
                with self._failures(session_id):
                    async with self._loading:
                        await run.load()
                yield run
            finally:
                await run.close()

    @contextmanager
    def _failures(self, session_id: str) -> Iterator[None]:
        """Log what goes wrong, and raise a Problem for the client."""
        try:
            yield
        except StoreError as error:
            _log.warning("session %r cannot be followed: %s", session_id, error_text(error), session_id=session_id)
            raise Problem(*REFUSALS["busy"]) from error
        except HubClosed as error:
            raise shutting_down() from error
        except Problem:
            raise
        except Exception as error:
            _log.exception("session %r cannot be shown as a chat", session_id, session_id=session_id)
            raise Problem(500, "internal", _BROKEN) from error

    def _ask(self, run: ChatRun, message: UserMessage) -> None:
        """Run the command for a message, unless the session has the message and its answer is complete.

        A repeat has no effect, because the id is its idempotency key. The run ends with an error if the first one was
        interrupted, or was another message.

        Raises:
            Problem: it cannot be submitted.
        """
        known = run.transcript.messages.get(message.id)
        if isinstance(known, ChatMessage) and known.text == message.text and not run.transcript.runs:
            return
        try:
            check_new_id("message id", message.id, _MAX_MESSAGE_ID_BYTES)
        except InvalidIdError as error:
            raise Problem(400, "invalid_id", str(error)) from error
        try:
            message.text.encode()
        except UnicodeEncodeError as error:
            raise Problem(400, "invalid_request", "the text of the message is not valid Unicode") from error
        with self._failures(run.session_id):
            name, payload = self._command(message)
        run.follow(self._submissions.start(run.session_id, name, payload, message.id), message.id)

    def _command(self, message: UserMessage) -> tuple[str, Message]:
        command: object = self._mapping.command(message)
        match command:
            case (str(name), Message() as payload):
                return name, payload
        raise TypeError(f"ChatMapping.command must return the name and the payload of a command, not {command!r}")

    async def _send(
        self,
        request: Request,
        run: ChatRun,
        encoder: Encoder,
        stream: Stream,
        headers: Headers = (),
    ) -> None:
        """Send a run until it is over."""
        begun = False

        async def write(stream: Stream) -> None:
            nonlocal begun
            begun = True
            data = _encoded(encoder, encoder.begin())
            while True:
                if data:
                    await stream.write(data)
                if encoder.ended:
                    return
                try:
                    with self._failures(run.session_id):
                        changes = await run.following()
                except Problem as problem:
                    events = encoder.fail(problem.message, problem.code)
                else:
                    events = encoder.finish() if changes is None else encoder.changes(changes)
                data = _encoded(encoder, events)

        def last_part(_: Stream) -> bytes:
            if encoder.ended:
                return b""
            first = b"" if begun else _encoded(encoder, encoder.begin())
            return first + _encoded(encoder, encoder.fail(_CUT_OFF, "stream_ended"))

        await stream.respond([*headers, *request.cors], write, last_part)

    # -- for operators -----------------------------------------------------------------------------------------

    @property
    def streams(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    async def revoke(self, principal: object, session_id: str | None = None) -> int:
        """End the streams of one principal, which may no longer watch; return how many were ended.

        A new request asks ``authorize`` again, so change its answer before this call.

        Args:
            principal: as ``authenticate`` returned it; None for everybody, where there is no ``authenticate``.
            session_id: the session; None for all sessions.

        Raises:
            InvalidIdError: the session id is not valid.
            TypeError: the principal is not hashable.
        """
        return self._streams.revoke(principal, session_id)

    async def shutdown(self, timeout_seconds: float = 10.0) -> None:
        """Refuse new requests with 503, end all streams, and wait for commands; cancel those that take longer.

        Call it before ``hub.shutdown``. It may be called more than once.

        Raises:
            ValueError: ``timeout_seconds`` is negative.
        """
        await self._streams.shutdown()
        await self._submissions.shutdown(timeout_seconds)


def _encoded(encoder: Encoder, events: Iterable[Mapping[str, Any]]) -> bytes:
    data = b"".join([block(json.dumps(each, ensure_ascii=False, separators=(",", ":"))) for each in events])
    return data + encoder.closing if encoder.ended else data


def user_message(message: Mapping[str, Any], content: object, body: Mapping[str, Any]) -> UserMessage:
    """Return the message of the user in the body of a request.

    Args:
        content: its text, or a list of parts.

    Raises:
        Problem: it has no id, or no such content.
    """
    message_id = message.get("id")
    if not isinstance(message_id, str) or not message_id or not isinstance(content, str | list):
        raise Problem(400, "invalid_request", "the last message has no id, or its content is neither text nor a list")
    extra = {name: value for name, value in body.items() if name != "messages"}
    return UserMessage(message_id, _text_of(content), extra, content)


def _text_of(parts: str | list[Any]) -> str:
    """Return the text of a message's content: a string, or the text parts of a list."""
    if isinstance(parts, str):
        return parts
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join([each for each in texts if isinstance(each, str)])
