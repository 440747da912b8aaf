"""Two processes on one file, publishing to the same sessions: every event lands once, and in one order."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import IO, Any

from sessionstream import SQLiteStore

from .app import PLAIN, Said, registry
from .killing import PATIENCE, ROOT
from .model import Model

COUNT = 60
"""Events of its own that each process publishes to each session."""


def rivals(file: Path) -> list[list[dict[str, Any]]]:
    """Let two processes publish at once; return what each printed."""
    with ExitStack() as stack:
        processes = []
        for name in "ab":
            command = [sys.executable, "-m", "tests.durability.rival", str(file), name, str(COUNT)]
            processes.append(
                stack.enter_context(
                    subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
            )
        for process in processes:
            assert json.loads(_pipe(process.stdout).readline()) == {"what": "ready"}
        for process in processes:
            _pipe(process.stdin).write("go\n")
            _pipe(process.stdin).flush()
        printed = [process.communicate(timeout=PATIENCE)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
    return [[json.loads(line) for line in text.splitlines()] for text in printed]


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


async def test_every_event_lands_once_and_the_texts_are_those_of_one_order(tmp_path: Path) -> None:
    switches = 0
    for attempt in range(6):  # the scheduler may let one process end before the other has a turn
        switches += await _published_by_both(tmp_path / f"store-{attempt}.db")
        if switches > 10:
            return
    raise AssertionError("they did not publish at the same time")


async def _published_by_both(file: Path) -> int:
    """Let two processes publish, check what is stored; return how often one came after the other."""
    model = Model()
    async with SQLiteStore.open(file, registry()):  # so that both begin with a file that is there
        pass
    for printed in await asyncio.to_thread(rivals, file):
        model.hear(printed)
    async with SQLiteStore.open(file, registry()) as store:
        await model.check(store, Random(0), thorough=True)
        switches = 0
        for session in PLAIN:
            events = await store.events(session)
            assert [event.ordinal for event in events] == list(range(1, 3 * COUNT + 1))
            wanted = {f"{name}-{number}" for name in ("a", "b", "shared") for number in range(COUNT)}
            assert {event.event_id for event in events} == wanted
            own = [said.event_id[0] for said in map(Said.of, events) if said.event_id[0] in "ab"]
            switches += sum(one != other for one, other in pairwise(own))
        return switches
