"""The inspector over HTTP: the same answers for a running phase and for a file, and words for what cannot be asked."""

from __future__ import annotations

import asyncio
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
from sessionstream.hydration import stores
from sessionstream.hydration.payload_json import Payload
from sessionstream.systemlab.app import lab_app
from sessionstream.systemlab.inspector.diff import diff
from sessionstream.systemlab.inspector.seen import SeenEntity, SeenTimeline
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
from sessionstream.transport.ws import connect

from ..servers.postgres import Postgres
from ..transport.running import served
from .client import Client

FAILING = "s-held"


class Asking(Client):
    """Asks the inspector."""

    async def of(self, question: str, status: int = 200, **parameters: object) -> Any:
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
            {"id": "phase5", "title": "Phase 5: Persistence and restart", "kind": "hub", "retry": True},
            {"id": "store", "title": f"Store {tmp_path / 's.db'}", "kind": "store", "retry": False},
        ]
    }


async def test_sessions_are_listed_with_where_they_stand(ask: Asking, lab: Lab) -> None:
    assert await ask.of("sessions", source="phase5") == {"sessions": [], "more": False}
    await seed(lab)
    (found,) = (await ask.of("sessions", source="phase5"))["sessions"]
    assert (found["sessionId"], found["eventCursor"], found["held"]) == (SESSION, "8", False)
    of_file = await ask.of("sessions", source="store")
    assert [(each["sessionId"], each["eventCursor"], each["held"]) for each in of_file["sessions"]] == [
        ("s", "8", False),
        (FAILING, "2", True),
    ]


async def test_sessions_come_a_page_at_a_time(ask: Asking) -> None:
    first = await ask.of("sessions", source="store", limit=1)
    assert ([each["sessionId"] for each in first["sessions"]], first["more"]) == (["s"], True)
    second = await ask.of("sessions", source="store", limit=1, after="s")
    assert ([each["sessionId"] for each in second["sessions"]], second["more"]) == ([FAILING], False)


@pytest.mark.parametrize("source", ["phase5", "store"])
async def test_a_timeline_is_shown_as_it_was_at_any_ordinal(ask: Asking, lab: Lab, source: str) -> None:
    await seed(lab)
    session = SESSION if source == "phase5" else "s"
    texts = []
    for ordinal in range(5):
        found = await ask.of("session", source=source, session=session, as_of=ordinal)
        assert found["snapshotOrdinal"] == str(ordinal)
        texts.append([each["payload"].get("text") for each in found["entities"]])
    assert texts == [[], [None], ["one"], ["one two"], ["one two"]]
    now = await ask.of("session", source=source, session=session)
    assert (now["snapshotOrdinal"], now["eventCursor"], now["floor"]) == ("8", "8", "0")
    assert int(now["epoch"]) == int(now["timelineEpoch"]) > 0
    assert now["entities"][0] | {"id": "", "payload": {}} == {
        "kind": NOTE,
        "id": "",
        "createdOrdinal": now["entities"][0]["createdOrdinal"],
        "lastEventOrdinal": now["entities"][0]["lastEventOrdinal"],
        "payloadType": "sessionstream.systemlab.v1.NoteEntity",
        "payloadBytes": now["entities"][0]["payloadBytes"],
        "payload": {},
    }
    assert await ask.of("session", source=source, session=session, as_of=2**64 - 1) == now


async def test_a_diff_says_what_was_added_changed_and_removed(ask: Asking) -> None:
    found = await ask.of("diff", source="store", session="s", from_=2, to=5)
    assert (found["from"], found["to"], len(found["added"]), len(found["changed"])) == ("2", "5", 1, 1)
    change = found["changed"][0]
    assert (change["before"]["payload"]["text"], change["after"]["payload"]["text"]) == ("one", "one two")
    assert change["kind"] == NOTE
    found = await ask.of("diff", source="store", session="s", from_=7)
    assert ([each["payload"]["text"] for each in found["removed"]], found["added"], found["changed"]) == (
        ["one two"],
        [],
        [],
    )
    everything = await ask.of("diff", source="store", session="s")
    assert (everything["from"], everything["to"], len(everything["added"])) == ("0", "8", 1)


@pytest.mark.parametrize("source", ["phase5", "store"])
async def test_events_come_a_page_at_a_time(ask: Asking, lab: Lab, source: str) -> None:
    await seed(lab)
    session = SESSION if source == "phase5" else "s"
    first = await ask.of("events", source=source, session=session, limit=3)
    assert ([each["ordinal"] for each in first["events"]], first["more"]) == (["1", "2", "3"], True)
    assert first["events"][1]["name"] == NOTE_WORD
    assert first["events"][1]["payload"]["word"] == "one"
    rest = await ask.of("events", source=source, session=session, after=3)
    assert ([each["ordinal"] for each in rest["events"]], rest["more"]) == (["4", "5", "6", "7", "8"], False)
    assert rest["events"][0]["recordedAt"].endswith("+00:00")
    assert rest["events"][0]["metadata"] == {}


async def test_an_event_that_waits_says_so_and_so_does_its_error(ask: Asking) -> None:
    events = (await ask.of("events", source="store", session=FAILING))["events"]
    assert [each["applied"] for each in events] == [True, False]
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


async def test_a_file_is_only_read(ask: Asking, tmp_path: Path) -> None:
    answer = await ask.post("/api/inspector/retry", {"source": "store", "session": FAILING})
    assert answer.status == 400
    assert f"sessionstream retry {tmp_path / 's.db'} {FAILING} --app MODULE:FUNCTION" in answer.json["error"]


async def test_a_session_with_nothing_but_errors_is_one(ask: Asking, lab: Lab) -> None:
    phase = lab.phase(5)
    assert isinstance(phase, Persistence)
    await phase.store.record_error(ErrorRecord("decode", "lonely", 0, "", "no"))
    assert (await ask.of("session", source="phase5", session="lonely"))["eventCursor"] == "0"


@pytest.mark.parametrize(
    ("question", "parameters", "status", "words"),
    [
        ("sources", {"x": 1}, 400, "x is no parameter here; there are: none"),
        ("sessions", {}, 400, "source is the id of a source: phase5, store; it is missing"),
        ("sessions", {"source": "phase9"}, 404, "there is no source 'phase9'; there are phase5, store"),
        ("sessions", {"source": "store", "limit": 0}, 400, "limit is a whole number from 1 to 500, not '0'"),
        ("session", {"source": "store"}, 400, "session is the id of a session; it is missing"),
        ("session", {"source": "phase5", "session": "x"}, 404, "has no session 'x'"),
        ("session", {"source": "store", "session": "x"}, 404, "has no session 'x'"),
        (
            "session",
            {"source": "store", "session": "s", "as_of": -1},
            400,
            "as_of is a whole number from 0 to 18446744073709551615, not '-1'",
        ),
        ("session", {"source": "store", "session": "s", "as_of": 2**64}, 400, "as_of is a whole number"),
        ("diff", {"source": "store", "session": "s", "to": "x"}, 400, "to is a whole number"),
        ("diff", {"source": "store", "session": "s", "from": "1.5"}, 400, "from is a whole number"),
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
        ({"source": 1, "session": "s"}, 400, "source is the id of a source: phase5, store, as text"),
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
        "session", 400, source="store", session="s", as_of=4
    )
    assert "from is an ordinal that is not pruned" in await ask.of("diff", 400, source="store", session="s", from_=0)
    assert (await ask.of("diff", source="store", session="s"))["from"] == "5"


async def test_a_file_that_is_gone_is_said(ask: Asking, tmp_path: Path) -> None:
    for name in ("s.db", "s.db-wal", "s.db-shm"):
        await asyncio.to_thread((tmp_path / name).unlink, missing_ok=True)
    assert "there is no such file" in await ask.of("sessions", 409, source="store")


async def test_a_database_is_a_source(lab: Lab, postgres: Postgres, postgres_schema: str) -> None:
    location = f"{postgres.dsn.replace('postgres@', 'postgres:secret@')}&schema={postgres_schema}"
    await fill(location)
    async with served(lab_app(lab, None, location)) as url:
        asking = Asking(url.replace("ws:", "http:"))
        source = (await asking.of("sources"))["sources"][-1]
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
