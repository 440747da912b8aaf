"""Opens the file. Paths that cannot work are refused before anything is created or changed."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar, get_args

from sessionstream.errors import StoreError
from sessionstream.hydration.sqlite import failures, schema
from sessionstream.hydration.sqlite.watch import log_of

T = TypeVar("T")

Synchronous: TypeAlias = Literal["normal", "full"]

PATIENCE: Final = 30.0
"""Seconds within which every change has an outcome."""

_BUSY_SHARE: Final = 1 / 6
"""The part of it that one transaction waits for another process's: a change may have to wait for more than one."""

_MINIMUM: Final = (3, 24)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CHECKPOINT_PAGES: Final = 4000  # 16 MiB of log: the busy pages are copied to the file once for many commits
_LOG_BYTES: Final = 64 * 2**20
"""Size to which a log that has grown larger, because of a long read, is cut after a checkpoint.

It is four times the size in ordinary use, so that the log is not cut and grown again all the time."""

_CACHE_KIB: Final = 16_000
_LOOKS: Final = 10


_LONGEST: Final = 504
"""Bytes of a path, links resolved, that SQLite opens: 512, less the suffix of a journal."""

_PAGE: Final = 4096
"""Bytes of a database without a table."""


def check_length(path: str, what: str) -> None:
    """Check that a path is not too long for SQLite; ``what`` is the verb of the error, for example "open".

    Raises:
        StoreError: it is too long.
    """
    place = os.path.realpath(path)
    if (length := len(os.fsencode(place))) > _LONGEST:
        via = "" if place == path else f" leads to {place}, which"
        raise StoreError(
            f"cannot {what} {path}: it{via} is {length} bytes long, and SQLite opens paths of at most {_LONGEST}: "
            f"give the file a shorter path"
        )


def remove_empty(path: str) -> None:
    """Remove a file that was created and never written to, and the files that SQLite has put beside it.

    A file with a log that is not empty stays: another process has it open.
    """
    place = os.path.realpath(path)
    with suppress(OSError):
        log = Path(log_of(path))
        if Path(place).stat().st_size <= _PAGE and not (log.exists() and log.stat().st_size):
            for ending in ("-journal", "-wal", "-shm", ""):
                Path(place + ending).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Database:
    """One SQLite file and how to connect to it.

    Attributes:
        synchronous: what a commit waits for; see ``SQLiteStore.open``.
        factory: the class of connections, for tests that inject faults.
        patience: seconds; see ``SQLiteStore.open``.
    """

    path: str
    synchronous: Synchronous = "normal"
    factory: type[sqlite3.Connection] = sqlite3.Connection
    patience: float = PATIENCE

    @property
    def busy_seconds(self) -> float:
        """How long the writer waits for another process's transaction."""
        return self.patience * _BUSY_SHARE

    @classmethod
    def at(
        cls, path: str | os.PathLike[str], synchronous: Synchronous = "normal", patience: float = PATIENCE
    ) -> Database:
        """Return the database at ``path`` without opening it.

        Raises:
            StoreError: the path does not name a file, or SQLite is too old.
            ValueError: ``synchronous`` is neither ``"normal"`` nor ``"full"``, or ``patience`` is not above 0.
            TypeError: ``path`` is not a path, or ``patience`` not a number.
        """
        if synchronous not in get_args(Synchronous):
            raise ValueError(f"synchronous is 'normal' or 'full', not {synchronous!r}")
        if isinstance(patience, bool) or not isinstance(patience, int | float):
            raise TypeError(f"patience is a number of seconds, not {patience!r}")
        if not 0 < patience < inf:
            raise ValueError(f"patience is a number of seconds above 0, not {patience!r}")
        if sqlite3.sqlite_version_info < _MINIMUM:
            raise StoreError(f"the SQLite library is {sqlite3.sqlite_version}; the SQLite store needs 3.24 or newer")
        try:
            text = os.fsdecode(path)
        except TypeError:
            raise TypeError(f"path is a str or an os.PathLike, not {path!r}") from None
        if not text or "\0" in text:
            raise StoreError(f"{path!r} does not name a file; for a store without a file use MemoryStore")
        if text == ":memory:" or (text.startswith("file:") and "memory" in text):
            raise StoreError(f"{text!r} would not outlive the process: use MemoryStore, which is made for that")
        if text.startswith("file:"):
            raise StoreError(f"{text!r} is a URI: give the plain path of the file")
        return cls(str(Path(text).absolute()), synchronous, patience=patience)

    def connect_writer(self) -> sqlite3.Connection:
        """Open the file for writing, create or migrate it, and return the connection.

        Raises:
            StoreError: the file cannot be opened, is not a database, not one of this library, or of a newer version.
        """
        try:
            self._check_place()
            if not Path(self.path).exists():
                return self._created()
            # A file of another application or a newer version is refused before anything is done to it.
            self.look(lambda db: schema.check_identity(db, self.path), settled=False)
            return self._opened()
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise self.failure(error, "cannot open") from error

    def _opened(self) -> sqlite3.Connection:
        db = self._connect("rwc")
        try:
            self._prepare(db)
            schema.migrate(db, self.path)
        except BaseException:
            db.close()
            raise
        return db

    def _created(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except BaseException:
            remove_empty(self.path)
            raise

    def connect_reader(self) -> sqlite3.Connection:
        """Open the existing file for reading only."""
        db = self._connect("rw")
        db.execute("PRAGMA query_only = ON")
        return db

    def failure(self, error: Exception, what: str = "SQLite failed on") -> StoreError:
        """Return the StoreError for an error of SQLite or the file system; it says what to do."""
        return failures.failure(self.path, error, what, self.busy_seconds)

    def _check_place(self) -> None:
        check_length(self.path, "open")
        place = Path(self.path)
        if place.is_symlink():
            place = Path(os.path.realpath(place))
            if place.is_symlink():
                raise StoreError(f"cannot open {self.path}: it is a symbolic link that leads to itself: fix the link")
        via = "" if str(place) == self.path else f"it is a symbolic link to {place}, and "
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            mode = stat.S_IFREG  # it will be a regular file, if its directory exists
        if stat.S_ISDIR(mode):
            raise StoreError(f"cannot open {self.path}: {via}it is a directory, the store needs a file")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
            raise StoreError(f"cannot open {self.path}: {via}it is not a regular file: the store needs a file")
        if not place.parent.is_dir():
            wrong = f"{via}its directory {place.parent} does not exist"
            raise StoreError(f"cannot open {self.path}: {wrong}: create it, or correct the path")
        if place.exists() and not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            # SQLite would open it all the same, for reading, and fail at the first commit.
            code = errno.EROFS if failures.is_read_only(self.path) else errno.EACCES
            raise OSError(code, os.strerror(code))

    def look(self, question: Callable[[sqlite3.Connection], T], *, settled: bool) -> T:
        """Answer a question from one state of the file, and change neither the file nor its directory.

        A file that is not open anywhere is read as it is. One with a write-ahead log beside it is read through that
        log, so that a writer and this reader do not wait for each other. The question may be asked again if the file
        was changed meanwhile, so it must have no side effects.

        Args:
            question: its exceptions are passed on.
            settled: whether an answer counts only if the file was not changed meanwhile.

        Raises:
            StoreError: the file was changed during every attempt.
        """
        for last in (False,) * (_LOOKS - 1) + (True,):
            # Without a log beside it the file is not open anywhere, and SQLite need not create a log to read it.
            quiet = not Path(log_of(self.path)).exists()
            before = self._trace()
            try:
                with closing(self._connect("ro&immutable=1" if quiet else "ro")) as db, schema.one_state(db):
                    answer = question(db)
            except Exception:
                # Another process may have begun to change the file, so that pages of several states were read.
                if last or not quiet or self._trace() == before:
                    raise
            else:
                if not settled or not quiet or self._trace() == before:
                    return answer
        raise StoreError(f"cannot read {self.path}: it is opened and closed all the time: try again")

    def _trace(self) -> tuple[object, ...]:
        """Return values that differ when the file was changed or opened elsewhere."""
        status = Path(self.path).stat()
        return status.st_ino, status.st_size, status.st_mtime_ns, Path(log_of(self.path)).exists()

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{Path(self.path).as_uri()}?mode={mode}",
            uri=True,
            timeout=self.busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=self.factory,
        )

    def _prepare(self, db: sqlite3.Connection) -> None:
        # SQLite does not wait when it changes the journal mode, and two processes may open a new file at once.
        deadline = time.monotonic() + self.busy_seconds
        mode = ""
        while not mode:
            try:
                mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise StoreError(f"cannot open {self.path}: its file system does not allow write-ahead logging")
        db.execute(f"PRAGMA synchronous = {self.synchronous}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
