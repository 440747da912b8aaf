"""What a browser may ask: one command of the chat, as protobuf JSON, over HTTP.

The wire of sessions only shows what is; commands come in as the application likes. Here it is a POST of
``{"sessionId": …, "payload": {…}, "idempotencyKey": …}`` to ``/commands/NAME``.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from sessionstream import (
    CommandConflict,
    Hub,
    HubClosed,
    InvalidIdError,
    PayloadDecodeError,
    SessionstreamError,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.engine import EmptyPromptError
from sessionstream.serving.files import HEADERS

MAX_BYTES: Final = 65_536
"""The longest request."""

logger = logging.getLogger("sessionstream.examples.chatdemo")


class Refused(Exception):
    """A request is not acted upon, with this HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Commands:
    """The endpoint ``POST /commands/{name}``: 202 when the hub took the command; who watches hears what comes of it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, request: Request) -> Response:
        """Answer one request: 202, or a status with ``{"error": …}``."""
        try:
            await self._submit(request.path_params["name"], await _document(request))
        except Refused as refused:
            return _answer(refused.status, str(refused))
        except ClientDisconnect:
            return _answer(400, "the request broke off")
        except UnknownSchemaError as error:
            return _answer(404, str(error))
        except (PayloadDecodeError, InvalidIdError, EmptyPromptError) as error:
            return _answer(400, str(error))
        except CommandConflict as error:
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


async def _document(request: Request) -> dict[str, Any]:
    # A page of another origin cannot send this content type without asking first, and nobody here would answer.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "a command is application/json")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            raise Refused(413, f"a command has at most {MAX_BYTES} bytes")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"a command is JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refused(400, "a command is a JSON object")
    return document


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"{name} is a string")
    return value


def _answer(status: int, error: str = "") -> Response:
    return JSONResponse({"error": error} if error else {}, status, headers=HEADERS)
