"""A store that a process inherits by forking is of no use there, and says so instead of waiting for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessionstream import SchemaRegistry, SQLiteStore

SCRIPT = """
import asyncio, os, sys
from sessionstream import Event, Hub, SQLiteStore, StoreError
from sessionstream.testing import sample_registry
from sessionstream.testing.sessions import SessionWriter, put

registry = sample_registry()

async def in_parent():
    store = await SQLiteStore.open(sys.argv[1], registry)
    writer = SessionWriter(store)
    await writer.log(put("a"))
    return store, writer

async def in_child(store, writer):
    said = []
    for call in (
        lambda: store.commit(writer.step(put("b"))),
        lambda: store.snapshot("session"),
        lambda: store.claim_command("session", "key", b""),
        lambda: store.prune("session", before=1),
    ):
        try:
            async with asyncio.timeout(10):
                await call()
        except StoreError as error:
            said.append(str(error))
    await store.close()
    return len(said) == 4 and all(f"process {os.getppid()}" in each and "after the fork" in each for each in said)

loop = asyncio.new_event_loop()
store, writer = loop.run_until_complete(in_parent())
child = os.fork()
if not child:
    good = asyncio.run(in_child(store, writer))
    os._exit(0 if good else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
loop.run_until_complete(writer.log(put("c")))
assert len(loop.run_until_complete(store.snapshot("session")).entities) == 2
loop.run_until_complete(store.close())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_process_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "x.db")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_store_is_opened_and_not_made() -> None:
    with pytest.raises(TypeError, match=r"await SQLiteStore.open\(path, registry\)"):
        SQLiteStore("x.db", SchemaRegistry())  # type: ignore[arg-type]
