"""``sessionstream inspect``: what it shows, and that it changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, json_format, message_factory, wrappers_pb2

from sessionstream import (
    Commit,
    Cursors,
    ErrorRecord,
    Event,
    HydrationStore,
    SchemaRegistry,
    Snapshot,
    SQLiteStore,
    TimelineEntity,
)
from sessionstream.admin.looking import look
from sessionstream.hydration.stored import StoredState
from tests.hub.support import registry, said

from .app import app_on, with_store, write
from .conftest import Run

if TYPE_CHECKING:
    from google.protobuf.message import Message

VERSION_1 = Path(__file__).parents[1] / "hydration" / "version_1.sql"


def contents(directory: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in directory.iterdir()}


# -- sessions ----------------------------------------------------------------------------------------------


def test_it_lists_the_sessions(run: Run, file: Path) -> None:
    s, t = with_store(file, lambda store: asyncio.gather(store.cursors("s"), store.cursors("t")))
    assert run("inspect", file).lines == [
        ["SESSION", "EVENT", "TIMELINE", "HELD", "ENTITIES", "FLOOR", "EPOCH", "LAST ERROR"],
        ["s", "3", "3", "no", "1", "0", str(s.epoch), "-"],
        ["t", "3", "1", "2 waiting", "1", "0", str(t.epoch), "timeline-projection at 2: Broken: timeline bad"],
    ]


def test_the_list_as_json(run: Run, file: Path) -> None:
    cursors: Cursors = with_store(file, lambda store: store.cursors("t"))
    document = run("inspect", file, "--json").document
    assert document["store"] == str(file)
    s, t = document["sessions"]
    assert (s["sessionId"], s["held"], s["waiting"], s["lastError"]) == ("s", False, 0, None)
    error = t.pop("lastError")
    assert t == {
        "sessionId": "t",
        "eventCursor": "3",
        "timelineCursor": "1",
        "held": True,
        "waiting": 2,
        "entities": 1,
        "floor": "0",
        "epoch": str(cursors.epoch),
    }
    assert (error["kind"], error["ordinal"], error["eventName"]) == ("timeline-projection", "2", "Said")


def test_sessions_that_hold_only_keys_or_errors_are_there(run: Run, tmp_path: Path) -> None:
    async def work(store: HydrationStore) -> None:
        await store.claim_command("claimed", "key", b"digest")
        await store.record_error(ErrorRecord("decode", "failed", 0, "", "no JSON"))

    with_store(tmp_path / "app.db", work)
    found = run("inspect", tmp_path / "app.db", "--json").document["sessions"]
    assert [(each["sessionId"], each["eventCursor"]) for each in found] == [("claimed", "0"), ("failed", "0")]
    for session_id in ("claimed", "failed"):
        shown = run("inspect", tmp_path / "app.db", "--session", session_id, "--json").document
        assert shown["timeline"]["entities"] == []


def test_a_store_without_sessions_says_so(run: Run, tmp_path: Path) -> None:
    with_store(tmp_path / "app.db", lambda store: store.sessions())
    ran = run("inspect", tmp_path / "app.db")
    assert (ran.status, ran.out) == (0, f"no sessions in {tmp_path / 'app.db'}\n")


# -- one session -------------------------------------------------------------------------------------------


def as_document(snapshot: Snapshot) -> dict[str, Any]:
    entities = []
    for entity in snapshot.entities:
        assert entity.payload is not None
        entities.append(
            {
                "kind": entity.kind,
                "id": entity.id,
                "createdOrdinal": str(entity.created_ordinal),
                "lastEventOrdinal": str(entity.last_event_ordinal),
                "payloadType": entity.payload.DESCRIPTOR.full_name,
                "payloadBytes": entity.payload.ByteSize(),
                "payload": json_format.MessageToDict(entity.payload),
            }
        )
    return {"snapshotOrdinal": str(snapshot.snapshot_ordinal), "epoch": str(snapshot.epoch), "entities": entities}


def test_a_timeline_is_what_the_store_answers_at_every_ordinal(run: Run, file: Path) -> None:
    for ordinal in (None, 0, 1, 2, 3, 4, 2**64 - 1):
        snapshot = with_store(file, lambda store, n=ordinal: store.snapshot("s", as_of=n))  # type: ignore[misc]
        asked = () if ordinal is None else ("--as-of", ordinal)
        shown = run("inspect", file, "--session", "s", *asked, "--json").document
        assert shown["timeline"] == as_document(snapshot)
        assert shown["session"]["sessionId"] == "s"
    (entity,) = run("inspect", file, "--session", "s", "--json").document["timeline"]["entities"]
    assert entity["payload"] == {"text": "abc"}


def test_entities_are_in_snapshot_order_and_deleted_ones_are_gone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "app.db"

    async def work(store: HydrationStore) -> list[Snapshot]:
        app = app_on(store)
        for entity, status in (("c", ""), ("a", ""), ("b", ""), ("c", ""), ("a", "delete")):
            await app.hub.publish(said(entity=entity, status=status))
        await app.hub.shutdown()
        return [await store.snapshot("s", as_of=ordinal) for ordinal in range(6)]

    snapshots = with_store(path, work)
    shown = [run("inspect", path, "--session", "s", "--as-of", n, "--json").document["timeline"] for n in range(6)]
    assert shown == [as_document(snapshot) for snapshot in snapshots]
    assert [[each["id"] for each in timeline["entities"]] for timeline in shown[3:]] == [["c", "a", "b"]] * 2 + [
        ["c", "b"]
    ]


def test_a_timeline_as_a_table(run: Run, file: Path) -> None:
    lines = run("inspect", file, "--session", "t").lines
    assert lines[0] == ["session t: event cursor 3, timeline cursor 1, held, 2 events waiting"]
    assert lines[2] == ["last error: timeline-projection at 2: Broken: timeline bad"]
    assert lines[4:] == [
        ["timeline at 1"],
        ["KIND", "ID", "CREATED", "CHANGED", "MESSAGE", "PAYLOAD"],
        ["Text", "1", "1", "1", "ChatMessageEntity", '{"text":"x"}'],
    ]


def test_events_come_in_pages_and_say_which_wait(run: Run, file: Path) -> None:
    first = run("inspect", file, "--session", "t", "--events", "--limit", 2, "--json").document
    assert "timeline" not in first
    assert [(each["ordinal"], each["applied"]) for each in first["events"]] == [("1", True), ("2", False)]
    assert first["events"][1]["payload"] == {"messageId": "1", "chunk": "bad"}
    assert first["events"][1]["name"] == "Said"
    assert first["events"][1]["recordedAt"].endswith("+00:00")
    assert first["moreEvents"]
    rest = run("inspect", file, "--session", "t", "--events", "--after", 2, "--limit", 2, "--json").document
    assert [each["ordinal"] for each in rest["events"]] == ["3"]
    assert not rest["moreEvents"]
    assert "there are more: --after 2" in run("inspect", file, "--session", "t", "--events", "--limit", 2).out


def test_several_questions_are_answered_together(run: Run, file: Path) -> None:
    document = run("inspect", file, "--session", "t", "--as-of", 0, "--events", "--errors", "--json").document
    assert document["timeline"]["entities"] == []
    assert len(document["events"]) == 3
    assert [each["sessionId"] for each in document["errors"]] == ["t"]


def test_errors_of_all_sessions_with_their_raw_message(run: Run, file: Path) -> None:
    record = ErrorRecord("decode", "", 0, "", "no JSON", b"\xff\x00", {"topic": "x"})
    with_store(file, lambda store: store.record_error(record))
    found = run("inspect", file, "--errors", "--json").document["errors"]
    assert [each["kind"] for each in found] == ["timeline-projection", "decode"]
    assert (found[1]["rawMessage"], found[1]["metadata"]) == ("/wA=", {"topic": "x"})
    assert [each["kind"] for each in run("inspect", file, "--errors", "--limit", 1, "--json").document["errors"]] == [
        "decode"
    ]
    assert run("inspect", file, "--errors").lines[-1][1:] == ["-", "0", "decode", "-", "no JSON"]
    assert (
        "decode of event -, session - at 0:\nno traceback is recorded"
        in run("inspect", file, "--errors", "--traceback").out
    )


def test_a_session_that_is_not_there(run: Run, file: Path) -> None:
    ran = run("inspect", file, "--session", "nobody")
    assert (ran.status, ran.out, ran.err) == (1, "", "sessionstream: the store has no session 'nobody'\n")


def test_what_is_pruned_is_refused(run: Run, file: Path) -> None:
    with_store(file, lambda store: store.prune("s", before=3))
    ran = run("inspect", file, "--session", "s", "--as-of", 2)
    assert (ran.status, ran.out) == (1, "")
    assert "keeps its history from ordinal 3 on; 2 is pruned" in ran.err
    assert [
        each["ordinal"] for each in run("inspect", file, "--session", "s", "--events", "--json").document["events"]
    ] == ["3"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--events"],
        ["--as-of", "1"],
        ["--session", "s", "--after", "1"],
        ["--session", "s", "--limit", "1"],
        ["--session", "s", "--traceback"],
    ],
)
def test_questions_that_make_no_sense_are_refused(run: Run, file: Path, arguments: list[str]) -> None:
    ran = run("inspect", file, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("sessionstream: --")


@pytest.mark.parametrize("number", ["-1", "1.5", "x", "٣", "9" * 30])
def test_what_is_no_ordinal_is_refused(run: Run, file: Path, number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("inspect", file, "--session", "s", "--as-of", number)
    assert ended.value.code == 2


# -- payloads ----------------------------------------------------------------------------------------------


def message_with(*fields: str) -> type[Message]:
    """A message class of a pool of its own; always of the same name, in a file of the same name."""
    file = descriptor_pb2.FileDescriptorProto(name="moved.proto", package="test", syntax="proto3")
    message = file.message_type.add(name="Moved")
    kind, label = descriptor_pb2.FieldDescriptorProto.TYPE_INT64, descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    for number, name in enumerate(fields, start=1):
        message.field.add(name=name, number=number, type=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Moved"))


def log(path: Path, *payloads: Message) -> None:
    """Log events of session ``s``, each with an entity of its payload."""

    async def main() -> None:
        for payload in payloads:
            schemas = SchemaRegistry()
            schemas.register_event("Moved", type(payload))
            async with SQLiteStore.open(path, schemas) as store:
                cursor = (await store.cursors("s")).event
                event = Event("Moved", payload, "s", cursor + 1, f"e-{cursor + 1}")
                entity = TimelineEntity("Place", str(cursor + 1), payload, cursor + 1, cursor + 1)
                await store.commit(Commit("s", event, (entity,), cursor, timeline_cursor=cursor + 1))

    asyncio.run(main())


def test_each_payload_is_read_with_the_schema_it_was_written_with(run: Run, tmp_path: Path) -> None:
    old, new = message_with("x"), message_with("x", "y")
    log(tmp_path / "app.db", old(x=2**60), new(x=1, y=-2))
    document = run("inspect", tmp_path / "app.db", "--session", "s", "--as-of", 2, "--events", "--json").document
    expected = [{"x": str(2**60)}, {"x": "1", "y": "-2"}]
    assert [each["payload"] for each in document["events"]] == expected
    assert [each["payload"] for each in document["timeline"]["entities"]] == expected


def test_a_payload_without_json_is_shown_by_name_and_size(run: Run, tmp_path: Path) -> None:
    hidden = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"abc")
    log(tmp_path / "app.db", hidden)
    (entity,) = run("inspect", tmp_path / "app.db", "--session", "s", "--json").document["timeline"]["entities"]
    assert (entity["payloadType"], entity["payloadBytes"]) == ("google.protobuf.Any", hidden.ByteSize())
    assert "no.Such" in entity["unreadable"]
    assert "payload" not in entity
    shown = run("inspect", tmp_path / "app.db", "--session", "s").lines[-1][-1]
    assert shown.startswith(f"(google.protobuf.Any, {hidden.ByteSize()} bytes: TypeError: ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE payload_types SET descriptors = x'ff'", "its schema cannot be read"),
        ("UPDATE payload_types SET descriptors = x''", "its schema cannot be read"),
        ("DELETE FROM payload_types", "the store does not say what that is"),
        ("UPDATE entities SET payload = x'ff'", "DecodeError"),
    ],
)
def test_damage_to_one_payload_hides_nothing_else(run: Run, tmp_path: Path, change: str, words: str) -> None:
    log(tmp_path / "app.db", wrappers_pb2.Int64Value(value=5))
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as db:
        db.execute(change)
    (entity,) = run("inspect", tmp_path / "app.db", "--session", "s", "--json").document["timeline"]["entities"]
    assert words in entity["unreadable"]
    assert (entity["kind"], entity["id"]) == ("Place", "1")


# -- the file ----------------------------------------------------------------------------------------------


QUESTIONS: tuple[list[str], ...] = (
    [],
    ["--session", "s"],
    ["--session", "t", "--as-of", "1", "--events", "--errors"],
    ["--errors", "--json"],
)


def test_nothing_is_created_or_changed(run: Run, file: Path) -> None:
    before = contents(file.parent)
    assert list(before) == ["app.db"]
    for arguments in QUESTIONS:
        assert run("inspect", file, *arguments).status == 0
        assert contents(file.parent) == before


def test_a_file_that_nobody_may_write_is_read(run: Run, file: Path) -> None:
    file.chmod(0o444)
    file.parent.chmod(0o555)
    try:
        assert run("inspect", file).status == 0
    finally:
        file.parent.chmod(0o755)


def test_it_sees_what_a_writer_has_committed_just_now_and_changes_no_data(run: Run, file: Path) -> None:
    async def main() -> None:
        async with SQLiteStore.open(file, registry()) as store:
            cursors = await store.cursors("s")
            await store.commit(Commit("s", _said(4), (), 3, timeline_cursor=4, expected_epoch=cursors.epoch))
            before = contents(file.parent)
            shown = await asyncio.to_thread(run, "inspect", file, "--session", "s", "--json")
            assert shown.document["session"]["eventCursor"] == "4"
            after = contents(file.parent)
            for name in ("app.db", "app.db-wal"):
                assert after[name] == before[name]
            assert set(after) == set(before)
            await store.commit(Commit("s", _said(5), (), 4, timeline_cursor=5))

    asyncio.run(main())


def _said(ordinal: int) -> Event:
    schema = registry().event_schema("Said")
    assert schema is not None
    return Event("Said", schema(), "s", ordinal, f"said-{ordinal}")


def test_the_log_that_a_killed_process_left_is_read_and_kept(run: Run, file: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"

    async def main() -> None:
        async with SQLiteStore.open(file, registry()) as store:
            await store.commit(Commit("s", _said(4), (), 3, timeline_cursor=4))
            await asyncio.to_thread(shutil.copytree, tmp_path, left, ignore=shutil.ignore_patterns("left"))

    asyncio.run(main())
    before = contents(left)
    assert before["app.db-wal"]
    for _ in range(2):
        shown = run("inspect", left / "app.db", "--session", "s", "--json").document
        assert shown["session"]["eventCursor"] == "4"
    after = contents(left)
    assert (after["app.db"], after["app.db-wal"]) == (before["app.db"], before["app.db-wal"])


def test_a_file_that_is_opened_meanwhile_is_asked_again(file: Path) -> None:
    asked: list[object] = []

    def question(opened: StoredState) -> int:
        if not asked:
            write(file, "d")
        asked.append(opened.version)
        session = opened.session("s")
        assert session is not None
        return session.cursors.event

    assert look(str(file), question) == 4
    assert len(asked) == 2


def test_the_metadata_of_an_event_is_shown(run: Run, tmp_path: Path) -> None:
    async def work(store: HydrationStore) -> None:
        for metadata in ({"trace": "ä"}, {}):
            await app_on(store).hub.publish(replace(said("a", "s"), metadata=metadata))

    with_store(tmp_path / "app.db", work)
    shown = run("inspect", tmp_path / "app.db", "--session", "s", "--events")
    assert '{"trace":"ä"}' in shown.out
    document = run("inspect", tmp_path / "app.db", "--session", "s", "--events", "--json").document
    assert [event["metadata"] for event in document["events"]] == [{"trace": "ä"}, {}]


def test_an_older_file_is_shown_and_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1.read_text(encoding="utf-8"))
    before = contents(tmp_path)
    sessions = run("inspect", path, "--json").document["sessions"]
    assert sessions
    for each in sessions:
        document = run("inspect", path, "--session", each["sessionId"], "--as-of", 2**63, "--events", "--json").document
        assert all((event["recordedAt"], event["metadata"]) == (None, {}) for event in document["events"])
    assert contents(tmp_path) == before


def not_ours(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (x)")


def newer(path: Path) -> None:
    with_store(path, lambda store: store.sessions())
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


def incomplete(path: Path) -> None:
    with_store(path, lambda store: store.sessions())
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE errors")


@pytest.mark.parametrize("command", ["inspect", "retry", "rebuild", "prune"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "it is a directory"),
        (lambda path: path.write_bytes(b"not a database, but some other file " * 100), "file is not a database"),
        (lambda path: path.write_bytes(b""), "is an empty database"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (not_ours, "is another application's SQLite database"),
        (newer, "was written by a newer version of sessionstream (schema 99"),
        (incomplete, "no such table: errors"),
    ],
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(
    run: Run, tmp_path: Path, make: Any, words: str, command: str
) -> None:
    path = tmp_path / "app.db"
    make(path)
    before = [(each.name, each.is_file() and each.read_bytes()) for each in tmp_path.iterdir() if not each.is_symlink()]
    rest = {"inspect": [], "prune": ["s", "--before", "1"]}.get(command, ["s", "--app", "tests.admin.app:make"])
    ran = run(command, path, *rest)
    assert (ran.status, ran.out) == (2, "")
    assert words in ran.err
    assert str(path) in ran.err
    after = [(each.name, each.is_file() and each.read_bytes()) for each in tmp_path.iterdir() if not each.is_symlink()]
    assert after == before


def test_what_is_no_path_of_a_file_is_refused(run: Run) -> None:
    for path in (":memory:", "", "file:x.db"):
        assert run("inspect", path).status == 2


def test_the_web_is_told_which_store_and_which_port(run: Run, file: Path) -> None:
    assert run("inspect", file, "--web").out == f"{file} at 8093\n"
    assert run("inspect", file, "--web", "--port", 0).out == f"{file} at 0\n"
