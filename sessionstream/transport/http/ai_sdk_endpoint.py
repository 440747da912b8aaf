"""The endpoint for ``useChat`` of the Vercel AI SDK: an answer is streamed, and can be resumed by any page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack

from sessionstream.transport.http.chat import UserMessage
from sessionstream.transport.http.chat_endpoint import ChatEndpoint, ChatOptions, user_message
from sessionstream.transport.http.problems import Answer, Headers, Problem
from sessionstream.transport.http.ui_message_stream import Answer as EncodedAnswer
from sessionstream.transport.http.ui_message_stream import question_of_what_goes_on, ui_messages

if TYPE_CHECKING:
    from sessionstream.fanout import LiveSessions
    from sessionstream.transport.http.chat import ChatMapping
    from sessionstream.transport.http.endpoint import Request

_HEADERS: Final[Headers] = ((b"x-vercel-ai-ui-message-stream", b"v1"),)

_STREAM: Final = "*/stream"


def ai_sdk_endpoint(hub: LiveSessions, mapping: ChatMapping, **options: Unpack[ChatOptions]) -> AISDKEndpoint:
    """Return an ASGI application that serves ``useChat`` of the Vercel AI SDK. (Reference: HTTP endpoints.)

    The id of the chat is the session. Below where it is mounted:

    - ``POST``: submits the last message, which is one of the user, and streams its answer. A repeat has no effect, and
      its answer is streamed; it ends with an error if the first one was interrupted, or had another text.
    - ``GET /{id}/stream``: streams the answer that is going on, from its beginning; 204 if there is none.
    - ``GET /{id}/messages``: a JSON array of the messages that are complete, for a page that is opened.

    It mounts in any ASGI framework::

        app = Starlette(routes=[Mount("/api/chat", ai_sdk_endpoint(hub, mapping))])

    A client that goes away does not stop the answer. To stop it, send a command: see ``commands_endpoint``.

    Args:
        hub: where the sessions are; usually a Hub.
        mapping: how they are chats.
        options: see ChatOptions.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: ``max_bytes`` is not above 0; an entry of ``allowed_origins`` is not a valid origin; or a status of
            ``errors`` is not between 400 and 599.
    """
    return AISDKEndpoint(hub, mapping, **options)


class AISDKEndpoint(ChatEndpoint):
    """The result of ``ai_sdk_endpoint``: an ASGI application, which belongs to one event loop."""

    _routes: ClassVar = {"": "POST", _STREAM: "GET", "*/messages": "GET"}
    _usage = "POST a message, or GET /{id}/stream or /{id}/messages"

    async def _serve(self, request: Request) -> Answer | None:
        asked = None
        with self._streams.entering() as entering:
            admitted = await self._guard.admit(request.scope)
            if request.pattern:
                (session_id,) = request.parts
            else:
                session_id, asked = _message_of(await self._body(request))
            await self._guard.allow(admitted.principal, session_id, self._hub)
            entering.check(admitted.principal, session_id)
        with self._streams.stream(admitted, session_id, request.receive, request.send) as stream:
            async with self._run(session_id) as run:
                if request.pattern and request.pattern != _STREAM:
                    return Answer(200, _json(ui_messages(run.transcript)))
                if asked is None and not run.transcript.runs:
                    return Answer(204, b"")
                if asked is not None:
                    self._ask(run, asked)
                question = question_of_what_goes_on(run.transcript.messages) if asked is None else asked.id
                encoder = EncodedAnswer(question, run.transcript)
                await self._send(request, run, encoder, stream, _HEADERS)
        return None


def _message_of(body: Mapping[str, Any]) -> tuple[str, UserMessage]:
    """Return the id of the chat and its last message, which is one of the user.

    Raises:
        Problem: they are missing, or are of another kind.
    """
    chat_id, messages = body.get("id"), body.get("messages")
    if not isinstance(chat_id, str):
        raise Problem(400, "invalid_request", "id is not a text: send the id of the chat")
    if body.get("trigger", "submit-message") != "submit-message":
        raise Problem(400, "invalid_request", "an answer cannot be generated again: send a new message")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "user":
        raise Problem(400, "invalid_request", "the last of messages is not one of the user")
    return chat_id, user_message(last, last.get("parts"), body)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
