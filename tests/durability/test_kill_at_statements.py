"""kill -9 before every single statement: of opening a new file and an older one, of commits, a rebuild, a pruning."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random

import pytest

from sessionstream import SQLiteStore

from .app import PLAIN, PRUNED, REBUILT, Said, new_hub, registry
from .killing import ROOT
from .model import Model
from .suicide import THINGS

DUMPS = sorted((ROOT / "tests" / "hydration").glob("version_*.sql"))


async def fill(file: Path) -> None:
    """Leave a file with some events in every session."""
    schemas = registry()
    async with SQLiteStore.open(file, schemas) as store:
        hub = new_hub(schemas, store, shaky=False, tell=lambda what, **details: None)
        for session in (*PLAIN, REBUILT, PRUNED):
            for number in range(6):
                how = "delete" if number == 3 else "append"
                await hub.publish(Said(f"first-{number}", f"t{number % 2}", f"{number};", how).event(session))


async def known(file: Path) -> Model:
    """Return what a file holds that nobody was killed in."""
    model = Model()
    await look(model, file)
    return model


async def look(model: Model, file: Path) -> None:
    async with SQLiteStore.open(file, registry()) as store:
        await model.check(store, Random(0), thorough=True)


def die(file: Path, thing: str, at: int) -> list[dict[str, object]] | None:
    """Let a process do a thing and die at a statement; return what it printed, None if it ended before."""
    command = [sys.executable, "-m", "tests.durability.suicide", str(file), thing, "--at", str(at)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert process.returncode in (0, -signal.SIGKILL), process.stderr.decode()
    return [json.loads(each) for each in process.stdout.splitlines()] if process.returncode else None


@pytest.mark.torture
@pytest.mark.parametrize("thing", [thing for thing in THINGS if thing not in ("open", "one-by-one")])
def test_before_every_statement_of(thing: str, tmp_path: Path) -> None:
    asyncio.run(fill(full := tmp_path / "full.db"))
    for at in count(1):
        file = tmp_path / f"{at}.db"
        shutil.copy(full, file)
        model = asyncio.run(known(file))
        printed = die(file, thing, at)
        if printed is None:
            break
        model.hear(printed)
        asyncio.run(look(model, file))
        assert die(file, thing, 10_000) is None, "it cannot be done any more"
        file.unlink()
    assert at > 5


@pytest.mark.torture
def test_before_every_statement_of_creating_a_file(tmp_path: Path) -> None:
    for at in count(1):
        file = tmp_path / f"{at}.db"
        if die(file, "open", at) is None:
            break
        model = asyncio.run(known(file))
        assert set(model.cursors.values()) == {0}
        assert die(file, "publish", 10_000) is None
    assert at > 10


def answers(file: Path) -> list[str]:
    """Every row that was there before there were versions, whatever the version is now."""
    with closing(sqlite3.connect(file)) as db:
        tables = {
            "sessions": "session_id, event_cursor, timeline_cursor, epoch, floor",
            "events": "ordinal, event_id, name, payload, digest",
            "entities": "kind, id, created, changed, tombstone, payload",
            "command_claims": "session_id, key, digest",
            "errors": "*",
        }
        return [repr(db.execute(f"SELECT {columns} FROM {table}").fetchall()) for table, columns in tables.items()]


@pytest.mark.torture
@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_before_every_statement_of_an_upgrade(dump: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(old := tmp_path / "old.db", isolation_level=None)) as db:
        db.executescript(dump.read_text())
    before = answers(old)
    for at in count(1):
        file = tmp_path / f"{at}.db"
        shutil.copy(old, file)
        if die(file, "open", at) is None:
            break
        assert answers(file) == before
        assert die(file, "open", 10_000) is None
        assert answers(file) == before
    assert at > 5
    assert sum(map(len, before)) > 1_000
