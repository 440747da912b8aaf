"""Small runs of the framework, whose results phase 0 checks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from google.protobuf import struct_pb2

from sessionstream import (
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    SchemaRegistry,
    SessionstreamError,
    Snapshot,
    SQLiteStore,
    doc,
)
from sessionstream.examples.chatdemo.demo import linting
from sessionstream.hydration import StoreProxy
from sessionstream.systemlab.journal import payload
from sessionstream.systemlab.notebook import ADD_NOTE, NOTE_WORD, notebook_schemas, open_notebook
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteWordEvent

PATIENCE: Final = 30
SESSION: Final = "foundations"
STORY: Final = "kept, whatever happens"

_IMPORTS: Final = "import sessionstream, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
_HEAVY: Final = ("starlette", "uvicorn", "websockets", "jinja2", "flake8", "libcst", "sqlite3", "pytest", "hypothesis")


@dataclass(frozen=True, slots=True)
class Subjects:
    """The tested parts. Each can be replaced by a broken one."""

    registry: Callable[[], SchemaRegistry] = SchemaRegistry
    store: Callable[[HydrationStore], HydrationStore] = StoreProxy
    forgets_files: bool = False
    entries: Callable[[], Sequence[doc.Entry]] = doc.entries
    sample: str = linting.SAMPLE
    first_import: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """The results; ``None`` if a test could not run.

    Attributes:
        registrations: by family, the error for a top-level Struct; empty if the registry accepted it.
        memory: the timeline of a few events in memory, as text.
        sqlite: that of the same events in a file.
        reopened: that of the file after it was closed and opened again.
        twice: the ordinals of one event that was published twice, or the error of the second time.
        logged: the number of events in the log after that.
        entries: by slug of the help, its number of characters; or why it cannot be read.
        linter: the output of the linter for a sample with a mistake.
        planted: the place of the mistake.
        imported: the packages that ``import sessionstream`` loads but must not load.
    """

    registrations: dict[str, str]
    memory: str
    sqlite: str
    reopened: str
    twice: tuple[int | str, int | str]
    logged: int
    entries: dict[str, int] | str
    linter: str | None
    planted: str
    imported: list[str]


async def probe(subjects: Subjects) -> Findings:
    """Run all tests."""
    with TemporaryDirectory(prefix="foundations-") as directory:
        place = Path(directory)
        lint, imported = await asyncio.gather(
            _lint(place, subjects.sample), asyncio.to_thread(_imports, subjects.first_import)
        )
        told = await _story(subjects.store(MemoryStore(notebook_schemas())))
        twice, logged = await _twice(subjects.store(MemoryStore(notebook_schemas())))
        sqlite, reopened = await _on_disk(place / "story.db", forgets=subjects.forgets_files)
    return Findings(
        registrations=_registrations(subjects.registry),
        memory=told,
        sqlite=sqlite,
        reopened=reopened,
        twice=twice,
        logged=logged,
        entries=_entries(subjects.entries),
        linter=lint,
        planted="sample.py:{}:{}".format(*linting.planted_place()),
        imported=imported,
    )


def _registrations(make: Callable[[], SchemaRegistry]) -> dict[str, str]:
    registry = make()
    said = {}
    families: dict[str, Callable[[str, Any], None]] = {
        "command": registry.register_command,
        "event": registry.register_event,
        "UI event": registry.register_ui_event,
        "timeline entity": registry.register_timeline_entity,
    }
    for family, register in families.items():
        try:
            register("Moved", struct_pb2.Struct)  # noqa: SST001 - whether it is refused is what is tried
        except SessionstreamError as error:
            said[family] = f"{type(error).__name__}: {error}"
        else:
            said[family] = ""
    return said


async def _story(store: HydrationStore) -> str:
    async with open_notebook(Hub(notebook_schemas(), store=store, cache_entities=0)) as hub:
        await hub.submit(SESSION, ADD_NOTE, AddNoteCommand(text=STORY))
        return _text(await hub.snapshot(SESSION))


async def _on_disk(path: Path, *, forgets: bool) -> tuple[str, str]:
    async with SQLiteStore.open(path, notebook_schemas()) as store:
        before = await _story(store)
    if forgets:
        await asyncio.to_thread(path.unlink)
    async with SQLiteStore.open(path, notebook_schemas()) as store:
        return before, _text(await store.snapshot(SESSION))


def _text(snapshot: Snapshot) -> str:
    """Return a timeline as text, without the ids that differ from run to run."""
    entities = (
        f"{e.kind} {e.created_ordinal}-{e.last_event_ordinal} {payload(e.payload).replace(e.id, 'ID')}"
        for e in snapshot.entities
    )
    return f"at {snapshot.snapshot_ordinal}: {'; '.join(entities) or 'nothing'}"


async def _twice(store: HydrationStore) -> tuple[tuple[int | str, int | str], int]:
    event = Event(NOTE_WORD, NoteWordEvent(note_id="n", word="once"), SESSION, event_id="only-one")
    async with open_notebook(
        Hub(notebook_schemas(), store=store, error_observer=lambda _: None, cache_entities=0)
    ) as hub:
        first = (await hub.publish(event)).ordinal
        try:
            second: int | str = (await hub.publish(event)).ordinal
        except SessionstreamError as error:
            second = f"{type(error).__name__}: {error}"
        return (first, second), await hub.event_cursor(SESSION)


def _entries(load: Callable[[], Sequence[doc.Entry]]) -> dict[str, int] | str:
    try:
        return {entry.slug: len(entry.body) for entry in load()}
    except doc.DocError as error:
        return str(error)


async def _lint(place: Path, sample: str) -> str | None:
    if linting.missing_packages():
        return None
    return (await linting.lint(place, "sample.py", sample)).output


def _imports(first: str) -> list[str]:
    command = [sys.executable, "-c", f"{first}\n{_IMPORTS}"]
    run = subprocess.run(  # noqa: S603 - our own command
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
    )
    if run.returncode:
        return [run.stderr.decode("utf-8", "replace").strip().splitlines()[-1]]
    return [name for name in run.stdout.decode().split() if name in _HEAVY]
