"""Whom an HTTP endpoint serves: the origins of pages and what CORS tells them, principals, and their sessions."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from sessionstream.errors import InvalidIdError, StoreError
from sessionstream.ids import check_id, check_new_id, is_long
from sessionstream.logs import BoundedLog
from sessionstream.transport.access import (
    Admitted,
    AuthenticateHook,
    AuthorizeHook,
    Origins,
    Refused,
    Scope,
    authenticate,
    authorize,
    challenge,
    check_hooks,
    header,
)
from sessionstream.transport.http.problems import REFUSALS, Answer, Headers, Problem

if TYPE_CHECKING:
    from sessionstream.fanout import LiveSessions

_PREFLIGHT_SECONDS: Final = 600
"""How long browsers may remember the answer to a preflight."""


class Guard:
    """Checks requests, and logs why one was refused; the client is not told more than a status, a code and a message.

    Args:
        allowed_origins, authenticate, authorize: as in the endpoints.
        timeout_seconds: time limit of each hook.
        log: receives the reasons of refusals.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an entry of ``allowed_origins`` is not a valid origin.
    """

    def __init__(
        self,
        allowed_origins: Collection[str] | None,
        authenticate: AuthenticateHook | None,
        authorize: AuthorizeHook | None,
        timeout_seconds: float,
        log: BoundedLog,
    ) -> None:
        check_hooks(authenticate, authorize)
        self._origins = Origins(allowed_origins)
        self._for_others = allowed_origins is not None
        self._authenticate = authenticate
        self._authorize = authorize
        self._timeout_seconds = timeout_seconds
        self._log = log

    def check_origin(self, scope: Scope) -> Headers:
        """Check the origin of the page; return the headers that let a page of another origin read the response.

        Raises:
            Problem: the page may not use the endpoint.
        """
        try:
            self._origins.check(scope)
        except Refused as refused:
            raise self._problem(refused) from refused
        origins = header(scope, b"origin")
        if not origins or not self._for_others:
            return ()
        if self._origins.any:
            return ((b"access-control-allow-origin", b"*"),)
        return (
            (b"access-control-allow-origin", origins[0].encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"origin"),
        )

    @staticmethod
    def options(scope: Scope, allowed: bytes) -> Answer:
        """Return the answer to an OPTIONS request, which may be a CORS preflight."""
        headers = [(b"allow", allowed)]
        if header(scope, b"access-control-request-method"):
            headers.append((b"access-control-allow-methods", allowed))
            headers.append((b"access-control-max-age", str(_PREFLIGHT_SECONDS).encode()))
            asked = ",".join(header(scope, b"access-control-request-headers"))
            if asked:
                headers.append((b"access-control-allow-headers", asked.encode("latin-1")))
        return Answer(204, b"", headers)

    async def admit(self, scope: Scope) -> Admitted:
        """Ask ``authenticate`` who sends the request.

        Raises:
            Problem: 401, 403 or 503.
        """
        try:
            return await authenticate(self._authenticate, scope, self._timeout_seconds)
        except Refused as refused:  # an exception of the hook is a refusal, as in a handshake of the WebSocket server
            raise self._problem(refused) from refused

    async def allow(self, principal: object, session_id: str, sessions: LiveSessions | None = None) -> None:
        """Ask ``authorize`` whether a principal may use a session, whose id is checked first.

        Args:
            sessions: where the session is to be watched: an id that is too long for a new session is refused there,
                unless there is such a session, as an old file may have one. None: the id is checked later.

        Raises:
            Problem: 400, 403 or 503.
        """
        try:
            check_id("session id", session_id)
            await authorize(self._authorize, principal, session_id, self._timeout_seconds)
            if sessions is not None and is_long(session_id):
                snapshot = await sessions.snapshot(session_id)
                if not snapshot.snapshot_ordinal:
                    check_new_id("session id", session_id)
        except StoreError as error:
            raise Problem(*REFUSALS["busy"]) from error
        except InvalidIdError as error:
            raise Problem(400, "invalid_id", str(error)) from error
        except Refused as refused:
            level = logging.WARNING if refused.__cause__ is None else logging.ERROR
            raise self._problem(refused, level) from refused

    def _problem(self, refused: Refused, level: int = logging.WARNING) -> Problem:
        status, code, message = REFUSALS[refused.reason]
        line = f"a request was refused with {status}: {refused.why}"
        self._log.log(f"requests refused with {status}", line, error=refused.__cause__, level=level)
        headers = ((b"www-authenticate", challenge(refused.reason)),) if status == 401 else ()
        return Problem(status, code, message, headers)
