"""Helpers for tests of phases: run an action, read a check."""

from __future__ import annotations

from pathlib import Path

from sessionstream.systemlab.actions import Value
from sessionstream.systemlab.checks import Check
from sessionstream.systemlab.phase import Phase, State


async def press(phase: Phase, name: str, **fields: Value) -> State:
    """Run an action as a page does, and return the state after it."""
    action = next(action for action in phase.actions() if action.name == name)
    await action.run(action.arguments(fields))
    return await phase.state()


def check(state: State, id: str) -> Check:  # noqa: A002 - as the attribute is called
    """Return one check of a state."""
    return next(check for check in state.checks if check.id == id)


def verdicts(state: State) -> dict[str, str]:
    """Return the verdict of each check."""
    return {check.id: check.verdict for check in state.checks}


def folder(parent: Path, name: str) -> Path:
    """Return a new directory, such as the lab gives each phase."""
    (made := parent / name).mkdir()
    return made
