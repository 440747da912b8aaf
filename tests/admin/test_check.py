"""``sessionstream check`` finds what a damaged or wrongly changed store breaks, and nothing in a good one."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream import ErrorRecord, Hub, HydrationStore
from sessionstream.admin import checking
from sessionstream.hydration import stores, versions
from sessionstream.hydration.sqlite.removing import Removal
from sessionstream.hydration.stored import StoredVersion

from .app import make, with_store, write
from .conftest import Run
from .test_repair import APP, unchanged


@pytest.fixture
def store(file: Path) -> Path:
    """A file with a held session, a pruned one, a deleted one, a long text with deltas, and one that is fine."""
    fill(file)
    return file


def fill(location: stores.Location) -> None:
    """Add a session with a long text, a pruned one and a deleted one."""
    write(location, *["word "] * 150, session_id="long")
    write(location, "a", "b", "c", session_id="pruned")
    write(location, "a", session_id="deleted")
    with_store(location, lambda opened: opened.prune("pruned", before=2))
    with_store(location, lambda opened: opened.delete_session("deleted"))


def test_a_good_store_has_no_problem(run: Run, store: Path) -> None:
    document = unchanged(store, lambda: run("check", store, "--json")).document
    assert document == {
        "store": str(store),
        "command": "check",
        "sessions": 5,
        "deleted": 1,
        "events": 3 + 3 + 150 + 2,
        "compared": 0,
        "uncompared": None,
        "problems": [],
        "readable": None,
    }
    assert run("check", store).out == f"checked {store}: 5 sessions (1 deleted), 158 events; nothing is wrong\n"


def test_sessions_are_counted_as_inspect_lists_them_and_deleted_ones_besides(run: Run, store: Path) -> None:
    with_store(store, lambda opened: opened.record_error(ErrorRecord("store", "", 0, "", "of no session")))
    document = run("check", store, "--json").document
    listed = run("inspect", store, "--json").document["sessions"]
    assert document["sessions"] - document["deleted"] == len(listed) == 4


def test_problems_are_in_the_order_of_the_sessions_and_people_see_the_first_of_each(run: Run, store: Path) -> None:
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE payload_types SET descriptors = x'ff'")
    ran = run("check", store, "--json")
    assert (ran.status, ran.err) == (1, "")
    problems = [each["sessionId"] for each in json.loads(ran.out)["problems"]]
    assert problems == sorted(problems)
    assert (problems.count("long"), problems.count("s")) == (300, 6)
    lines = run("check", store).out.splitlines()
    shown = [line.split(maxsplit=1) for line in lines[3:]]
    assert [what for session_id, what in shown if session_id == "long"][10:] == ["… and 290 more"]
    assert len([what for session_id, what in shown if session_id == "s"]) == 6
    assert lines[0].endswith(f"; {len(problems)} problems")


def test_timelines_are_compared_with_what_the_app_computes(run: Run, store: Path) -> None:
    document = unchanged(store, lambda: run("check", store, *APP, "--json")).document
    assert (document["compared"], document["problems"]) == (2, [])  # the held, the pruned and the deleted are not
    assert document["uncompared"] == 3
    told = run("check", store, *APP).out
    assert "2 timelines compared with the app, 3 not (held, pruned, deleted or damaged); nothing is wrong" in told
    ran = run("check", store, "--app", "tests.admin.app:make_renaming")
    assert ran.status == 1
    assert "s        Text '1' is not what the app computes from the log: it would be removed" in ran.out
    assert "s        Text 'renamed' is not what the app computes from the log: it would be added" in ran.out
    ran = run("check", store, "--app", "tests.admin.app:make_without_events")
    assert ran.status == 1
    assert "the app cannot compute its timeline" in ran.out


def test_the_app_makes_one_hub_for_all_sessions(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Hub] = []

    def counted(opened: HydrationStore) -> Hub:
        made.append(make(opened))
        return made[-1]

    monkeypatch.setattr("tests.admin.app.make", counted)
    assert "2 timelines compared with the app" in run("check", store, *APP).out
    assert len(made) == 1


def test_an_app_that_cannot_be_used_is_refused(run: Run, store: Path) -> None:
    ran = run("check", store, "--app", "tests.admin.app:make_failing")
    assert (ran.status, ran.out) == (2, "")
    assert "no settings" in ran.err


HYDRATION = Path(__file__).parents[1] / "hydration"
LONG = "(SELECT sid FROM sessions WHERE session_id = 'long')"
OF_LONG = "timeline = (SELECT timeline FROM sessions WHERE session_id = 'long')"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (f"UPDATE sessions SET event_cursor = 149 WHERE sid = {LONG}", "above its event_cursor 149"),
        (f"UPDATE sessions SET event_cursor = 200 WHERE sid = {LONG}", "the log ends at event 150"),
        (f"UPDATE sessions SET timeline_cursor = 151 WHERE sid = {LONG}", "is 151, above its event_cursor 150"),
        (f"UPDATE sessions SET timeline_cursor = 149 WHERE sid = {LONG}", "the timeline's 149"),
        (f"UPDATE sessions SET floor = 151 WHERE sid = {LONG}", "is 151, above its timeline_cursor 150"),
        (f"DELETE FROM events WHERE sid = {LONG} AND ordinal = 150", "the log ends at event 149"),
        (
            f"DELETE FROM events WHERE sid = {LONG} AND ordinal = 70",
            "event 70, which changed Text '1', is not in the log",
        ),
        (f"UPDATE events SET payload = x'ff' WHERE sid = {LONG} AND ordinal = 7", "event 7, Said: its payload cannot"),
        ("DELETE FROM payload_types", "cannot be decoded with the schema"),
        (f"UPDATE entities SET payload = x'ff' WHERE {OF_LONG}", "Text '1' as of 150"),
        (f"UPDATE entities SET created = 0 WHERE {OF_LONG}", "created at 0"),
        (f"DELETE FROM entities WHERE {OF_LONG}", "and there is no later state"),
        (f"DELETE FROM entity_versions WHERE {OF_LONG} AND changed = 149", "follows a state that ends at 149"),
        (
            f"UPDATE entity_versions SET payload = x'00' WHERE {OF_LONG} AND changed = 148",
            "Text '1' as of 148 cannot be restored",
        ),
        (f"UPDATE entities SET changed = 'x' WHERE {OF_LONG}", "entities"),
    ],
)
def test_what_is_wrong_is_found_and_named(run: Run, store: Path, change: str, what: str) -> None:
    with closing(sqlite3.connect(store)) as db, db:
        assert db.execute(change).rowcount > 0
    document = run("check", store, "--json")
    assert (document.status, document.err) == (1, "")
    ran = unchanged(store, lambda: run("check", store))
    assert (ran.status, ran.err) == (1, "")
    assert what in ran.out
    if "payload_types" not in change:
        assert {line.split()[0] for line in ran.out.splitlines()[3:]} == {"long"}


# Changes by hand that no single session shows, and all that a check says of each, without the numbers of rows.
BY_HAND = {
    "DELETE FROM sessions WHERE session_id = 'long'": [
        ("-", "150 rows of table events with sid #, which no session has"),
        ("-", "1 row of table entities with timeline #, which no session has"),
        ("-", "149 rows of table entity_versions with timeline #, which no session has"),
    ],
    "UPDATE sessions SET timeline = (SELECT timeline FROM sessions WHERE session_id = 's') "
    "WHERE session_id = 'pruned'": [
        ("-", "1 row of table entities with timeline #, which no session has"),
        ("-", "1 row of table entity_versions with timeline #, which no session has"),
        ("pruned", "its timeline, number #, is another session's, too"),
        ("s", "its timeline, number #, is another session's, too"),
    ],
    f"UPDATE events SET sid = 99 WHERE sid = {LONG} AND ordinal = 150": [
        ("-", "1 row of table events with sid #, which no session has"),
        ("long", "event 150, which changed Text '1', is not in the log"),
        ("long", "the log ends at event 149, and the event cursor is 150"),
    ],
    f"UPDATE events SET digest = (SELECT digest FROM payload_types LIMIT 1) WHERE sid = {LONG} AND ordinal = 7": [
        ("long", "event 7 has a digest, as only a pruned event has"),
    ],
    "UPDATE events SET digest = (SELECT descriptors FROM payload_types LIMIT 1) WHERE digest IS NOT NULL": [
        ("pruned", "event 1 was pruned, and its digest is invalid"),
    ],
}


def said(run: Run, location: object, *arguments: object) -> list[tuple[str, str]]:
    """Return the sessions and problems that a check prints, without the numbers of rows."""
    ran = run("check", location, *arguments)
    assert (ran.status, ran.err) == (1, "")
    lines = [line.split(maxsplit=1) for line in ran.out.splitlines()[3:]]
    return [(who, re.sub(r"(with sid|with timeline|number) \d+", r"\1 #", what)) for who, what in lines]


@pytest.mark.parametrize("change", BY_HAND)
def test_what_a_change_by_hand_has_broken_between_tables_is_found(run: Run, store: Path, change: str) -> None:
    with closing(sqlite3.connect(store)) as db, db:
        assert db.execute(change).rowcount > 0
    assert unchanged(store, lambda: said(run, store)) == BY_HAND[change]
    assert [each for each in said(run, store, *APP) if each in BY_HAND[change]] == BY_HAND[change]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            "DROP INDEX events_by_id",
            "index events_by_id is missing; to create it again: CREATE UNIQUE INDEX events_by_id ON events "
            "(sid, event_id)",
        ),
        ("DROP TABLE discarded", "table discarded is missing"),
        ("ALTER TABLE entities DROP COLUMN depth", "column entities.depth is missing"),
    ],
)
def test_what_is_missing_of_the_tables_is_found(run: Run, store: Path, change: str, what: str) -> None:
    with closing(sqlite3.connect(store)) as db, db:
        db.execute(change)
    assert unchanged(store, lambda: said(run, store)) == [("-", what)]


def test_rows_are_compared_without_an_index_and_not_without_a_table(run: Run, store: Path) -> None:
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DROP INDEX entities_by_change")
        db.execute("DELETE FROM sessions WHERE session_id = 's'")
    found = [what for _, what in said(run, store)]
    assert found[0].startswith("index entities_by_change is missing; to create it again: CREATE INDEX")
    assert found[1] == "3 rows of table events with sid #, which no session has"
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("DROP TABLE events")
    found = [each["what"] for each in json.loads(run("check", store, "--json").out)["problems"]]
    assert "table events is missing" in found
    assert not [each for each in found if each.startswith("column events.")]
    assert not [each for each in found if "which no session has" in each]


def test_rows_that_are_still_to_be_removed_are_no_problem(
    run: Run, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        """Leave the rows, as a process that is killed does."""

    monkeypatch.setattr(Removal, "remove", nothing)
    with_store(store, lambda opened: opened.delete_session("long"))
    with closing(sqlite3.connect(store)) as db, db:
        left = {row[0] for row in db.execute("SELECT what FROM discarded")}
        assert left == {"session", "timeline"}
        db.execute("UPDATE discarded SET what = 'building' WHERE what = 'timeline'")
    assert "nothing is wrong" in run("check", store).out


@pytest.mark.parametrize("version", range(1, 5))
def test_a_good_file_of_an_earlier_version_has_no_problem(run: Run, tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as db:
        db.executescript((HYDRATION / f"version_{version}.sql").read_text("utf-8"))
    assert "nothing is wrong" in unchanged(tmp_path / "old.db", lambda: run("check", tmp_path / "old.db")).out


def test_a_damaged_index_is_found(run: Run, store: Path) -> None:
    with closing(sqlite3.connect(store)) as db:
        (event_id,) = db.execute(f"SELECT event_id FROM events WHERE sid = {LONG} AND ordinal = 3").fetchone()
    data, name = store.read_bytes(), event_id.encode()
    assert data.count(name) == 2  # the row, and the index of ids
    place = data.rindex(name)
    store.write_bytes(data[:place] + name[:-1] + b"~" + data[place + len(name) :])
    ran = run("check", store)
    assert ran.status == 1
    assert "events_by_id" in ran.out


def damaged(store: Path, page: int) -> None:
    """Overwrite a page, counted from 1."""
    data = bytearray(store.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    store.write_bytes(data)


def root(store: Path, name: str) -> int:
    with closing(sqlite3.connect(store)) as db:
        found = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    return int(found[0])


@pytest.mark.parametrize("name", ["events", "entity_versions", "entities_by_change"])
def test_a_damaged_file_is_checked_as_far_as_it_can_be_read(run: Run, store: Path, name: str) -> None:
    page = root(store, name)
    damaged(store, page)
    ran = unchanged(store, lambda: run("check", store, *APP, "--json"))
    assert (ran.status, ran.err) == (1, "")
    document = json.loads(ran.out)
    first = document["problems"][0]
    assert first["sessionId"] == ""
    assert f"age {page}" in first["what"]
    wrong = {each["sessionId"] for each in document["problems"]}
    every = {"s", "t", "long", "pruned", "deleted"}
    assert set(document["readable"]) == every - wrong
    assert wrong & every if name == "events" else document["readable"]
    assert (document["sessions"], document["compared"]) == (5, 0)
    assert "sessions of the damaged file in which nothing is wrong\n" in run("check", store).out


def test_one_leaf_of_a_file_is_damaged(run: Run, store: Path) -> None:
    with closing(sqlite3.connect(store)) as db:
        (payload,) = db.execute(f"SELECT event_id FROM events WHERE sid = {LONG} AND ordinal = 75").fetchone()
    damaged(store, store.read_bytes().index(payload.encode()) // 4096 + 1)
    document = json.loads(run("check", store, "--json").out)
    assert "long" in {each["sessionId"] for each in document["problems"]}
    assert set(document["readable"]) >= {"s", "t"}


@pytest.mark.parametrize(
    ("name", "found", "readable"),
    [
        ("meta", 0, []),
        ("sessions", 0, []),
        ("sqlite_autoindex_sessions_1", 5, []),
        ("sessions_by_change", 4, ["long", "pruned", "s", "t"]),  # without the deleted one
    ],
)
def test_a_file_whose_sessions_cannot_all_be_found_is_said_to_be_damaged(
    run: Run, store: Path, name: str, found: int, readable: list[str]
) -> None:
    damaged(store, root(store, name))
    ran = run("check", store, "--json")
    assert (ran.status, ran.err) == (1, "")
    document = json.loads(ran.out)
    assert [each for each in document["problems"] if "not all sessions can be found" in each["what"]]
    assert (document["sessions"], document["readable"]) == (found, readable)


def test_the_time_for_an_entity_grows_with_its_states(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states, asked, original = 400, 0, checking._kept
    write(file, *["word "] * states, session_id="streamed")

    def counted(state: StoredVersion) -> tuple[int, bytes | None]:
        nonlocal asked
        asked += 1
        return original(state)

    monkeypatch.setattr(checking, "_kept", counted)
    assert "nothing is wrong" in run("check", file).out
    assert 0 < asked <= states * (versions.KEYFRAME + 1)


def test_what_is_no_store_is_refused(run: Run, tmp_path: Path) -> None:
    ran = run("check", tmp_path / "none.db")
    assert (ran.status, ran.out) == (2, "")


def test_a_table_of_somebody_else_is_none_of_its_business(run: Run, file: Path) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute('CREATE TABLE "my-notes (old)" (x)')
    assert run("check", file).out.endswith("; nothing is wrong\n")
