"""Hints over LISTEN and NOTIFY: what a PostgresStore uses if it is not given others.

NOTIFY is a statement of its own, for many commits: within their transactions it would make each of them wait for all
others. A hint is heard by its own sender too. If it is not, there is a pooler between, or the listener's connection is
broken in a way that nobody has noticed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from sessionstream.hydration.postgres.connections import LONGEST_PAUSE, dial
from sessionstream.hydration.postgres.failures import shown
from sessionstream.logs import SessionLog

if TYPE_CHECKING:
    import asyncpg
    from asyncpg import Record

    from sessionstream.hints import Heard
    from sessionstream.hydration.postgres.connections import Link

_log = SessionLog()

GATHER_SECONDS: Final = 0.005
"""At most one NOTIFY in this time."""

PROBE_SECONDS: Final = 1.0
"""Without an own hint for this time after it was sent, hints do not work."""

SEND_SECONDS: Final = 2.0
"""After this time a NOTIFY without an answer is given up, and so is its connection."""

MAX_BYTES: Final = 7_900
"""Bytes of a payload; PostgreSQL takes fewer than 8,000."""


class Notifications:
    """Hints over one connection that listens; NOTIFY goes over another.

    Args:
        dsn: of the connection that listens; it must not lead through a pooler.
        link: what NOTIFY is sent over.
    """

    def __init__(self, dsn: str, link: Link) -> None:
        self._dsn = dsn
        self._link = link
        self._channel = ""
        self._heard: Heard | None = None
        self._unsent: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._works = False
        self._heard_own = asyncio.Event()
        self._warned = False

    @property
    def works(self) -> bool:
        """Whether an own hint was heard, on the present connection."""
        return self._works

    async def start(self, channel: str, heard: Heard, /) -> None:
        """Begin to listen."""
        self._channel, self._heard = channel, heard
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._listen(), name="sessionstream listener"),
            loop.create_task(self._send(), name="sessionstream notifier"),
        ]

    def send(self, session_ids: Collection[str], /) -> None:
        """Tell the other processes that sessions have moved."""
        self._unsent.update(session_ids)
        self._wake.set()

    async def close(self) -> None:
        """Stop listening and sending."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._link.close(1.0)

    async def _listen(self) -> None:
        """Keep a connection that listens."""
        pause = 0.05
        while True:
            connection: asyncpg.Connection[Record] | None = None
            try:
                connection = await dial(self._dsn, pooled=True)  # no settings, no prepared statements
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _: lost.set())  # noqa: B023 - of this connection
                await connection.add_listener(self._channel, self._on_notification)
                self._tell(None)  # what happened before this connection
                pause = 0.05
                await self._probe()
                await lost.wait()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the listener goes on
                if not self._warned:
                    self._warned = True
                    _log.warning(
                        "cannot listen for hints of other processes at %s (%s): trying again; until then their events "
                        "arrive up to a second later",
                        shown(self._dsn),
                        str(error) or type(error).__name__,
                    )
            finally:
                self._works = False
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _probe(self) -> None:
        """Send a hint and see whether it is heard."""
        self._heard_own.clear()
        self.send(())
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._heard_own.wait()
            self._works = True
            if self._warned:
                self._warned = False
                _log.info("hints of other processes at %s arrive again", shown(self._dsn))
        except TimeoutError:
            if not self._warned:
                self._warned = True
                _log.warning(
                    "hints do not come through %s, as they do not through a pooler: give PostgresStore.connect a "
                    "listen_dsn that leads to the server itself, or hints=…; until then the store looks for events of "
                    "other processes five times a second",
                    shown(self._dsn),
                )

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            session_ids, self._unsent = self._unsent, set()
            payload = json.dumps(sorted(session_ids), ensure_ascii=False, separators=(",", ":"))
            if len(payload.encode()) > MAX_BYTES:
                payload = "null"
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._link.fetch("SELECT pg_notify($1, $2)", self._channel, payload)
            except Exception as error:  # noqa: BLE001 - a lost hint is made up for
                self._link.drop()
                _log.debug("a hint was lost: %r", error)
            await asyncio.sleep(GATHER_SECONDS)

    def _on_notification(self, _connection: Any, _process: int, _channel: str, payload: object) -> None:
        self._heard_own.set()
        try:
            session_ids = json.loads(str(payload))
        except ValueError:  # somebody else's
            return
        if session_ids is None:
            self._tell(None)
        elif session_ids:
            self._tell(session_ids)

    def _tell(self, session_ids: Collection[str] | None) -> None:
        if self._heard is not None:
            self._heard(session_ids)
