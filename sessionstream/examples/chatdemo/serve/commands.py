"""The HTTP endpoint for commands of the chat, as protobuf JSON.

The WebSocket only sends sessions to clients; the application chooses how commands come in. Here it is a POST of
``{"sessionId": …, "payload": {…}, "idempotencyKey": …}`` to ``/commands/NAME``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from sessionstream import (
    CommandConflict,
    CommandUnfinished,
    Hub,
    HubClosed,
    InvalidIdError,
    PayloadDecodeError,
    SessionstreamError,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.engine import EmptyPromptError
from sessionstream.logs import SessionLog
from sessionstream.serving.bodies import Refused, json_object
from sessionstream.serving.files import HEADERS

if TYPE_CHECKING:
    from starlette.requests import Request

logger: SessionLog = SessionLog("sessionstream.examples.chatdemo")


class Commands:
    """The endpoint ``POST /commands/{name}``: 202 when the hub accepted the command; clients see its events."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, request: Request) -> Response:
        """Answer one request: 202, or a status with ``{"error": …}``."""
        try:
            await self._submit(request.path_params["name"], await json_object(request, "a command"))
        except Refused as refused:
            return _answer(refused.status, str(refused))
        except UnknownSchemaError as error:
            return _answer(404, str(error))
        except (PayloadDecodeError, InvalidIdError, EmptyPromptError) as error:
            return _answer(400, str(error))
        except (CommandConflict, CommandUnfinished) as error:
            return _answer(409, str(error))
        except HubClosed:
            return _answer(503, "the server is shutting down; try again in a moment")
        except SessionstreamError:
            logger.exception("a command failed")
            return _answer(500, "the command failed; the server's log says why")
        return _answer(202)

    async def _submit(self, name: str, document: dict[str, Any]) -> None:
        payload = self._hub.schemas.parse("command", name, document.get("payload", {}))
        await self._hub.submit(
            _text(document, "sessionId") or "", name, payload, idempotency_key=_text(document, "idempotencyKey")
        )


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"{name} is a string")
    return value


def _answer(status: int, error: str = "") -> Response:
    return JSONResponse({"error": error} if error else {}, status, headers=HEADERS)
