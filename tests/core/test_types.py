"""Values are frozen and slotted, and refuse invalid contents."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.errors import InvalidIdError
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity
from sessionstream.ids import check_id
from sessionstream.types import (
    Command,
    Event,
    Session,
    Snapshot,
    TimelineEntity,
    UIEvent,
    in_snapshot_order,
)

PAYLOAD = ChatMessageEntity(text="x")


def entity(kind: str, entity_id: str, created: int, changed: int) -> TimelineEntity:
    return TimelineEntity(kind, entity_id, PAYLOAD, created, changed)


VALUES: list[tuple[object, list[str]]] = [
    (Command("Say", PAYLOAD, "s"), ["name", "payload", "session_id"]),
    (Event("Said", PAYLOAD, "s"), ["name", "payload", "session_id", "ordinal", "event_id", "metadata", "recorded_at"]),
    (UIEvent("Told", PAYLOAD), ["name", "payload"]),
    (
        TimelineEntity("Text", "1", PAYLOAD),
        ["kind", "id", "payload", "created_ordinal", "last_event_ordinal", "tombstone"],
    ),
    (Snapshot("s", 0, ()), ["session_id", "snapshot_ordinal", "entities", "epoch", "since"]),
    (Session("s", None), ["id", "metadata"]),
]


@pytest.mark.parametrize(("value", "names"), VALUES, ids=lambda value: type(value).__name__)
def test_values_have_these_fields_in_this_order_frozen_and_slotted(value: object, names: list[str]) -> None:
    assert dataclasses.is_dataclass(value)
    assert [each.name for each in dataclasses.fields(value)] == names
    assert not hasattr(value, "__dict__")
    for name in names:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, getattr(value, name))
    # a frozen dataclass with slots raises one or the other, depending on the Python
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
        setattr(value, "another", 1)  # noqa: B010


def test_metadata_is_a_checked_copy() -> None:
    given = {"trace": "1", "who": "me"}
    event = Event("Said", PAYLOAD, "s", metadata=given)
    given["trace"] = "2"
    assert event.metadata == {"trace": "1", "who": "me"}
    assert event == Event("Said", PAYLOAD, "s")
    assert repr(event.metadata) == "{'trace': '1', 'who': 'me'}"
    assert not hasattr(event.metadata, "__setitem__")
    for again in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event), dataclasses.replace(event)):
        assert again.metadata == event.metadata
        assert hash(again.metadata) == hash(event.metadata)
    assert Event("Said", PAYLOAD, "s", metadata={}).metadata is Event("Said", PAYLOAD, "s").metadata


@pytest.mark.parametrize(
    ("metadata", "error", "words"),
    [
        (None, TypeError, "a mapping of strings, not None"),
        (["a"], TypeError, r"a mapping of strings, not \['a'\]"),
        ({"a": 1}, TypeError, "metadata 'a' has the value 1"),
        ({2: "b"}, TypeError, "metadata 2 has the key 2"),
        ({"a": "\ud800"}, ValueError, "metadata 'a' has a value that is no valid Unicode"),
        ({"\ud800": "a"}, ValueError, "has a key that is no valid Unicode"),
        ({str(number): "" for number in range(65)}, ValueError, "has 65 entries, and at most 64"),
        ({"a": "", "b": "ä" * 4096}, ValueError, "metadata 'b' brings .* to 8194 bytes or more"),
    ],
)
def test_metadata_that_no_event_can_have(metadata: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Event("Said", PAYLOAD, "s", metadata=metadata)
    Event("Said", PAYLOAD, "s", metadata={str(number): "ä" * 62 for number in range(64)})


def test_defaults() -> None:
    event = Event("Said", PAYLOAD, "s")
    assert (event.ordinal, event.event_id) == (0, "")
    made = TimelineEntity("Text", "1", PAYLOAD)
    assert (made.created_ordinal, made.last_event_ordinal, made.tombstone) == (0, 0, False)


def test_only_a_tombstone_may_lack_a_payload() -> None:
    assert TimelineEntity("Text", "1", None, tombstone=True).payload is None
    assert TimelineEntity("Text", "1", PAYLOAD, tombstone=True).payload is PAYLOAD
    with pytest.raises(ValueError, match=r"'Text' '1'.*tombstone"):
        TimelineEntity("Text", "1", None)
    with pytest.raises(ValueError, match="no payload"):
        dataclasses.replace(TimelineEntity("Text", "1", PAYLOAD), payload=None)


def test_snapshots_compare_by_what_they_show_and_not_by_epoch() -> None:
    assert Snapshot("s", 1, (), 5) == Snapshot("s", 1, (), 6)
    assert Snapshot("s", 1, ()) != Snapshot("s", 2, ())


def test_snapshot_order() -> None:
    ordered = [
        entity("B", "9", 1, 1),
        entity("A", "1", 1, 2),
        entity("A", "2", 1, 2),
        entity("B", "1", 1, 2),
        entity("A", "0", 2, 2),
    ]
    assert in_snapshot_order(reversed(ordered)) == ordered


@given(
    st.lists(
        st.builds(entity, st.sampled_from("AB"), st.text("xyé", max_size=2), st.integers(0, 3), st.integers(0, 3)),
        unique_by=lambda each: (each.kind, each.id),
    )
)
def test_snapshot_order_is_total_and_keeps_everything(entities: list[TimelineEntity]) -> None:
    ordered = in_snapshot_order(entities)
    keys = [(each.created_ordinal, each.last_event_ordinal, each.kind, each.id) for each in ordered]
    assert keys == sorted(keys)
    assert sorted(map(id, ordered)) == sorted(map(id, entities))


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("\u2003", "empty"),
        (None, "NoneType"),
        (5, "int"),
        (b"s", "bytes"),
        ("a\0b", "NUL"),
        ("\0", "NUL"),
        ("a\ud800", "Unicode"),
    ],
)
def test_ids_that_no_store_can_keep_are_refused(value: object, word: str) -> None:
    with pytest.raises(InvalidIdError, match=word) as caught:
        check_id("session id", value)
    assert (caught.value.what, caught.value.value) == ("session id", value)
    assert "session id" in str(caught.value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_every_other_id_is_taken_as_it_is(value: str) -> None:
    if value.isspace():
        with pytest.raises(InvalidIdError):
            check_id("event id", value)
    else:
        assert check_id("event id", value) is value


def test_values_do_not_hash_by_their_payload() -> None:
    makers: list[Callable[[], object]] = [
        lambda: hash(Event("Said", PAYLOAD, "s")),
        lambda: hash(UIEvent("T", PAYLOAD)),
    ]
    for make in makers:
        with pytest.raises(TypeError):
            make()
