"""Each error that the table "Troubleshooting" of the user guide names is provoked, and is what the table says."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.wrappers_pb2 import StringValue

import sessionstream
from sessionstream import (
    Event,
    Hub,
    LaneReentryError,
    OrdinalConflict,
    ProjectionError,
    SchemaRegistry,
    Session,
    SessionHeld,
    SQLiteStore,
    StoreError,
    StructPayloadError,
    TimelineEntity,
    TimelineView,
    errors,
)
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.testing import SessionWriter, put, sample_registry
from sessionstream.transport import ws
from sessionstream.transport.ws import HandshakeRefused, WebSocketServer, connect
from tests.hub.support import App, registry, said, say
from tests.hydration.hasty import HastyDatabase
from tests.hydration.test_sqlite_locked import locked
from tests.transport import notes
from tests.transport.running import served

from .pages import HELP, without_blocks

GUIDE = HELP / "topics" / "sessionstream-user-guide.md"


def rows() -> list[tuple[str, str]]:
    """The rows of the table: what one sees, and why."""
    text = without_blocks(GUIDE.read_text("utf-8"))
    lines = text[text.index("## Troubleshooting") :].splitlines()
    cells = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in lines if line.startswith("| ")]
    return [(cell[0], cell[1]) for cell in cells[1:]]


def errors_of(cell: str) -> list[str]:
    """The classes of errors that a cell names."""
    named = re.findall(r"`([A-Za-z]+)`", cell)
    places = (sessionstream, errors, ws, builtins)
    found = []
    for name in named:
        value = next((getattr(each, name) for each in places if hasattr(each, name)), None)
        if inspect.isclass(value) and issubclass(value, Exception):
            found.append(name)
    return found


def publish(event: Event, **options: Any) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the test compares it
        asyncio.run(App(**options).hub.publish(event))
    return raised.value


def registered_as_ui_event(_: Path) -> Exception:
    return publish(Event("Told", said().payload, "s"))


def not_a_number(_: Path) -> Exception:
    schemas = registry()
    schemas.register_event("Args", Value)
    arguments = Struct()
    arguments.fields["x"].number_value = float("inf")
    return publish(Event("Args", Value(struct_value=arguments), "s"), schemas=schemas)


def another_package(_: Path) -> Exception:
    return publish(Event("Said", StringValue(), "s"))


def a_struct(_: Path) -> Exception:
    with pytest.raises(StructPayloadError) as raised:
        SchemaRegistry().register_event("Moved", Struct)  # noqa: SST001 - it has to be refused
    return raised.value


def held(_: Path) -> Exception:
    async def hold() -> Exception:
        app = App()
        app.broken["timeline"] = {"bad"}
        with pytest.raises(ProjectionError) as first:
            await app.publish("bad")
        for _ in range(2):
            with pytest.raises(SessionHeld):
                await app.publish("behind it")
        (record,) = app.recorder.errors
        assert record.where == first.value.where
        return first.value

    return asyncio.run(hold())


def refused_credentials(_: Path) -> Exception:
    async def refuse() -> Exception:
        server = WebSocketServer(notes.application(), authenticate=lambda scope: None)
        async with served(server) as address:
            with pytest.raises(HandshakeRefused) as raised:
                async with connect(address, headers={"authorization": "Bearer old"}) as client:
                    await anext(client.subscribe("s"))
        return raised.value

    return asyncio.run(refuse())


def from_a_projection(_: Path) -> Exception:
    found: list[Exception] = []

    async def call() -> None:
        app = App()
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "publish": lambda: app.hub.publish(said()),
            "submit": lambda: app.hub.submit("s", "Say", say()),
            "session": lambda: app.hub.session("s"),
            "retry_timeline": lambda: app.hub.retry_timeline("s"),
            "rebuild_timeline": lambda: app.hub.rebuild_timeline("s"),
            "shutdown": app.hub.shutdown,
        }

        async def project(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
            for name, again in calls.items():
                with pytest.raises(LaneReentryError, match=name) as raised:
                    await again()
                found.append(raised.value)
            return []

        app.hub.register_command("Say", lambda command, session, publisher: None)
        app.hub.register_timeline_projection(project)
        await app.publish("a")

    asyncio.run(call())
    assert len(found) == 6
    return found[0]


def published_again(_: Path) -> Exception:
    async def twice() -> Exception:
        app = App()
        event = await app.hub.publish(said())
        with pytest.raises(ValueError, match="ordinal") as raised:
            await app.hub.publish(event)
        return raised.value

    return asyncio.run(twice())


def outdated_cursors(folder: Path) -> Exception:
    async def commit() -> Exception:
        async with SQLiteStore.open(folder / "x.db", sample_registry()) as store:
            writer = SessionWriter(store)
            step = writer.step(put("a"))
            await writer.log(put("b"))
            with pytest.raises(OrdinalConflict) as raised:
                await store.commit(step)
        return raised.value

    return asyncio.run(commit())


def locked_file(folder: Path) -> Exception:
    async def publish() -> Exception:
        schemas = registry()
        async with Opening(HastyDatabase(str(folder / "x.db")), schemas) as store, Hub(schemas, store=store) as hub:
            await hub.publish(said())
            with locked(folder / "x.db"), pytest.raises(StoreError) as raised:
                await hub.publish(said())
        return raised.value

    return asyncio.run(publish())


EXTRAS = [
    ("from sessionstream import PostgresStore", "asyncpg", "postgres"),
    ("from sessionstream.redis_hints import RedisHints", "redis", "redis"),
    ("from sessionstream.transport.ws import connect", "websockets", "ws"),
    ("import sessionstream.testing", "hypothesis", "testing"),
    ("import sessionstream.otel", "opentelemetry", "otel"),
    ("import sessionstream.transport.ws.otel", "opentelemetry", "otel"),
]
"""What to import, which package that needs, and in which extra it is."""


def missing_extra(_: Path) -> Exception:
    first, *_others = [import_without(*each) for each in EXTRAS]
    return first


def import_without(statement: str, package: str, extra: str) -> ImportError:
    """Import something where a package is not installed; return the error, which has the command for pip."""
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try:\n    {statement}\nexcept ImportError as error:\n    print(error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f"pip install 'sessionstream[{extra}]'" in printed, statement
    return ImportError(printed)


EXPLAINED: dict[str, tuple[Callable[[Path], Exception], str]] = {
    "UnknownSchemaError": (registered_as_ui_event, "event 'Told'"),
    "PayloadValueError": (not_a_number, 'struct_value.fields["x"].number_value'),
    "PayloadTypeError": (another_package, "google.protobuf.StringValue"),
    "StructPayloadError": (a_struct, "Struct"),
    "ProjectionError": (held, "support.py:"),
    "SessionHeld": (held, ""),
    "HandshakeRefused": (refused_credentials, "403"),
    "ImportError": (missing_extra, "pip install"),
    "LaneReentryError": (from_a_projection, "publish"),
    "ValueError": (published_again, "ordinal"),
    "OrdinalConflict": (outdated_cursors, ""),
    "StoreError": (locked_file, "database is locked"),
}
"""How to provoke each error of the table, and words that its message has by the explanation."""


def test_each_error_of_the_table_has_a_case() -> None:
    named = {name for seen, _ in rows() for name in errors_of(seen)}
    assert named == set(EXPLAINED)


@pytest.mark.parametrize("name", EXPLAINED)
def test_an_error_is_what_the_table_says(name: str, tmp_path: Path) -> None:
    provoke, words = EXPLAINED[name]
    error = provoke(tmp_path)
    assert words in str(error)
    if provoke is not held:
        assert type(error).__name__ == name
