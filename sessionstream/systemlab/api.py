"""The lab's HTTP API with JSON; errors are ``{"error": …}`` with a message for the user."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import Response

from sessionstream.serving.bodies import Refused, json_object
from sessionstream.serving.files import HEADERS
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.exports import document, markdown
from sessionstream.systemlab.lab import Lab
from sessionstream.systemlab.responses import answer

if TYPE_CHECKING:
    from starlette.requests import Request


class Api:
    """The endpoints under ``/api``, of one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def status(self, _request: Request) -> Response:
        """``GET /api/status``: the version, and the results of the checks of every phase."""
        return answer(await self._lab.status())

    async def reset(self, request: Request) -> Response:
        """``POST /api/reset``: restart every phase, or with ``{"phase": N}`` this one."""
        wanted = await json_object(request, "a reset")
        number = wanted.pop("phase", None)
        if wanted:
            raise BadRequest(f"a reset takes a phase, and no {', '.join(sorted(wanted))}")
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise BadRequest(f"a phase is a number, not {number!r}")
        await self._lab.reset(number)
        return answer(await self._lab.status())

    async def run(self, request: Request) -> Response:
        """``POST /api/phaseN/run``: run an action, and return the state after it."""
        fields = await json_object(request, "a run")
        name = fields.pop("action", None)
        if not isinstance(name, str):
            raise BadRequest("a run names its action")
        await self._lab.run(_number(request), name, fields)
        return await self.state(request)

    async def state(self, request: Request) -> Response:
        """``GET /api/phaseN/state``: the current state of the phase."""
        number = _number(request)
        state = await self._lab.state(number)
        return answer(document(self._lab.phase(number), state))

    async def export(self, request: Request) -> Response:
        """``GET /api/phaseN/export?format=json|markdown``: the state as a file."""
        number = _number(request)
        state, phase = await self._lab.state(number), self._lab.phase(number)
        match request.query_params.get("format", "json"):
            case "json":
                text = json.dumps(document(phase, state), indent=2, ensure_ascii=False) + "\n"
                return _download(text, f"systemlab-phase{number}.json", "application/json")
            case "markdown":
                return _download(markdown(phase, state), f"systemlab-phase{number}.md", "text/markdown")
            case other:
                raise BadRequest(f"an export has the format json or markdown, not {other!r}")

    async def upgrade(self, request: Request) -> Response:
        """``GET /api/phaseN/ws`` without a WebSocket."""
        self._lab.phase(_number(request))
        raise Refused(426, "this is a WebSocket endpoint")


def _number(request: Request) -> int:
    return int(request.path_params["number"])


def _download(text: str, name: str, media_type: str) -> Response:
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=headers, media_type=f"{media_type}; charset=utf-8")
