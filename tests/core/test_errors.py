"""The tree of errors matches its docstring, and every error can be pickled."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import pytest

from sessionstream import errors
from sessionstream.errors import (
    BusError,
    CommandConflict,
    CommandError,
    CommandUnfinished,
    CommitUnknown,
    DuplicateCommandError,
    DuplicateSchemaError,
    EventConflict,
    EventLoopError,
    HistoryPruned,
    HubClosed,
    HubError,
    InvalidIdError,
    InvalidNameError,
    LaneReentryError,
    OrdinalConflict,
    OrdinalExhausted,
    PayloadDecodeError,
    PayloadTypeError,
    PayloadValueError,
    ProjectionError,
    SchemaError,
    SessionHeld,
    SessionstreamError,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreLost,
    StoreUpgraded,
    StructPayloadError,
    TransportError,
    UnknownCommandError,
    UnknownSchemaError,
    Unstorable,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.types import Event

EVENT = Event("Said", TokensDeltaEvent(chunk="x"), "s-1", 7, "id-1")


class WordlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def every_class() -> list[type[SessionstreamError]]:
    found = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, SessionstreamError)]
    assert len(found) > 20
    return found


def drawn_tree() -> dict[str, str]:
    """Read the drawing: class name → name of the class it hangs from."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^    (?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)", line)
        if match is None:
            continue
        depth = len(match["branches"]) // 4
        del path[depth:]
        path.append(match["name"])
        if depth:
            parents[path[-1]] = path[-2]
    return parents


def test_the_drawing_is_the_tree() -> None:
    real = {cls.__name__: cls.__bases__[0].__name__ for cls in every_class() if cls is not SessionstreamError}
    assert drawn_tree() == real


def test_the_contract_s_tree_holds() -> None:
    promised: dict[type, list[type]] = {
        SchemaError: [UnknownSchemaError, DuplicateSchemaError, PayloadTypeError, StructPayloadError],
        CommandError: [UnknownCommandError, DuplicateCommandError, CommandConflict, CommandUnfinished],
        HubError: [HubClosed, LaneReentryError, EventLoopError],
        StoreError: [
            OrdinalConflict,
            OrdinalExhausted,
            EventConflict,
            HistoryPruned,
            Unstorable,
            CommitUnknown,
            StoreClosed,
            StoreDamaged,
            StoreLost,
            StoreUpgraded,
        ],
        SessionstreamError: [
            SchemaError,
            InvalidIdError,
            CommandError,
            ProjectionError,
            SessionHeld,
            HubError,
            StoreError,
            BusError,
            TransportError,
        ],
    }
    for parent, children in promised.items():
        assert [child.__bases__ for child in children] == [(parent,)] * len(children)


SAMPLES: list[SessionstreamError] = [
    SessionstreamError("anything"),
    SchemaError("words", family="event", name="Said"),
    InvalidNameError("event", ""),
    UnknownSchemaError("event", "Said"),
    UnknownSchemaError("timeline entity", "Text", payload_type="a.B"),
    DuplicateSchemaError("ui event", "Told", existing="a.B", offender="a.C"),
    PayloadTypeError("command", "Say", expected="a.B", got="a.C"),
    PayloadTypeError("command", "Say", expected="", got="the class builtins.int"),
    PayloadValueError("event", "Said", expected="a.B", path='args.fields["x"].number_value', reason="no JSON number"),
    PayloadValueError("event", "Said", expected="a.B", path="", reason="out of range"),
    PayloadDecodeError("command", "Say", expected="a.B", reason="not JSON"),
    PayloadDecodeError("command", "Say", expected="a.B", reason="no JSON number", path="x"),
    StructPayloadError("event", "Said"),
    InvalidIdError("session id", "", "it is empty"),
    CommandError("words", name="Say"),
    UnknownCommandError("Say"),
    DuplicateCommandError("Say"),
    CommandConflict("s-1", "key-1", name="Say"),
    CommandUnfinished("s-1", "key-1", name="Say"),
    ProjectionError(EVENT, "timeline projection app.write", ValueError("no")),
    SessionHeld(EVENT, 3),
    HubError("words"),
    HubClosed(),
    LaneReentryError("s-1", "publish"),
    EventLoopError(),
    StoreError("the disk is full"),
    OrdinalConflict("s-1", expected=4, actual=5),
    OrdinalExhausted("s-1", 2**64 - 1),
    EventConflict("s-1", "id-1", 3, b"digest"),
    HistoryPruned("s-1", 2, 9),
    Unstorable("too large"),
    CommitUnknown("the file", 30.0),
    StoreClosed("the memory store"),
    StoreDamaged("the file", "words", table="events", row="sid 1", column="payload"),
    StoreLost("the file"),
    StoreUpgraded("the file", version=3, known=2),
    BusError("words"),
    TransportError("words"),
]


def test_every_class_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(every_class())


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickling(error: SessionstreamError, protocol: int) -> None:
    error.add_note("a note")
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.args == error.args
    assert vars(back) == vars(error)


@pytest.mark.parametrize(
    ("error", "attributes", "named"),
    [
        (InvalidNameError("event", " "), {"family": "event", "name": " "}, ["event name ' '"]),
        (
            UnknownSchemaError("ui event", "Told"),
            {"family": "ui event", "name": "Told", "payload_type": ""},
            ["'Told'", "register_ui_event('Told'"],
        ),
        (
            UnknownSchemaError("timeline entity", "Text", payload_type="a.B"),
            {"family": "timeline entity", "name": "Text", "payload_type": "a.B"},
            ["'Text'", "a.B", "register_timeline_entity('Text'"],
        ),
        (
            DuplicateSchemaError("event", "Said", existing="a.B", offender="a.C"),
            {"family": "event", "name": "Said", "existing": "a.B", "offender": "a.C"},
            ["'Said'", "a.B", "a.C"],
        ),
        (
            PayloadTypeError("event", "Said", expected="a.C", got="a.B"),
            {"family": "event", "name": "Said", "expected": "a.C", "got": "a.B"},
            ["event 'Said' payload type mismatch: got a.B, want a.C"],
        ),
        (
            PayloadDecodeError("command", "Say", expected="a.B", reason="odd"),
            {"family": "command", "name": "Say", "expected": "a.B", "reason": "odd"},
            ["'Say'", "a.B", "odd"],
        ),
        (
            StructPayloadError("event", "Said"),
            {"family": "event", "name": "Said"},
            ["'Said'", "google.protobuf.Struct", "define a message"],
        ),
        (InvalidIdError("session id", 5, "it is 5"), {"what": "session id", "value": 5}, ["session id 5", "it is 5"]),
        (UnknownCommandError("Say"), {"name": "Say"}, ["'Say'", "register_command('Say'"]),
        (DuplicateCommandError("Say"), {"name": "Say"}, ["'Say'"]),
        (
            CommandConflict("s-1", "key-1", name="Say"),
            {"session_id": "s-1", "key": "key-1", "name": "Say"},
            ["'s-1'", "'key-1'", "'Say'", "new key"],
        ),
        (
            CommandUnfinished("s-1", "key-1", name="Say"),
            {"session_id": "s-1", "key": "key-1", "name": "Say"},
            ["'s-1'", "'key-1'", "'Say'", "new key"],
        ),
        (
            ProjectionError(EVENT, "timeline projection app.write", ValueError("odd")),
            {"event": EVENT, "projector": "timeline projection app.write"},
            ["'Said'", "'s-1'", "7", "app.write", "ValueError: odd", "retry_timeline"],
        ),
        (SessionHeld(EVENT, 3), {"event": EVENT, "failed_ordinal": 3}, ["'s-1'", "3", "'Said'", "7"]),
        (
            LaneReentryError("s-1", "publish"),
            {"session_id": "s-1", "call": "publish"},
            ["'s-1'", "publish was called", "command handler"],
        ),
        (
            OrdinalConflict("s-1", expected=4, actual=5),
            {"session_id": "s-1", "expected": 4, "actual": 5},
            ["'s-1'", "4", "5"],
        ),
        (
            OrdinalExhausted("s-1", 2**64 - 1),
            {"session_id": "s-1", "cursor": 2**64 - 1},
            ["'s-1'", "18446744073709551615", "new session"],
        ),
        (
            EventConflict("s-1", "id-1", 3, b"digest"),
            {"session_id": "s-1", "event_id": "id-1", "ordinal": 3},
            ["'s-1'", "'id-1'", "3", "new id"],
        ),
        (
            HistoryPruned("s-1", 2, 9),
            {"session_id": "s-1", "ordinal": 2, "floor": 9},
            ["'s-1'", "2", "9"],
        ),
        (CommitUnknown("x.db", 30), {"name": "x.db", "seconds": 30}, ["x.db", "30 seconds", "same event id"]),
        (StoreClosed("the store"), {}, ["the store"]),
        (
            StoreDamaged("x.db", "words", table="events", row="sid 1, ordinal 2", column="payload"),
            {"name": "x.db", "table": "events", "row": "sid 1, ordinal 2", "column": "payload"},
            ["words"],
        ),
        (StoreLost("x.db"), {"name": "x.db"}, ["x.db", "open it again"]),
        (
            StoreLost("x.db", log="x.db-wal", emptied=True),
            {"log": "x.db-wal", "emptied": True},
            ["x.db-wal was emptied", "backup"],
        ),
        (
            StoreUpgraded("x.db", version=3, known=2),
            {"name": "x.db", "version": 3, "known": 2},
            ["x.db", "schema 3", "update this program"],
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_carry_what_they_say(error: SessionstreamError, attributes: dict[str, object], named: list[str]) -> None:
    for name, value in attributes.items():
        assert getattr(error, name) == value
    for word in named:
        assert word in str(error)


def test_a_cause_without_words_does_not_hide_the_failure() -> None:
    assert "WordlessError" in str(ProjectionError(EVENT, "UI projection app.tell", WordlessError()))


@pytest.mark.parametrize("name", ["", " ", None, 3])
def test_nobody_is_told_to_register_what_is_no_name(name: Any) -> None:
    for error in (UnknownCommandError(name), UnknownSchemaError("event", name)):
        assert "a non-empty string" in str(error)
        assert "register_" not in str(error)
    assert "call register_event('Moved', …) of the schema registry first" in str(UnknownSchemaError("event", "Moved"))
