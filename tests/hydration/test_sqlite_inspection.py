"""``SQLiteStore.look``: what is special about files; see ``tests/contracts/test_stored.py`` for the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessionstream.errors import StoreError
from sessionstream.hydration.sqlite import SQLiteFile, SQLiteStore
from sessionstream.testing import SessionWriter, put, sample_registry

REGISTRY = sample_registry()


@pytest.fixture
async def written(tmp_path: Path) -> None:
    """A file with a session."""
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        await SessionWriter(store).log(put("a"))


async def test_a_link_to_a_file_in_use_shows_what_was_committed_just_now(tmp_path: Path) -> None:
    (link := tmp_path / "link.db").symlink_to(tmp_path / "x.db")
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        await SessionWriter(store).log(put("a"))
        assert SQLiteStore.look(link, lambda file: file.count_events("session")) == 1


async def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file"):
        SQLiteStore.look(tmp_path / "no.db", lambda file: file.sessions())


async def test_a_file_that_changes_all_the_time_is_given_up(tmp_path: Path, written: None) -> None:
    asked: list[int] = []

    def question(file: SQLiteFile) -> None:
        asked.append(file.version)
        os.utime(tmp_path / "x.db", ns=(len(asked), len(asked)))

    with pytest.raises(StoreError, match="opened and closed all the time"):
        SQLiteStore.look(tmp_path / "x.db", question)
    assert len(asked) == 10


async def test_an_error_out_of_a_file_that_changed_is_not_believed(tmp_path: Path, written: None) -> None:
    asked: list[int] = []

    def question(file: SQLiteFile) -> str:
        asked.append(file.version)
        if len(asked) == 1:
            os.utime(tmp_path / "x.db", ns=(1, 1))
            raise StoreError("pages of several states")
        return "well"

    assert SQLiteStore.look(tmp_path / "x.db", question) == "well"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="not a regular file"):
        SQLiteStore.look(tmp_path / "pipe", raising)


def raising(file: SQLiteFile) -> None:
    raise LookupError("mine")
