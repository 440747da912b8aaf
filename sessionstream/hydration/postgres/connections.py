"""Connections to the server, and the repetition of what fails because the server or the network does.

Each connection is used by one task at a time, and opened when it is needed. After a failure it is thrown away, and the
next attempt opens another: what a broken connection still does on the server harms nothing, because every change
compares cursors or tokens first.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote

import asyncpg

from sessionstream.errors import CommitUnknown, StoreError
from sessionstream.hydration.postgres.failures import DRIVER_ERRORS, is_certain, passes, shown, store_error
from sessionstream.hydration.rules import check_instance
from sessionstream.logs import SessionLog

if TYPE_CHECKING:
    from asyncpg import Record

_log = SessionLog()

T = TypeVar("T")

SCHEMA: Final = "sessionstream"
"""The namespace of the tables, where none is given."""

FIRST_ATTEMPT: Final = 1 / 15
"""The part of the patience after which a first attempt without an answer is given up; each later one has twice as long,
so that a slow answer comes in the end, and a dead connection is left early."""

LEAST_ATTEMPT: Final = 1.0
"""Seconds that a first attempt has at least: opening a connection may take a while."""

NOTING: Final = 0.1
"""The part of the patience for which writing an error record is tried; who wrote it may try again later."""

PROBING: Final = 4.0
"""Seconds for which a probe is repeated: less than ``Hub.ready`` waits by default, so that it says what fails."""

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 1.0
"""Seconds between two attempts, at the beginning and at the most."""

_FILE: Final = re.compile(r"(?<=[?&])ssl(?:rootcert|cert|key|crl)=([^&#]+)")
"""Options of a DSN that name a file."""

_SETTINGS: Final = {
    "application_name": "sessionstream",
    # Plans are made once, when the tables may be empty still: they have to use the indexes.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    # A transaction whose client is gone gives its locks back.
    "idle_in_transaction_session_timeout": "15000",
}


class Outage:
    """Whether the server can be reached; the log says once when it cannot, and once when it can again."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: float | None = None

    def failed(self, name: str, patience: float, error: Exception) -> None:
        """Note that the server was not reached, or did not answer in time."""
        if self._since is None:
            self._since = time.monotonic()
            what = "has not answered in time" if isinstance(error, TimeoutError) else f"cannot be reached ({error!r})"
            _log.warning("%s %s: calls are repeated for up to %g seconds each", name, what, patience)

    def answered(self, name: str) -> None:
        """Note that the server has answered."""
        if self._since is not None:
            seconds, self._since = time.monotonic() - self._since, None
            _log.info("%s answers again, after %.1f seconds", name, seconds)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the tables are.

    Attributes:
        dsn: of the server, or of a pooler before it.
        schema: the namespace of the tables.
        pooled: whether connections lead through a pooler, which may change the server connection between transactions.
        patience: seconds for which a call is repeated.
        name: what messages call it; without a password.
        outage: whether it can be reached now, as far as the calls of its store know.
    """

    dsn: str
    schema: str
    pooled: bool
    patience: float
    name: str
    outage: Outage = field(default_factory=Outage, compare=False)

    @classmethod
    def at(cls, dsn: str, schema: str, patience: float, *, pooled: bool) -> Database:
        """Return a database, with its name.

        Raises:
            TypeError, ValueError: an argument is not valid.
        """
        check_dsn("dsn", dsn)
        check_schema(schema)
        if isinstance(patience, bool) or not isinstance(patience, (int, float)):
            raise TypeError(f"patience is a number of seconds, not {patience!r}")
        if not patience > 0:
            raise ValueError(f"patience is a number of seconds above 0, not {patience!r}")
        return cls(dsn, schema, pooled, patience, f"{shown(dsn)} (schema {schema})")


def check_schema(schema: object) -> None:
    """Check that an argument is the name of a schema.

    Raises:
        TypeError, ValueError: it is not.
    """
    check_instance("schema", str, schema)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", str(schema)):
        raise ValueError(f"schema is a name of letters, digits and _, at most 63 long, not {schema!r}")


def check_dsn(name: str, dsn: object) -> None:
    """Check that an argument is a DSN.

    Raises:
        TypeError, ValueError: it is not.
    """
    check_instance(name, str, dsn)
    if not str(dsn).startswith(("postgres://", "postgresql://")):
        raise ValueError(f"{name} is an URL such as 'postgres://user@host/database'")  # not shown: it may be a password


class Link:
    """One connection, opened when it is needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.sent: bool = False
        """Whether something was sent in the present attempt."""
        self._connection: asyncpg.Connection[Record] | None = None
        self._texts: dict[str, str] = {}

    @property
    def schema(self) -> str:
        """The namespace of the tables."""
        return self._database.schema

    async def fetch(self, sql: str, *values: object) -> list[Record]:
        """Execute a statement, in which ``{s}`` stands for the schema, and return its rows."""
        text = self._texts.get(sql)
        if text is None:
            text = self._texts[sql] = self._text(sql)
        connection = self._connection or await self._open()
        self.sent = True
        return await connection.fetch(text, *values)

    async def run_script(self, statements: Iterable[str]) -> None:
        """Execute statements without values, sent together."""
        connection = self._connection or await self._open()
        await connection.execute(self._text(";".join(statements)))

    async def copy(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table."""
        connection = self._connection or await self._open()
        await connection.copy_records_to_table(table, schema_name=self._database.schema, columns=columns, records=rows)

    def _text(self, sql: str) -> str:
        return sql.replace("{s}", f'"{self._database.schema}"')

    @asynccontextmanager
    async def one_state(self) -> AsyncIterator[None]:
        """Run several statements on one state of the tables, read-only."""
        connection = self._connection or await self._open()
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run several statements in a transaction."""
        connection = self._connection or await self._open()
        async with connection.transaction():
            yield

    def drop(self) -> None:
        """Throw the connection away; the next statement opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self, seconds: float) -> None:
        """Close the connection; throw it away if that takes too long."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=seconds)
        except Exception:  # noqa: BLE001 - it is given up in any case
            connection.terminate()

    async def _open(self) -> asyncpg.Connection[Record]:
        self._connection = connection = await dial(self._database.dsn, self._database.pooled)
        return connection


async def dial(dsn: str, pooled: bool) -> asyncpg.Connection[Record]:
    """Open a connection. Raises what asyncpg does, but not what would show a password.

    Raises:
        StoreError: the DSN cannot be parsed, has an option with a wrong value, or names a file that is not there.
    """
    try:
        return await asyncpg.connect(
            dsn,
            # Through a pooler, a prepared statement may be on another server connection than the next message.
            statement_cache_size=0 if pooled else 200,
            server_settings=None if pooled else _SETTINGS,
        )
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise StoreError(f"{shown(dsn)} cannot be used: {error}: correct its URL") from error
    except FileNotFoundError as error:
        if missing := _missing_file(dsn):
            raise StoreError(f"{shown(dsn)} cannot be used: there is no file {missing}: correct its URL") from error
        raise  # the socket of the server, which may come
    except ValueError as error:
        if isinstance(error, asyncpg.InterfaceError):
            raise
    raise StoreError(  # the error shows a part of the DSN, which may be of the password
        f"{shown(dsn)} is no valid URL: in its user name, password and options, write what is special in URLs in "
        f"percent-encoding, such as %2F for / and %40 for @"
    )


def _missing_file(dsn: str) -> str | None:
    """Return the first file that an option of a DSN names and that is not there."""
    paths = map(unquote, _FILE.findall(dsn))
    return next((path for path in paths if not Path(path).exists()), None)


class Attempts:
    """The attempts of one call: how long each may take, and when there are no more.

    Args:
        begun: when the call was made, on the clock of the event loop.
        patience: seconds for which the call is repeated; those of the database if it is None.
        changes: whether a call that was not answered may have changed something.
    """

    def __init__(
        self, database: Database, begun: float | None = None, *, patience: float | None = None, changes: bool = True
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = database.name
        self._outage = database.outage
        self._changes = changes
        self._patience = patience = database.patience if patience is None else patience
        self._seconds = max(patience * FIRST_ATTEMPT, LEAST_ATTEMPT)
        self._pause = FIRST_PAUSE
        self._end = (self._loop.time() if begun is None else begun) + patience
        self.uncertain: bool = False
        """Whether an attempt may have changed something, or may still do so."""

    async def attempt(self, link: Link, work: Callable[[Link], Awaitable[T]]) -> T:
        """Try once. A failure that passes raises ``Failed`` after a pause.

        Raises:
            Failed: try again.
            StoreError: there is no time left, or the failure does not pass.
        """
        now = self._loop.time()
        link.sent = False
        try:
            async with asyncio.timeout_at(min(now + self._seconds, self._end)):
                answer = await work(link)
            self._outage.answered(self._name)
            return answer
        except asyncio.CancelledError:
            link.drop()  # the answer to what was asked would be taken for that to the next question
            raise
        except DRIVER_ERRORS as error:
            if not is_certain(error):
                self.uncertain = self.uncertain or link.sent
                link.drop()
                if self._pause > FIRST_PAUSE:  # not where only an idle connection was cut, and the next one works
                    self._outage.failed(self._name, self._patience, error)
            if not passes(error):
                raise store_error(error, self._name) from error
            left = self._end - self._loop.time()
            if left <= self._pause:
                if self.uncertain and self._changes:
                    raise CommitUnknown(self._name, self._patience) from error
                if isinstance(error, TimeoutError):
                    raise self._late() from error
                raise store_error(error, self._name) from error
            self._seconds *= 2
            pause = self._pause
            self._pause = min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            raise Failed from error

    async def acquire(self, connections: asyncio.Semaphore) -> None:
        """Wait until a connection is idle.

        Raises:
            StoreError: there is no time left: other calls wait for the server on all of them.
        """
        try:
            async with asyncio.timeout_at(self._end):
                await connections.acquire()
        except TimeoutError as error:
            raise (
                CommitUnknown(self._name, self._patience) if self.uncertain and self._changes else self._late()
            ) from error

    def _late(self) -> StoreError:
        return StoreError(f"{self._name} has not answered within {self._patience:g} seconds: try again once it does")


class Failed(Exception):  # internal: never leaves this package
    """An attempt failed, and another one may succeed."""


class Links:
    """A few connections for everything but commits."""

    def __init__(self, database: Database, count: int) -> None:
        self._database = database
        self._idle = [Link(database) for _ in range(count)]
        self._all = tuple(self._idle)
        self._free = asyncio.Semaphore(count)

    async def read(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Do work that changes nothing on an idle connection, again while the server cannot be reached.

        Raises:
            StoreError: the server failed, or did not answer in time.
        """
        return await self._repeated(work, changes=False)

    async def change(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Do work on an idle connection, again while the server cannot be reached.

        The work may be done several times, also completely: its changes have to be such that it does not matter.

        Raises:
            StoreError: the server failed; CommitUnknown if it did not answer in time.
        """
        return await self._repeated(work, changes=True)

    async def note(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Do work as ``change`` does, with ``NOTING`` of the patience.

        An error record is usually one of a call for which the server has not answered in all of the patience.

        Raises:
            StoreError: the server failed; CommitUnknown if it did not answer in time.
        """
        patience = min(max(self._database.patience * NOTING, LEAST_ATTEMPT), self._database.patience)
        return await self._repeated(work, changes=True, patience=patience)

    async def probe(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Do work whose outcome nobody needs but as a sign that the server works, for ``PROBING`` seconds at most.

        Raises:
            StoreError: the server failed, or did not answer in time.
        """
        return await self._repeated(work, changes=False, patience=min(PROBING, self._database.patience))

    async def _repeated(
        self, work: Callable[[Link], Awaitable[T]], *, changes: bool, patience: float | None = None
    ) -> T:
        attempts = Attempts(self._database, patience=patience, changes=changes)
        while True:
            await attempts.acquire(self._free)
            link = self._idle.pop()
            try:
                return await attempts.attempt(link, work)
            except Failed:
                continue
            finally:
                self._idle.append(link)
                self._free.release()

    async def close(self, seconds: float) -> None:
        """Close the connections."""
        await asyncio.gather(*(link.close(seconds) for link in self._all))
