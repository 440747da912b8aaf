"""Starts processes, kills them, and checks the file that they leave.

Everything is drawn from a seed: what the processes do, and when they are killed. The instant of a kill is still the
machine's, so a seed gives the same story, not the same interleaving; run it some times.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from threading import Timer
from typing import Any, Final

from sessionstream import SQLiteStore

from .app import registry
from .model import Model

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60.0
"""Seconds after which a process that does not get as far as it is to be killed is taken to hang."""

SEED: Final = "DURABILITY_SEED"


@contextmanager
def story(name: str) -> Iterator[Random]:
    """Return the random generator of one test; a failure shows how to repeat it."""
    seed = os.environ.get(SEED) or str(SystemRandom().getrandbits(32))
    try:
        yield Random(f"{seed} {name}")
    except BaseException as error:
        error.add_note(f"drawn from {SEED}={seed}: set that to have the same story again")
        raise


@dataclass(frozen=True)
class Kill:
    """When a process is killed: ``microseconds`` after the ``count``-th line that is ``what``.

    Attributes:
        what: of a line, with the operation if it is one: ``"opening"``, ``"published"``, ``"begin rebuild"`` …
    """

    what: str
    count: int
    microseconds: int

    @classmethod
    def draw(cls, random: Random) -> Kill:
        """Choose a kill at random: mostly at an acknowledgement, and sometimes during a rare operation."""
        microseconds = random.choice((0, random.randrange(300), random.randrange(5_000)))
        chance = random.random()
        if chance < 0.1:
            return cls("opening", 1, random.randrange(15_000))
        if chance < 0.4:
            operation = random.choice(("rebuild", "prune", "delete", "retry"))
            return cls(f"begin {operation}", random.randint(1, 2), microseconds)
        if chance < 0.5:
            return cls("submitted", random.randint(1, 5), microseconds)
        return cls(
            random.choice(("published", "told")), int(random.choice((1, 8, 60)) * random.uniform(1, 3)), microseconds
        )


def _what(printed: dict[str, Any]) -> str:
    what = str(printed["what"])
    return f"{what} {printed['operation']}" if what == "begin" else what


def run_and_kill(command: Sequence[str], kill: Kill) -> list[dict[str, Any]]:
    """Run a process until it is killed; return its output.

    Raises:
        AssertionError: it ended by itself, or hangs.
    """
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        watchdog = Timer(PATIENCE, process.kill)
        watchdog.start()
        printed, left = [], kill.count
        try:
            for each in process.stdout:
                printed.append(json.loads(each))
                left -= _what(printed[-1]) == kill.what
                if left == 0:
                    left = -1
                    time.sleep(kill.microseconds / 1e6)
                    process.kill()
        finally:
            watchdog.cancel()
            process.kill()
        complaint = process.stderr.read().decode()
    assert left < 0, f"it did not get as far as {kill}: {printed[-3:]}\n{complaint}"
    assert process.returncode == -signal.SIGKILL, complaint
    return printed


class Killing:
    """One file, the processes that use it one after the other, and its expected contents.

    Args:
        children: processes at once.
    """

    def __init__(self, file: Path, random: Random, *, synchronous: str = "normal", children: int = 1) -> None:
        self.file = file
        self.random = random
        self.synchronous = synchronous
        self.children = children
        self.model = Model()
        self.rounds = 0
        self.kills = 0

    @property
    def got_somewhere(self) -> bool:
        """Whether anything was published yet."""
        return any(self.model.cursors.values())

    def round(self) -> None:
        """Start the processes, kill each of them, and compare the file with what they printed.

        Raises:
            AssertionError: an invariant does not hold; the note says when.
        """
        self.rounds += 1
        plans = [
            (self._command(f"{self.rounds}{'ab'[child]}"), Kill.draw(self.random)) for child in range(self.children)
        ]
        try:
            with ThreadPoolExecutor(self.children) as threads:
                for printed in threads.map(lambda plan: run_and_kill(*plan), plans):
                    self.kills += 1
                    self.model.hear(printed)
            asyncio.run(self.check())
        except BaseException as error:
            error.add_note(f"round {self.rounds} on {self.file}: {plans}")
            raise

    async def check(self, *, thorough: bool = False) -> None:
        """Open the file and compare it with the expected contents.

        Raises:
            AssertionError: an invariant does not hold.
        """
        async with SQLiteStore.open(self.file, registry()) as store:
            await self.model.check(store, self.random, thorough=thorough)

    def _command(self, name: str) -> list[str]:
        command = [sys.executable, "-m", "tests.durability.child", str(self.file), "--name", name]
        command += ["--seed", str(self.random.getrandbits(32)), "--synchronous", self.synchronous]
        command += ["--known", json.dumps(self.model.cursors)]
        return command + ["--shaky"] * (self.random.random() < 0.5)
