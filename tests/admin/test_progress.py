"""How far a long command is: on a terminal, or where it is asked for, and nowhere else."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from sessionstream.admin.arguments import parser

from .conftest import Run
from .test_repair import APP

LONG = {
    "retry": (["FILE", "t", *APP], "retrying t …\n"),
    "retry --held": (["FILE", "--held", *APP], "1 of 1 sessions\n"),
    "rebuild": (["FILE", "s", *APP], "rebuilding s …\n"),
    "prune": (["FILE", "s", "--before", "2"], "pruning s …\n"),
    "delete": (["FILE", "s"], "deleting s …\n"),
    "check": (["FILE"], "2 of 2 sessions\n"),
    "backup": (["FILE", "COPY"], "pages\n"),
    "restore": (["FILE", "COPY"], "pages\n"),
}


def typed(name: str, file: Path) -> list[object]:
    places = {"FILE": file, "COPY": file.with_name("copy.db")}
    return [name.split()[0], *(places.get(each, each) for each in LONG[name][0])]


@pytest.mark.parametrize("name", LONG)
def test_a_long_command_says_how_far_it_is_on_a_terminal(
    run: Run, file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    ran = run(*typed(name, file))
    assert ran.status == 0
    assert ran.err.endswith(LONG[name][1])
    assert ran.err.startswith("\r") == ("…" not in ran.err)


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


def test_every_command_answers_in_json() -> None:
    commands = next(each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)).choices
    assert set(commands) > {"inspect", "types"}
    options = {name: set(each._option_string_actions) for name, each in commands.items()}
    assert [name for name, each in options.items() if "--json" not in each] == []
    assert {name for name, each in options.items() if "--progress" not in each} == {"inspect", "types"}
