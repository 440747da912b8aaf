"""The inspector over HTTP: the same answers for a running phase and for a file, and words for what cannot be asked."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sessionstream import (
    ErrorRecord,
    Event,
    Hub,
    ProjectionError,
    Session,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    documents,
)
from sessionstream.admin.arguments import parse
from sessionstream.hydration import stores
from sessionstream.hydration.payload_json import Payload
from sessionstream.systemlab.app import lab_app
from sessionstream.systemlab.inspector.diff import ABSENT, diff, fields
from sessionstream.systemlab.inspector.seen import SeenEntity, SeenTimeline, matching
from sessionstream.systemlab.inspector.stored import StoreSource
from sessionstream.systemlab.lab import Lab
from sessionstream.systemlab.notebook import (
    ADD_NOTE,
    NOTE,
    NOTE_STARTED,
    NOTE_WORD,
    REMOVE_NOTE,
    notebook_schemas,
    open_notebook,
)
from sessionstream.systemlab.phases.persistence import SESSION, Persistence
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteStartedEvent, NoteWordEvent, RemoveNoteCommand
from sessionstream.testing import SessionWriter, put, sample_registry
from sessionstream.transport.ws import connect

from ..servers.postgres import Postgres
from ..transport.running import served
from .client import Client

FAILING = "s-held"


class Asking(Client):
    """Asks the inspector."""

    async def of(self, question: str, status: int = 200, /, **parameters: object) -> Any:
        """Return what the inspector answers; ``from`` is written ``from_``."""
        query = "&".join(f"{name.rstrip('_')}={value}" for name, value in parameters.items())
        answer = await self.get(f"/api/inspector/{question}?{query}")
        assert answer.status == status, answer.text
        return answer.json if status == 200 else answer.json["error"]


async def fill(location: stores.Location) -> None:
    """Write a session with a removed note, and one that is held, into a store."""
    schemas = notebook_schemas()

    def fails(event: Event, _session: Session, _view: TimelineView) -> list[TimelineEntity]:
        if event.name == NOTE_WORD and event.session_id == FAILING:
            raise ValueError("no")
        return []

    async with stores.open(location, schemas) as store:
        hub = open_notebook(Hub(schemas, store=store))
        hub.register_timeline_projection(fails)
        async with hub:
            for text in ("one two", "three"):
                await hub.submit("s", ADD_NOTE, AddNoteCommand(text=text))
            first = (await hub.snapshot("s")).entities[0].id
            await hub.submit("s", REMOVE_NOTE, RemoveNoteCommand(note_id=first))
            await hub.publish(Event(NOTE_STARTED, NoteStartedEvent(note_id="n"), FAILING))
            with pytest.raises(ProjectionError):
                await hub.publish(Event(NOTE_WORD, NoteWordEvent(note_id="n", word="w"), FAILING))


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab([Persistence]) as opened:
        yield opened


@pytest.fixture
async def ask(lab: Lab, tmp_path: Path) -> AsyncIterator[Asking]:
    """The inspector of a lab with phase 5 alone, and a file."""
    await fill(tmp_path / "s.db")
    async with served(lab_app(lab, None, tmp_path / "s.db")) as url:
        yield Asking(url.replace("ws:", "http:"))
        await lab.close()


async def seed(lab: Lab) -> None:
    await lab.run(5, "seed", {"text": "one two", "notes": 2})


async def test_sources_are_phases_and_the_file(ask: Asking, tmp_path: Path) -> None:
    assert await ask.of("sources") == {
        "sources": [
            {"id": "store", "title": f"Store {tmp_path / 's.db'}", "kind": "store"},
            {"id": "phase5", "title": "Phase 5: Persistence and restart", "kind": "hub"},
        ]
    }


async def test_sessions_are_listed_as_the_command_lists_them(ask: Asking, lab: Lab) -> None:
    assert await ask.of("sessions", source="phase5") == {"sessions": [], "total": 0}
    await seed(lab)
    (found,) = (await ask.of("sessions", source="phase5"))["sessions"]
    assert (found["sessionId"], found["eventCursor"], found["held"], found["lastError"]) == (SESSION, "8", False, None)
    of_file = await ask.of("sessions", source="store")
    keys = ("sessionId", "eventCursor", "timelineCursor", "held", "waiting", "entities")
    assert [[each[key] for key in keys] for each in of_file["sessions"]] == [
        ["s", "8", "8", False, 0, 1],
        [FAILING, "2", "1", True, 1, 1],
    ]
    assert of_file["sessions"][1]["lastError"]["error"] == "ValueError: no"


async def test_sessions_come_a_page_at_a_time(ask: Asking) -> None:
    first = await ask.of("sessions", source="store", limit=1)
    assert ([each["sessionId"] for each in first["sessions"]], first["total"]) == (["s"], 2)
    second = await ask.of("sessions", source="store", limit=1, offset=1)
    assert ([each["sessionId"] for each in second["sessions"]], second["total"]) == ([FAILING], 2)
    assert await ask.of("sessions", source="store", offset=2) == {"sessions": [], "total": 2}


async def test_sessions_are_found_by_a_part_of_their_id_and_by_being_held(ask: Asking, lab: Lab) -> None:
    async def found(**wanted: str) -> list[str]:
        return [each["sessionId"] for each in (await ask.of("sessions", **wanted))["sessions"]]

    assert await found(source="store", search="HELD") == [FAILING]
    assert await found(source="store", held="true") == [FAILING]
    assert await found(source="store", held="true", search="nothing") == []
    await seed(lab)
    assert await found(source="phase5", held="true") == []
    assert await found(source="phase5", search=SESSION[1:-1].upper()) == [SESSION]


@pytest.mark.parametrize("source", ["phase5", "store"])
async def test_a_timeline_is_shown_as_it_was_at_any_ordinal(ask: Asking, lab: Lab, source: str) -> None:
    await seed(lab)
    session = SESSION if source == "phase5" else "s"
    texts = []
    for ordinal in range(5):
        found = await ask.of("timeline", source=source, session=session, as_of=ordinal)
        assert found["snapshotOrdinal"] == str(ordinal)
        texts.append([each["payload"].get("text") for each in found["entities"]])
    assert texts == [[], [None], ["one"], ["one two"], ["one two"]]
    stands = await ask.of("session", source=source, session=session)
    assert (stands["timelineCursor"], stands["eventCursor"], stands["floor"]) == ("8", "8", "0")
    now = await ask.of("timeline", source=source, session=session)
    assert (now["snapshotOrdinal"], len(now["entities"])) == ("8", stands["entities"])
    assert int(stands["epoch"]) == int(now["timelineEpoch"]) > 0
    assert now["entities"][0] | {"id": "", "payload": {}} == {
        "kind": NOTE,
        "id": "",
        "createdOrdinal": now["entities"][0]["createdOrdinal"],
        "lastEventOrdinal": now["entities"][0]["lastEventOrdinal"],
        "payloadType": "sessionstream.systemlab.v1.NoteEntity",
        "payloadBytes": now["entities"][0]["payloadBytes"],
        "payload": {},
    }
    assert await ask.of("timeline", source=source, session=session, as_of=2**64 - 1) == now


async def test_a_diff_says_what_was_added_changed_and_removed(ask: Asking) -> None:
    found = await ask.of("diff", source="store", session="s", from_=2, to=5)
    assert (found["from"]["ordinal"], found["to"]["ordinal"]) == ("2", "5")
    assert (len(found["added"]), len(found["changed"])) == (1, 1)
    change = found["changed"][0]
    assert (change["kind"], change["before"]["lastEventOrdinal"], change["after"]["lastEventOrdinal"]) == (
        NOTE,
        "2",
        "4",
    )
    assert change["fields"] == [
        {"path": "text", "before": "one", "after": "one two"},
        {"path": "finished", "after": True},
    ]
    found = await ask.of("diff", source="store", session="s", from_=7)
    assert ([each["payload"]["text"] for each in found["removed"]], found["added"], found["changed"]) == (
        ["one two"],
        [],
        [],
    )
    everything = await ask.of("diff", source="store", session="s", from_=0)
    assert (everything["to"]["ordinal"], len(everything["added"])) == ("8", 1)


@pytest.mark.parametrize("source", ["phase5", "store"])
async def test_a_diff_is_of_one_event_unless_told_otherwise(ask: Asking, lab: Lab, source: str) -> None:
    await seed(lab)
    session = SESSION if source == "phase5" else "s"
    found = await ask.of("diff", source=source, session=session, to=3)
    assert (found["from"], found["to"]) == (
        {"index": 2, "count": 8, "ordinal": "2", "event": NOTE_WORD},
        {"index": 3, "count": 8, "ordinal": "3", "event": NOTE_WORD},
    )
    assert found["changed"][0]["fields"] == [{"path": "text", "before": "one", "after": "one two"}]
    assert await ask.of("diff", source=source, session=session, to_index=3) == found
    first = await ask.of("diff", source=source, session=session, to_index=0, from_index=99)
    assert (first["to"]["ordinal"], first["to"]["event"], first["from"]["ordinal"]) == ("0", "", "8")
    held = await ask.of("diff", source="store", session=FAILING)
    assert held["to"] == {"index": 1, "count": 1, "ordinal": "1", "event": NOTE_STARTED}


async def test_ordinals_of_streams_are_positions_like_others(lab: Lab, tmp_path: Path) -> None:
    """They have more digits than a browser's numbers: an index names each exactly."""
    ordinals = [2**60, 2**60 + 1, 2**62 + 1]
    async with SQLiteStore.open(tmp_path / "streams.db", sample_registry()) as store:
        writer = SessionWriter(store, "s")
        for ordinal in ordinals:
            await writer.log(put("a", str(ordinal)), ordinal=ordinal)
    async with served(lab_app(lab, None, tmp_path / "streams.db")) as url:
        asking = Asking(url.replace("ws:", "http:"))
        for index, ordinal in enumerate([0, *ordinals]):
            found = await asking.of("diff", source="store", session="s", to_index=index)
            assert (found["to"]["index"], found["to"]["ordinal"]) == (index, str(ordinal))
            again = await asking.of("diff", source="store", session="s", to=ordinal)
            assert again == found
        events = await asking.of("events", source="store", session="s", below=ordinals[2], limit=1)
        assert [each["ordinal"] for each in events["events"]] == [str(ordinals[1])]
        await lab.close()


@pytest.mark.parametrize("source", ["phase5", "store"])
async def test_events_come_a_page_at_a_time_the_newest_first(ask: Asking, lab: Lab, source: str) -> None:
    await seed(lab)
    session = SESSION if source == "phase5" else "s"

    async def page(**wanted: int) -> tuple[list[str], int]:
        found = await ask.of("events", source=source, session=session, limit=3, **wanted)
        assert found["total"] == 8
        return [each["ordinal"] for each in found["events"]], found["newer"]

    assert await page() == (["8", "7", "6"], 0)
    assert await page(below=6) == (["5", "4", "3"], 3)
    assert await page(below=3) == (["2", "1"], 6)
    assert await page(below=1) == ([], 8)
    assert await page(after=2) == (["5", "4", "3"], 3)
    assert await page(after=7) == await page(after=2**64 - 1) == await page()
    (found,) = (await ask.of("events", source=source, session=session, below=3, limit=1))["events"]
    assert (found["name"], found["payload"]["word"], found["metadata"]) == (NOTE_WORD, "one", {})
    standing = await ask.of("session", source=source, session=session)
    del standing["retryCommand"]
    assert (await ask.of("events", source=source, session=session))["session"] == standing
    assert found["recordedAt"].endswith("+00:00")


async def test_an_event_that_waits_says_so_and_so_does_its_error(ask: Asking) -> None:
    events = (await ask.of("events", source="store", session=FAILING))["events"]
    assert [each["applied"] for each in events] == [False, True]
    (error,) = (await ask.of("errors", source="store", session=FAILING))["errors"]
    assert (error["kind"], error["ordinal"], error["eventName"]) == ("timeline-projection", "2", NOTE_WORD)
    assert error["where"].startswith("tests/systemlab/test_inspector.py:")
    assert await ask.of("errors", source="store") == {"errors": [error]}
    assert await ask.of("errors", source="store", session="s") == {"errors": []}


async def test_connections_are_shown_with_what_waits_for_them(ask: Asking) -> None:
    assert await ask.of("connections") == {"connections": []}
    async with connect(f"{ask.url.replace('http:', 'ws:')}/api/phase5/ws") as client:
        updates = client.subscribe(SESSION)
        await anext(updates)
        (found,) = (await ask.of("connections"))["connections"]
        assert (found["source"], found["subscriptions"], found["queueDepth"]) == ("phase5", [SESSION], 0)
        assert (await ask.of("connections", source="phase5"))["connections"] == [found]
        assert await ask.of("connections", source="store") == {"connections": []}


async def test_a_running_hub_retries(ask: Asking, lab: Lab) -> None:
    await seed(lab)
    answer = await ask.post("/api/inspector/retry", {"source": "phase5", "session": SESSION})
    assert (answer.status, answer.json["events"], answer.json["cursor"]) == (200, 0, "8")


async def test_a_session_that_cannot_go_on_says_why(ask: Asking, lab: Lab) -> None:
    phase = lab.phase(5)
    assert isinstance(phase, Persistence)
    hub, store = phase.hub, phase.store

    def fails(event: Event, _session: Session, _view: TimelineView) -> list[TimelineEntity]:
        if event.name == NOTE_WORD:
            raise ValueError("not yet")
        return []

    hub.register_timeline_projection(fails)
    with pytest.raises(ProjectionError):
        await hub.publish(Event(NOTE_WORD, NoteWordEvent(note_id="n", word="w"), "other"))
    assert (await store.cursors("other")).held
    answer = await ask.post("/api/inspector/retry", {"source": "phase5", "session": "other"})
    assert answer.status == 409
    assert "not yet" in answer.json["error"]
    assert answer.json["error"].endswith(
        "on event 1, NoteWord: ValueError: not yet. Fix the projection, and press Retry again"
    )


async def test_a_file_is_only_read(ask: Asking, tmp_path: Path) -> None:
    answer = await ask.post("/api/inspector/retry", {"source": "store", "session": FAILING})
    assert answer.status == 400
    assert f"sessionstream retry {tmp_path / 's.db'} {FAILING} --app MODULE:FUNCTION" in answer.json["error"]


@pytest.mark.parametrize(
    "session", ["s", "-x", "--app", "two words", "it's", "  led", "$(id)", "a\tb", "-\u202e'\\n", "\U000e0001"]
)
def test_the_command_that_retries_names_the_session_to_a_shell(tmp_path: Path, session: str) -> None:
    command = StoreSource(tmp_path / "a b.db").retry_command(session)
    assert command is not None
    said = subprocess.run(
        ["bash", "-c", f"words() {{ printf '%s\\0' \"$@\"; }}; {command.replace('sessionstream', 'words', 1)}"],
        env={"LC_ALL": "C.UTF-8"},
        check=True,
        capture_output=True,
    )
    asked = argparse.Namespace()
    parse(said.stdout.decode().split("\0")[:-1], asked)
    assert (asked.store, asked.session, asked.app) == (str(tmp_path / "a b.db"), session, "MODULE:FUNCTION")


async def test_a_session_with_nothing_but_errors_is_one(ask: Asking, lab: Lab) -> None:
    phase = lab.phase(5)
    assert isinstance(phase, Persistence)
    await phase.store.record_error(ErrorRecord("decode", "lonely", 0, "", "no"))
    assert (await ask.of("session", source="phase5", session="lonely"))["eventCursor"] == "0"


@pytest.mark.parametrize(
    ("question", "parameters", "status", "words"),
    [
        ("sources", {"x": 1}, 400, "x is no parameter here; there are: none"),
        ("sessions", {}, 400, "source is the id of a source: store, phase5; it is missing"),
        ("sessions", {"source": "phase9"}, 404, "there is no source 'phase9'; there are store, phase5"),
        ("sessions", {"source": "store", "limit": 0}, 400, "limit is a whole number from 1 to 500, not '0'"),
        ("session", {"source": "store"}, 400, "session is the id of a session; it is missing"),
        ("session", {"source": "phase5", "session": "x"}, 404, "has no session 'x'"),
        ("session", {"source": "store", "session": "x"}, 404, "has no session 'x'"),
        ("events", {"source": "phase5", "session": "x"}, 404, "has no session 'x'"),
        ("events", {"source": "store", "session": "x"}, 404, "has no session 'x'"),
        ("sessions", {"source": "store", "held": "yes"}, 400, "held is true or false, not 'yes'"),
        ("sessions", {"source": "store", "offset": -1}, 400, "offset is a whole number from 0 to"),
        (
            "timeline",
            {"source": "store", "session": "s", "as_of": -1},
            400,
            "as_of is a whole number from 0 to 18446744073709551615, not '-1'",
        ),
        ("timeline", {"source": "store", "session": "s", "as_of": 2**64}, 400, "as_of is a whole number"),
        ("diff", {"source": "store", "session": "s", "to": "x"}, 400, "to is a whole number"),
        ("diff", {"source": "store", "session": "s", "from": "1.5"}, 400, "from is a whole number"),
        (
            "diff",
            {"source": "store", "session": "s", "to": 1, "to_index": 1},
            400,
            "to and to_index name the same place: leave one out",
        ),
        ("diff", {"source": "store", "session": "s", "to_index": "x"}, 400, "to_index is a whole number"),
        ("events", {"source": "store", "session": "s", "after": "٣"}, 400, "after is a whole number"),
        ("events", {"source": "store", "session": "s", "limit": 501}, 400, "limit is a whole number"),
        ("errors", {"source": "store", "session": "x"}, 404, "has no session 'x'"),
        ("connections", {"source": "x"}, 404, "there is no source 'x'"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    ask: Asking, question: str, parameters: dict[str, object], status: int, words: str
) -> None:
    answer = await ask.get(f"/api/inspector/{question}?{urlencode(parameters)}")
    assert answer.status == status, answer.text
    assert words in answer.json["error"]


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        ({}, 400, "source is the id of a source"),
        ({"source": 1, "session": "s"}, 400, "source is the id of a source: store, phase5, as text"),
        ({"source": "phase5"}, 400, "session is the id of a session"),
        ({"source": "phase5", "session": "x"}, 404, "has no session 'x'"),
        ({"source": "phase5", "session": "x", "y": 1}, 400, "y is no parameter here"),
    ],
)
async def test_a_retry_that_cannot_be_is_refused(ask: Asking, document: Any, status: int, words: str) -> None:
    answer = await ask.post("/api/inspector/retry", document)
    assert answer.status == status, answer.text
    assert words in answer.json["error"]


async def test_a_pruned_ordinal_is_refused(ask: Asking, tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "s.db", notebook_schemas()) as store:
        await store.prune("s", before=5)
    assert "as_of is an ordinal that is not pruned" in await ask.of(
        "timeline", 400, source="store", session="s", as_of=4
    )
    assert "from is an ordinal that is not pruned" in await ask.of("diff", 400, source="store", session="s", from_=0)
    first = await ask.of("diff", source="store", session="s", from_index=0)
    assert first["from"] == {"index": 0, "count": 4, "ordinal": "5", "event": ""}


async def test_a_file_that_is_gone_is_said(ask: Asking, tmp_path: Path) -> None:
    for name in ("s.db", "s.db-wal", "s.db-shm"):
        await asyncio.to_thread((tmp_path / name).unlink, missing_ok=True)
    assert "there is no such file" in await ask.of("sessions", 409, source="store")


async def test_a_database_is_a_source(lab: Lab, postgres: Postgres, postgres_schema: str) -> None:
    location = f"{postgres.dsn.replace('postgres@', 'postgres:secret@')}&schema={postgres_schema}"
    await fill(location)
    async with served(lab_app(lab, None, location)) as url:
        asking = Asking(url.replace("ws:", "http:"))
        source = (await asking.of("sources"))["sources"][0]
        assert (source["id"], source["title"]) == ("store", f"Store {stores.shown(location)}")
        assert len((await asking.of("sessions", source="store"))["sessions"]) == 2
        assert len((await asking.of("events", source="store", session=FAILING))["events"]) == 2
        refused = await asking.post("/api/inspector/retry", {"source": "store", "session": FAILING})
        assert "sessionstream retry " in refused.text
        assert "secret" not in refused.text + str(source)
        await lab.close()


def test_a_payload_that_cannot_be_read_says_why_instead() -> None:
    assert documents.payload(Payload("a.B", 3, None, "lost")) == {
        "payloadType": "a.B",
        "payloadBytes": 3,
        "unreadable": "lost",
    }


def test_a_diff_of_a_note_that_was_deleted_and_made_again_is_a_change() -> None:
    def at(created: int) -> SeenTimeline:
        return SeenTimeline(created, 1, [SeenEntity(NOTE, "n", created, created, Payload("t", 0, {}))])

    found = diff(at(1), at(5))
    assert (found.added, found.removed, len(found.changed)) == ([], [], 1)
    assert diff(at(1), at(1)).changed == []
    assert found.changed[0].fields == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, [("b", 2, 3), ("c", ABSENT, 4), ("a", 1, ABSENT)]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [("a.b.c", 1, 2)]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}, 4]}, [("a[1].b", 2, 3), ("a[2]", ABSENT, 4)]),
        ([1, 2, 3], [0, 1, 2, 3], [("[0]", ABSENT, 0)]),
        ([0, 1, 2, 3], [1, 2], [("[0]", 0, ABSENT), ("[3]", 3, ABSENT)]),
        ([{"a": 1}, 2], [5, {"a": 1}, {"b": 2}], [("[0]", ABSENT, 5), ("[2]", 2, {"b": 2})]),
        ([*range(1_500)], [-1, *range(1_499)], [(f"[{n}]", n, n - 1) for n in range(1_500)]),
        ([7] * 300, [0, *[7] * 300], [("[0]", ABSENT, 0)]),
        ({"x.y": {"é": 1}}, {"x.y": {"é": 2}}, [('["x.y"]["é"]', 1, 2)]),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({"a": [1]}, {"a": {"b": 1}}, [("a", [1], {"b": 1})]),
        ("x", "y", [("", "x", "y")]),
    ],
)
def test_fields_that_differ_are_named_by_their_path(before: object, after: object, found: list[object]) -> None:
    assert [(each.path, each.before, each.after) for each in fields(before, after)] == found


@pytest.mark.parametrize(
    ("session", "search"),
    [
        ("x\u202egnp.exe", "U202E"),
        ("x\u202egnp.exe", "x\\u202egnp"),
        ("x\u202egnp.exe", "x\u202eg"),
        ("a\tb", "a\\u0009b"),
        (" a  b", "\\u0020a\\u0020 b"),
        ("ab", ""),
    ],
)
def test_a_session_is_found_by_its_id_as_the_page_shows_it(session: str, search: str) -> None:
    assert matching([session, "other"], search)[0] == session
    assert matching(["other", "a b"], "u0020") == []
