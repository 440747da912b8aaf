"""What goes wrong with a file has words that fit: each of SQLite's codes, each of the system's, and the real ones."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessionstream import SQLiteStore, StoreError
from sessionstream.hydration.sqlite import SQLiteFile
from sessionstream.hydration.sqlite.failures import failure, is_of_rows
from sessionstream.testing import SessionWriter, put, sample_registry

REGISTRY = sample_registry()

CODES = """ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL
    EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB NOTICE WARNING"""
WHOLE = "PERM BUSY LOCKED NOMEM READONLY INTERRUPT IOERR FULL CANTOPEN PROTOCOL NOTADB"
PRIMARY = {name: getattr(sqlite3, f"SQLITE_{name}") for name in CODES.split()}
EXTENDED = {
    name.removeprefix("SQLITE_"): value
    for name, value in vars(sqlite3).items()
    if name.startswith(tuple(f"SQLITE_{primary}_" for primary in PRIMARY)) and value > 255
}
WORDS = {
    "BUSY": "end it, or try again",
    "BUSY_RECOVERY": "end it, or try again",
    "LOCKED": "end it, or try again",
    "NOMEM": "out of memory",
    "IOERR_NOMEM": "out of memory",
    "READONLY": "allow both",
    "READONLY_DBMOVED": "put it back",
    "IOERR": "look at the system's log",
    "IOERR_WRITE": "a quota or the limit for the size of a file",
    "IOERR_SHMSIZE": "a quota or the limit for the size of a file",
    "IOERR_READ": "did not give back",
    "IOERR_FSYNC": "did not confirm",
    "IOERR_LOCK": "local disk",
    "IOERR_SHMMAP": "local disk",
    "CORRUPT": "recover",
    "CORRUPT_INDEX": "recover",
    "FULL": "make room on the disk",
    "CANTOPEN_ISDIR": "it is a directory",
    "TOOBIG": "1,000,000,000 bytes",
    "INTERRUPT": "try again",
    "NOTADB": "a file of its own",
    "MISUSE": "report what this says",
}


def said(error: Exception) -> str:
    failed = failure("/no/x.db", error, "SQLite failed on", 5.0)
    assert str(failed).startswith("SQLite failed on /no/x.db: ")
    return str(failed)


def of_code(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("words of SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("name", [*PRIMARY, *EXTENDED])
def test_every_code_of_sqlite_has_a_way_out(name: str) -> None:
    words = said(of_code((PRIMARY | EXTENDED)[name]))
    assert "words of SQLite: " in words
    assert len(words) > len("SQLite failed on /no/x.db: words of SQLite: ") + 20
    assert WORDS.get(name, "") in words
    assert "{" not in words


def test_these_are_all_the_codes_there_are() -> None:
    assert sorted(PRIMARY.values()) == list(range(1, 29))
    assert set(WORDS) <= {*PRIMARY, *EXTENDED}
    assert len(EXTENDED) > 50


@pytest.mark.parametrize("error", [sqlite3.ProgrammingError("closed"), OverflowError("too large")], ids=repr)
def test_what_python_refuses_has_a_way_out(error: Exception) -> None:
    assert said(error).count(": ") > 1


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_every_error_of_the_system_has_a_way_out(number: int) -> None:
    words = said(OSError(number, os.strerror(number)))
    expected = {
        errno.EACCES: "allow both",
        errno.EROFS: "is mounted read-only",
        errno.EMFILE: "this process has too many files open",
        errno.ENFILE: "this machine has too many files open",
        errno.ENOSPC: "make room on the disk",
        errno.EDQUOT: "a quota",
        errno.ENAMETOOLONG: "a shorter path",
        errno.EIO: "look at the system's log",
    }
    assert f": {os.strerror(number)}: " in words
    assert expected.get(number, "") in words
    assert ("allow both" in words) == (number in (errno.EACCES, errno.EPERM))


@pytest.mark.parametrize("name", [*PRIMARY, *EXTENDED])
def test_a_sweep_goes_past_what_is_of_some_rows_only(name: str) -> None:
    error = StoreError("failed")
    error.__cause__ = of_code((PRIMARY | EXTENDED)[name])
    assert is_of_rows(error) == (not name.startswith(tuple(WHOLE.split())))


# -- the real ones ---------------------------------------------------------------------------------------------------


@contextmanager
def limit(kind: int, value: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def size_of(path: Path) -> int:
    return path.stat().st_size


def next_descriptor() -> int:
    found = os.open("/", os.O_RDONLY)
    os.close(found)
    return found


@pytest.mark.parametrize("left", range(5))
async def test_too_many_open_files_when_a_store_is_opened(tmp_path: Path, left: int) -> None:
    path = tmp_path / "x.db"
    for there_before in (False, True):
        with limit(resource.RLIMIT_NOFILE, next_descriptor() + left):
            try:
                await (await SQLiteStore.open(path, REGISTRY)).close()
            except StoreError as error:
                assert "this process has too many files open" in str(error)
                assert "allow both" not in str(error)
                refused = True
            else:
                refused = False
        assert refused or left >= 3
        assert there_before or not refused or files_in(tmp_path) == []
        async with SQLiteStore.open(path, REGISTRY) as store:
            await SessionWriter(store, f"{there_before}").log(put("a"))


async def test_too_many_open_files_when_a_reader_is_needed(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        with limit(resource.RLIMIT_NOFILE, next_descriptor()):
            with pytest.raises(StoreError, match="this process has too many files open"):
                await store.snapshot("session")
            await writer.log(put("a", "b"))
        assert (await store.snapshot("session")).entities == writer.at(2)


@pytest.mark.parametrize("room", [0, 1, 4096, 30_000, 60_000])
async def test_a_limit_for_the_size_of_a_file(tmp_path: Path, room: int) -> None:
    path = tmp_path / "x.db"
    with limit(resource.RLIMIT_FSIZE, room), pytest.raises(StoreError, match="the limit for the size of a file"):
        async with SQLiteStore.open(path, REGISTRY) as store:
            await SessionWriter(store).log(put("a", "x" * 100_000))
    if room <= 30_000:
        assert files_in(tmp_path) == []
    async with SQLiteStore.open(path, REGISTRY) as store:
        assert await store.events("session") == []
        writer = SessionWriter(store)
        await writer.log(put("a"))
        size = size_of(Path(f"{path}-wal"))
        with limit(resource.RLIMIT_FSIZE, size), pytest.raises(StoreError, match="the store need not be opened anew"):
            await store.commit(writer.step(put("a", "x" * 100_000)))
        await writer.log(put("a", "y" * 100_000))  # as it is
        assert (await store.snapshot("session")).entities == writer.at(2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    root = sys.platform == "linux" and os.geteuid() == 0
    if not root or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


async def test_a_full_disk_when_a_store_is_opened(small_disk: Path) -> None:
    path, filler = small_disk / "x.db", small_disk / "filler"
    outcomes = set()
    for left in range(0, 256, 16):
        filler.write_bytes(b"x" * (256 - left) * 1024)
        try:
            await (await SQLiteStore.open(path, REGISTRY)).close()
        except StoreError as error:
            assert any(words in str(error) for words in ("make room on the disk", "make room, or raise the limit"))
            assert files_in(small_disk) == ["filler"]
            outcomes.add("refused")
        else:
            path.unlink()
            outcomes.add("opened")
        filler.unlink()
    assert outcomes == {"refused", "opened"}


def make_read_only(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)


async def test_a_disk_that_is_mounted_read_only(small_disk: Path) -> None:
    path = small_disk / "x.db"
    async with SQLiteStore.open(path, REGISTRY):
        pass
    make_read_only(small_disk)
    for each in (path, small_disk / "new.db"):
        with pytest.raises(StoreError, match="its file system is mounted read-only: mount it for writing"):
            await SQLiteStore.open(each, REGISTRY)


def place_of(tmp_path: Path, length: int) -> Path:
    """Return a path of so many bytes, in directories that are there."""
    place = tmp_path
    while length - len(os.fsencode(place)) > 201:
        place /= "d" * 100
    place.mkdir(parents=True, exist_ok=True)
    return place / ("f" * (length - len(os.fsencode(place)) - 1))


@pytest.mark.parametrize("length", [400, 500, 503, 504, 505, 508, 511, 512, 513, 520, 600, 1000])
async def test_a_path_is_good_for_everything_or_refused_before_anything_is_created(tmp_path: Path, length: int) -> None:
    path = place_of(tmp_path, length)
    assert len(os.fsencode(path)) == length
    shortcut, copy = tmp_path / "shortcut.db", tmp_path / "copy.db"
    shortcut.symlink_to(path)
    for given in (path, shortcut):
        try:
            async with SQLiteStore.open(given, REGISTRY) as store:
                await SessionWriter(store, given.name[:9]).log(put("a"))
        except StoreError as error:
            assert f"is {length} bytes long" in str(error)
            assert "shorter path" in str(error)
            assert files_in(path.parent) == []
            path.touch()
            with pytest.raises(StoreError, match=r"cannot read .* shorter path"):
                SQLiteStore.look(given, SQLiteFile.sessions)
            path.unlink()
            assert length > 504
        else:
            assert length <= 504
            assert given.name[:9] in SQLiteStore.look(given, SQLiteFile.sessions)
    if length > 504:
        async with SQLiteStore.open(copy, REGISTRY):
            pass
        with pytest.raises(StoreError, match=r"cannot copy to .* shorter path"):
            SQLiteStore.back_up(copy, path)
        assert files_in(path.parent) == []


async def test_a_name_that_no_file_system_holds(tmp_path: Path) -> None:
    for name in ("f" * 256, "f" * 300):
        with pytest.raises(StoreError, match="shorter path"):
            await SQLiteStore.open(tmp_path / name, REGISTRY)
    with pytest.raises(StoreError, match="shorter path"):
        SQLiteStore.look(tmp_path / ("f" * 256), lambda file: file.sessions())
    assert files_in(tmp_path) == []


async def test_pages_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(50):
            await writer.log(put("a", "x" * 500 * number))
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="recover"):
        async with SQLiteStore.open(path, REGISTRY) as store:
            await store.events("session")
    with pytest.raises(StoreError, match="recover"):
        SQLiteStore.look(path, lambda file: file.sessions())
