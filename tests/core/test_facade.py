"""The names that sessionstream exports: complete, resolvable, and cheap to import."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from types import ModuleType

import pytest

import sessionstream
from sessionstream import errors, fanout, hub, observe, ordinals, projection, schema, store, types

PROMISED = [
    "Command",
    "Event",
    "UIEvent",
    "TimelineEntity",
    "Snapshot",
    "Session",
    "SchemaRegistry",
    "Hub",
    "EventPublisher",
    "CommandHandler",
    "UIProjection",
    "TimelineProjection",
    "TimelineView",
    "ProjectionPolicies",
    "UIFanout",
    "HydrationStore",
    "MemoryStore",
    "SQLiteStore",
    "Commit",
    "derive_ordinal",
    "ErrorRecord",
    "PipelineRecord",
    "SessionstreamError",
    "SchemaError",
    "UnknownSchemaError",
    "DuplicateSchemaError",
    "PayloadTypeError",
    "StructPayloadError",
    "InvalidIdError",
    "CommandError",
    "UnknownCommandError",
    "DuplicateCommandError",
    "CommandConflict",
    "ProjectionError",
    "SessionHeld",
    "HubError",
    "HubClosed",
    "LaneReentryError",
    "StoreError",
    "OrdinalConflict",
    "OrdinalExhausted",
    "EventConflict",
    "HistoryPruned",
    "StoreClosed",
    "BusError",
    "TransportError",
]

INTERNAL = {
    "Metadata",
    "deprecated",
    "load_json",
    "in_snapshot_order",
    "new_commit",
    "new_cursors",
    "new_entity",
    "new_event",
    "new_ui_event",
    "check_name",
    "describe",
    "error_text",
}
"""Functions that the core's modules share with each other and with adapters, but promise to nobody."""


@pytest.mark.parametrize("name", PROMISED)
def test_what_the_contract_names_is_exported(name: str) -> None:
    assert name in sessionstream.__all__
    assert getattr(sessionstream, name).__name__ == name or name == "CommandHandler"


def test_all_names_are_there_once() -> None:
    assert len(set(sessionstream.__all__)) == len(sessionstream.__all__)
    for name in sessionstream.__all__:
        assert getattr(sessionstream, name) is not None


@pytest.mark.parametrize("module", [errors, types, schema, ordinals, projection, store, observe, fanout])
def test_every_public_class_and_function_of_the_core_is_exported(module: ModuleType) -> None:
    defined = {
        name
        for name, value in inspect.getmembers(module, lambda value: inspect.isclass(value) or inspect.isfunction(value))
        if value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert defined
    assert defined - INTERNAL <= set(sessionstream.__all__)


def test_all_names_can_be_imported_without_extras() -> None:
    code = "import sys; sys.modules['asyncpg'] = None; from sessionstream import *; SQLiteStore"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert sessionstream.PostgresStore.__name__ == "PostgresStore"


def test_what_the_hub_s_package_exports_is_exported() -> None:
    assert {name for name in hub.__all__ if inspect.isclass(getattr(hub, name))} <= set(sessionstream.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'sessionstream' has no attribute 'Nonsense'"):
        sessionstream.Nonsense  # noqa: B018


def imported_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after a statement, less those it starts with."""
    code = (
        f"import sys, json; before = set(sys.modules); {statement}; print(json.dumps(list(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_it_imports_protobuf_and_the_standard_library_only() -> None:
    loaded = imported_by("import sessionstream")
    assert "sessionstream.hub.hub" in loaded
    foreign = {
        name
        for name in loaded
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "sessionstream", "google"}
        and not name.startswith("_")
    }
    assert foreign == set()
    assert {name for name in loaded if name.startswith("google.")} <= {"google.protobuf", "google._upb"} | {
        name for name in loaded if name.startswith(("google.protobuf.", "google._upb."))
    }
    assert not {"sqlite3", "sessionstream.hydration.sqlite", "sessionstream.testing", "sessionstream.examples"} & loaded


def test_the_sqlite_store_is_loaded_when_asked_for() -> None:
    loaded = imported_by("import sessionstream; sessionstream.SQLiteStore")
    assert {"sqlite3", "sessionstream.hydration.sqlite"} <= loaded
