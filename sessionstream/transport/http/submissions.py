"""Commands that run for clients: each in a task of its own, which goes on when its client is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from sessionstream.callables import refuse_unasked
from sessionstream.errors import error_text
from sessionstream.logs import BoundedLog, SessionLog
from sessionstream.transport.http.failures import FAILED, UNKNOWN, command_failed, problem_of
from sessionstream.transport.http.problems import Problem, shutting_down

if TYPE_CHECKING:
    from google.protobuf.message import Message

_NO_HANDLER: Final = "ChatMapping.command has named it, and the hub has no handler for it"

_log = SessionLog()


class Submits(Protocol):
    """Runs commands. A hub does."""

    async def submit(self, session_id: str, name: str, payload: Message, *, idempotency_key: str | None = None) -> None:
        """Run a command's handler; see ``Hub.submit``."""
        ...


def check_errors(errors: Mapping[type[Any], int] | None) -> Mapping[type[Exception], int]:
    """Check which errors of handlers are told, and with which status.

    Raises:
        TypeError: it is no mapping, a key is no exception class, or a status no int.
        ValueError: a status is not between 400 and 599.
    """
    if errors is not None and not isinstance(errors, Mapping):
        raise TypeError(f"errors must be a mapping, such as {{ValueError: 422}}, not {errors!r}")
    shown: dict[Any, Any] = dict(errors or {})
    for cls, status in shown.items():
        if not (isinstance(cls, type) and issubclass(cls, Exception)):
            raise TypeError(f"errors has exception classes and their statuses; {cls!r} is no exception class")
        if isinstance(status, bool) or not isinstance(status, int):
            raise TypeError(f"the status of {cls.__name__} in errors must be an int, not {status!r}")
        if not 400 <= status <= 599:
            raise ValueError(f"the status of {cls.__name__} in errors must be between 400 and 599, not {status}")
    return shown


class Submissions:
    """Submits the commands of one endpoint.

    Args:
        hub: runs the commands.
        log: receives what clients are not told.
        shown: the errors of handlers that clients are told, and their statuses.
        limit: how many may run at the same time.
        names_from: who names the commands: a client, which is told of a name that does not exist, or the mapping of the
            application, whose fault that is.
    """

    def __init__(
        self,
        hub: Submits,
        log: BoundedLog,
        shown: Mapping[type[Any], int],
        limit: int,
        names_from: Literal["client", "mapping"],
    ) -> None:
        self._hub = hub
        self._log = log
        self._shown = shown
        self._limit = limit
        self._names_from = names_from
        self._running: set[asyncio.Task[Problem | None]] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._running)

    def check_room(self) -> None:
        """Check that one more command may run.

        Raises:
            Problem: with 503, too many run, or the endpoint shuts down.
        """
        if self._stopping:
            raise shutting_down()
        if len(self._running) >= self._limit:
            self._log.log("commands refused with 503", f"{self._limit} commands run already: one was refused")
            raise Problem(503, "busy", "the server has too much to do; try again in a moment")

    def start(self, session_id: str, name: str, payload: Message, key: str | None) -> asyncio.Task[Problem | None]:
        """Run a command; the result is what the client is told of its error, which is logged if it is the server's.

        Raises:
            Problem: as ``check_room``.
        """
        self.check_room()
        running = asyncio.create_task(
            self._submit(session_id, name, payload, key), name=f"sessionstream: command {name}"
        )
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return running

    async def _submit(self, session_id: str, name: str, payload: Message, key: str | None) -> Problem | None:
        try:
            try:
                await self._hub.submit(session_id, name, payload, idempotency_key=key)
            except asyncio.CancelledError as error:
                refuse_unasked(error, "the handler waited for something that was cancelled")
                raise
        except Exception as error:  # noqa: BLE001 - told, and logged with its traceback
            problem = problem_of(error, session_id, name, key, self._shown)
            unknown = problem.code == UNKNOWN and self._names_from == "mapping"
            if unknown:
                problem = command_failed()
            if problem.status >= 500:
                line = f"command {name!r} of session {session_id!r} was answered with {problem.status} {problem.code}"
                cause = error if problem.code == FAILED and not unknown else None
                details = "" if cause else f": {_NO_HANDLER if unknown else error_text(error)}"
                kind = f"commands answered with {problem.code}"
                self._log.log(kind, line + details, error=cause, level=logging.ERROR, session_id=session_id)
            return problem
        return None

    async def shutdown(self, timeout_seconds: float) -> None:
        """Refuse new commands, wait for those that run, and cancel the ones that take longer than this.

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
        self._log.flush(now=True)
