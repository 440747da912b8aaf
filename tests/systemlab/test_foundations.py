"""Phase 0: every check with findings that it has to call wrong, and every part that can be broken seen by a check."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sessionstream.examples.chatdemo.demo import linting
from sessionstream.systemlab.phases import foundations_checks as checks
from sessionstream.systemlab.phases.foundations import BROKEN, Foundations
from sessionstream.systemlab.phases.foundations_probes import Findings, Subjects, probe

from .phases import press, verdicts

RIGHT = Findings(
    registrations=dict.fromkeys(("command", "event"), "StructPayloadError: …"),
    memory="at 1: a",
    sqlite="at 1: a",
    reopened="at 1: a",
    twice=(1, 1),
    logged=1,
    entries=dict.fromkeys(checks.HELP, 10),
    linter="sample.py:8:44: SST001 …",
    planted="sample.py:8:44",
    imported=[],
)

RED = {
    "registry": {"struct"},
    "memory": {"agree"},
    "disk": {"survives"},
    "ids": {"once"},
    "linter": {"linter"},
    "help": {"help"},
    "imports": {"light"},
}


def test_what_is_right_passes() -> None:
    assert {check.verdict for check in checks.all_checks(RIGHT)} == {"passed"}


@pytest.mark.parametrize(
    ("name", "spoil", "because"),
    [
        ("struct", {"registrations": {"command": "…", "event": ""}}, "it took one as event"),
        ("agree", {"memory": "at 1: nothing"}, "they differ"),
        ("survives", {"reopened": "at 0: nothing"}, "the file has another timeline"),
        ("once", {"twice": (1, 2)}, "the first time it was 1, the second time 2"),
        ("once", {"logged": 2}, "there are 2 events in the log"),
        ("linter", {"linter": ""}, "it did not find the planted mistake"),
        ("linter", {"linter": "sample.py:9:1: SST001 …"}, "it did not find the planted mistake"),
        ("help", {"entries": "it cannot be read"}, "it cannot be read"),
        ("help", {"entries": dict.fromkeys(checks.HELP[1:], 10)}, f"there is no {checks.HELP[0]}"),
        ("help", {"entries": dict.fromkeys(checks.HELP, 10) | {checks.HELP[0]: 0}}, f"{checks.HELP[0]} is empty"),
        ("light", {"imported": ["starlette"]}, "it loads starlette"),
    ],
)
def test_each_check_notices(name: str, spoil: dict[str, Any], because: str) -> None:
    judged = {check.id: check for check in checks.all_checks(replace(RIGHT, **spoil))}
    assert (judged[name].verdict, judged[name].because) == ("failed", because)


def test_without_the_linter_its_check_waits() -> None:
    check = checks.linter(replace(RIGHT, linter=None))
    assert (check.verdict, check.because) == ("waiting", "pip install 'sessionstream[lint]', then run the checks again")


async def test_a_linter_that_is_not_installed_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linting, "missing_packages", lambda: ["libcst"])
    assert (await probe(Subjects())).linter is None


async def test_an_import_that_fails_is_told() -> None:
    assert (await probe(Subjects(first_import="import nothing_of_that_name"))).imported == [
        "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    ]


@pytest.fixture
async def phase(tmp_path: Path) -> AsyncIterator[Foundations]:
    opened = Foundations(tmp_path)
    await opened.start()
    yield opened
    await opened.close()


async def test_everything_holds_here(phase: Foundations) -> None:
    state = await phase.state()
    assert set(verdicts(state).values()) == {"passed"}
    assert dict(state.facts)["Runs"] == 1
    assert dict((await press(phase, "run")).facts)["Runs"] == 2
    assert {panel.id for panel in state.panels} == {"packages", "schemas", "help"}


def test_every_check_can_be_turned_red() -> None:
    assert set(RED) == set(BROKEN)
    assert set.union(*RED.values()) == {check.id for check in checks.all_checks(RIGHT)}


async def test_a_broken_part_turns_its_check_red_and_no_other(phase: Foundations) -> None:
    failed = {}
    for part in BROKEN:
        state = await press(phase, "break", part=part)
        failed[part] = {name for name, verdict in verdicts(state).items() if verdict == "failed"}
    assert failed == RED


async def test_it_can_be_closed_while_it_tries_things(tmp_path: Path) -> None:
    opened = Foundations(tmp_path)
    await opened.start()
    await opened.close()
