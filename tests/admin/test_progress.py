"""How far a long command is: on a terminal, or where it is asked for, and nowhere else."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sessionstream import SQLiteStore
from sessionstream.admin import progress
from sessionstream.admin.arguments import parser
from sessionstream.admin.progress import Progress

from .app import BROKEN, write
from .conftest import Run
from .test_repair import APP

LONG = {
    "retry": (["FILE", "t", *APP], "2 of 2 events\n"),
    "retry --dry-run": (["FILE", "t", *APP, "--dry-run"], "2 of 2 events\n"),
    "retry --held": (["FILE", "--held", *APP], "1 of 1 sessions\n"),
    "rebuild": (["FILE", "s", *APP], "3 of 3 events\n"),
    "rebuild --dry-run": (["FILE", "s", *APP, "--dry-run"], "3 of 3 events\n"),
    "prune": (["FILE", "s", "--before", "2"], "forgetting 1 event of s …\n"),
    "delete": (["FILE", "s"], "deleting 3 events and 1 entity of s …\n"),
    "check": (["FILE"], "2 of 2 sessions\n"),
    "backup": (["FILE", "COPY"], "pages\n"),
    "restore": (["FILE", "COPY"], "pages\n"),
}


def typed(name: str, file: Path) -> list[object]:
    places = {"FILE": file, "COPY": file.with_name("copy.db")}
    return [name.split()[0], *(places.get(each, each) for each in LONG[name][0])]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)


@pytest.mark.parametrize("name", LONG)
def test_a_long_command_says_how_far_it_is_on_a_terminal(
    run: Run, file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch)
    ran = run(*typed(name, file))
    assert ran.status == 0
    assert ran.err.startswith("\r")
    assert ran.err.endswith(LONG[name][1])
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("name", LONG)
def test_elsewhere_it_says_so_if_it_is_asked(run: Run, file: Path, name: str) -> None:
    ran = run(*typed(name, file), "--progress", "--json")
    assert ran.status == 0
    assert ran.err.endswith(LONG[name][1])
    assert "\r" not in ran.err
    assert ran.out.startswith("{")


@pytest.mark.parametrize("name", LONG)
def test_and_otherwise_nothing(run: Run, file: Path, name: str) -> None:
    ran = run(*typed(name, file))
    assert (ran.status, ran.err) == (0, "")


def test_events_are_counted_while_they_are_applied(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_TERMINAL_SECONDS", 0.0)
    assert run("retry", file, "t", *APP).err == "\r1 of 2 events\r2 of 2 events\n"


def test_a_failure_has_a_line_of_its_own(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    file = tmp_path / "held.db"
    write(file, "x", "bad", "y", "broken", "z", broken=["bad", "broken"])
    monkeypatch.setenv(BROKEN, "broken")
    ran = run("retry", file, "s", *APP, "--progress")
    assert ran.status == 1
    counts, failure, end = ran.err.split("\n")
    assert counts in {"\r1 of 4 events", "\r1 of 4 events\r2 of 4 events"}
    assert failure.startswith("sessionstream: ")
    assert end == ""


def test_what_cannot_be_counted_says_for_how_long_it_has_been_running(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    enough = threading.Event()
    line = Progress._line

    def counted(self: Progress, text: str) -> None:
        line(self, text)
        lines.append(text)
        if len(lines) == 3:
            enough.set()

    deleting = SQLiteStore.delete_session

    async def slow(self: SQLiteStore, *args: object, **options: object) -> None:
        assert enough.wait(30)
        await deleting(self, *args, **options)  # type: ignore[arg-type]

    on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "_TERMINAL_TICK", 0.01)
    monkeypatch.setattr(Progress, "_line", counted)
    monkeypatch.setattr(SQLiteStore, "delete_session", slow)
    ran = run("delete", file, "s")
    assert ran.status == 0
    assert ran.err.startswith("\rdeleting 3 events and 1 entity of s …\rdeleting 3 events and 1 entity of s … 0 s\r")
    assert ran.err.endswith(" s\n")


@pytest.mark.parametrize("name", ["rebuild", "delete", "backup"])
def test_a_command_whose_progress_nobody_reads_is_carried_out(file: Path, name: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sessionstream", *map(str, typed(name, file)), "--progress"]
    try:
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, timeout=60, check=False)
    finally:
        os.close(writing)
    assert (ran.returncode, ran.stdout.split()[0]) == (
        0,
        {"rebuild": b"rebuilt", "delete": b"deleted", "backup": b"copied"}[name],
    )


def test_every_command_answers_in_json() -> None:
    commands = next(each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)).choices
    assert set(commands) > {"inspect", "types"}
    options = {name: set(each._option_string_actions) for name, each in commands.items()}
    assert [name for name, each in options.items() if "--json" not in each] == []
    assert {name for name, each in options.items() if "--progress" not in each} == {"inspect", "types"}
