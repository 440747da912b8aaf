"""The endpoint for AG-UI clients: a run is the answer of a session, and every client sees all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from sessionstream.transport.http.agui import Run
from sessionstream.transport.http.chat_endpoint import ChatEndpoint, ChatOptions, user_message
from sessionstream.transport.http.problems import Answer, Problem

if TYPE_CHECKING:
    from sessionstream.fanout import LiveSessions
    from sessionstream.transport.http.chat import ChatMapping
    from sessionstream.transport.http.endpoint import Request


def agui_endpoint(hub: LiveSessions, mapping: ChatMapping, **options: Unpack[ChatOptions]) -> AGUIEndpoint:
    """Return an ASGI application that serves AG-UI clients. (Reference: HTTP endpoints.)

    ``POST`` with a RunAgentInput is answered with the events of one run. ``threadId`` is the session. If the last
    message is one of the user that the session does not have, it is submitted as a command, once, whatever the client
    repeats. Otherwise the client follows the answer that is going on, from its beginning; if there is none, the run
    ends at once, with all messages. While an answer is open, a repeat is submitted again, so that the run ends with an
    error if the first one was interrupted; so does another text under an id that the session has. It mounts in any ASGI
    framework::

        app = Starlette(routes=[Mount("/agent", agui_endpoint(hub, mapping))])

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
    return AGUIEndpoint(hub, mapping, **options)


class AGUIEndpoint(ChatEndpoint):
    """The result of ``agui_endpoint``: an ASGI application, which belongs to one event loop."""

    _routes: ClassVar = {"": "POST"}
    _usage = "start or follow a run with POST and a RunAgentInput"

    async def _serve(self, request: Request) -> Answer | None:
        with self._streams.entering() as entering:
            admitted = await self._guard.admit(request.scope)
            body = await self._body(request)
            thread_id, run_id = _id(body, "threadId"), _id(body, "runId")
            messages = body.get("messages", [])
            if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
                raise Problem(400, "invalid_request", "messages is not a list of objects")
            await self._guard.allow(admitted.principal, thread_id, self._hub)
            entering.check(admitted.principal, thread_id)
        last = messages[-1] if messages else {}
        asked = user_message(last, last.get("content"), body) if last.get("role") == "user" else None
        with self._streams.stream(admitted, thread_id, request.receive, request.send) as stream:
            async with self._run(thread_id) as run:
                if asked is not None:
                    self._ask(run, asked)
                await self._send(request, run, Run(thread_id, run_id, asked, run.transcript), stream)
        return None


def _id(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Problem(400, "invalid_request", f"{name} is not a text, or empty")
    return value
