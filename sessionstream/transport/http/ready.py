"""The endpoint for readiness checks: whether the hub can serve, for balancers and for those who start processes."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final, Protocol

from sessionstream.errors import HubClosed, StoreError
from sessionstream.logs import BoundedLog
from sessionstream.transport.checks import check_above_zero
from sessionstream.transport.http.endpoint import Endpoint, Request
from sessionstream.transport.http.guard import Guard
from sessionstream.transport.http.problems import Answer, Problem, shutting_down

_READY: Final = Answer(200, b'{"ready": true}')
_HOOK_SECONDS: Final = 10.0  # there are no hooks


class Readiness(Protocol):
    """Says whether it can serve. A hub does."""

    async def ready(self, *, within: float) -> None:
        """Return if it can serve; answer within so many seconds.

        Raises:
            HubClosed: it is shut down.
            StoreError: its store cannot write or read.
        """


def ready_endpoint(hub: Readiness, *, within: float = 5.0) -> ReadyEndpoint:
    """Return an ASGI application that answers readiness checks. (Reference: HTTP endpoints.)

    ``GET`` and ``HEAD`` are answered with 200 and ``{"ready": true}`` if ``hub.ready()`` returns: the hub is open, and
    its store writes and reads. Otherwise the answer is 503 and ``{"error": {"code": …, "message": …}}``, with the code
    ``shutting_down`` or ``store_unavailable``. The message of the second is that of the StoreError, which is logged as
    well: it may name a file, never a password. Answers must not be cached, and say so.

    It serves any path, to anybody. Requests at the same time share one check, so that they do not keep the store busy.
    It mounts in any ASGI framework::

        app = Starlette(routes=[Route("/ready", ready_endpoint(hub))])

    Args:
        hub: what is checked; usually a Hub.
        within: seconds within which the store has to answer; less than the time limit of the check.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: ``within`` is not above 0.
    """
    if not callable(getattr(hub, "ready", None)):
        raise TypeError(f"hub must have a method ready, as a Hub has; got {hub!r}")
    check_above_zero("within", within)
    return ReadyEndpoint(hub, within)


class ReadyEndpoint(Endpoint):
    """The result of ``ready_endpoint``: an ASGI application, which belongs to one event loop."""

    _routes: ClassVar = {"": "GET HEAD"}
    _usage = "ask whether the server is ready with GET or HEAD"

    def __init__(self, hub: Readiness, within: float) -> None:
        self._log = BoundedLog()
        super().__init__(Guard(None, None, None, _HOOK_SECONDS, self._log))
        self._hub = hub
        self._within = within
        self._closed = False
        self._checking: asyncio.Task[Answer] | None = None

    async def _serve(self, request: Request) -> Answer | None:
        if self._closed:
            raise shutting_down()
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._checked())
        return await asyncio.shield(self._checking)

    async def _checked(self) -> Answer:
        try:
            await self._hub.ready(within=self._within)
        except HubClosed:
            return shutting_down().answer()
        except StoreError as error:
            self._log.log("readiness checks that failed", f"not ready: {error}")
            return Problem(503, "store_unavailable", str(error)).answer()
        return _READY

    async def shutdown(self) -> None:
        """Answer 503 from now on, so that no new clients are sent here; wait for the check in progress."""
        self._closed = True
        if self._checking is not None:
            await asyncio.wait([self._checking])
