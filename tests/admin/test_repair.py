"""``sessionstream retry``, ``rebuild`` and ``prune``, and their dry runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionstream import Cursors, HydrationStore, Snapshot
from tests.hub.support import texts

from .app import BROKEN, LIVE, with_store, write
from .conftest import Run

APP = ("--app", "tests.admin.app:make")


def cursors(file: Path, session_id: str) -> Cursors:
    return with_store(file, lambda store: store.cursors(session_id))


def snapshot(file: Path, session_id: str, **question: int) -> Snapshot:
    return with_store(file, lambda store: store.snapshot(session_id, **question))


def everything(file: Path) -> object:
    """All that a file says, and the files beside it."""

    async def ask(store: HydrationStore) -> list[object]:
        found: list[object] = [await store.error_records()]
        for session_id in await store.sessions():
            found += [
                await store.cursors(session_id),
                await store.events(session_id),
                await store.timeline(session_id),
            ]
        return found

    return with_store(file, ask)


def unchanged(file: Path, work: Callable[[], Any]) -> Any:
    before = {each.name: each.read_bytes() for each in file.parent.iterdir()}
    done = work()
    assert {each.name: each.read_bytes() for each in file.parent.iterdir()} == before
    return done


# -- retry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", ["make", "make_async"])
def test_a_retry_applies_what_waits_and_fans_it_out(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    live = file.parent / "live"
    monkeypatch.setenv(LIVE, str(live))
    ran = run("retry", file, "t", "--app", f"tests.admin.app:{factory}")
    assert ran.status == 0
    assert ran.out == f"retried t: 2 events applied, the timeline is at 3, epoch {cursors(file, 't').epoch}\n"
    assert texts(snapshot(file, "t")) == {"1": "xbady"}
    assert live.read_text().splitlines() == ["t 2 1", "t 3 1"]
    again = run("retry", file, "t", *APP, "--json").document
    assert (again["events"], again["cursor"], again["dryRun"]) == (0, "3", False)


def test_a_retry_that_still_fails_says_of_what(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BROKEN, "y")
    ran = run("retry", file, "t", *APP)
    assert (ran.status, ran.out) == (1, "")
    assert "timeline y" in ran.err
    assert cursors(file, "t").timeline == 2


def test_the_dry_run_of_a_retry(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = file.parent / "live"
    monkeypatch.setenv(LIVE, str(live))
    document = unchanged(file, lambda: run("retry", file, "t", *APP, "--dry-run", "--json")).document
    assert (document["dryRun"], document["events"], document["cursor"]) == (True, 2, "3")
    (change,) = document["differences"]
    assert (change["change"], change["kind"], change["id"]) == ("changed", "Text", "1")
    assert (change["before"]["payload"], change["after"]["payload"]) == ({"text": "x"}, {"text": "xbady"})
    assert (change["after"]["createdOrdinal"], change["after"]["lastEventOrdinal"]) == ("1", "3")
    assert not live.exists()
    assert cursors(file, "t").held
    ran = unchanged(file, lambda: run("retry", file, "t", *APP, "--dry-run"))
    assert ran.lines == [
        ["retry t, dry run: 2 events would be applied, the timeline would be at 3; 1 entity would differ"],
        [],
        ["CHANGE", "KIND", "ID", "IS", "WOULD BE"],
        ["changed", "Text", "1", '1-1 {"text":"x"}', '1-3 {"text":"xbady"}'],
    ]


def test_the_dry_run_does_what_the_retry_does(run: Run, file: Path) -> None:
    with_store(file, lambda store: store.prune("t", before=1))
    document = run("retry", file, "t", *APP, "--dry-run", "--json").document
    run("retry", file, "t", *APP)
    (entity,) = run("inspect", file, "--session", "t", "--json").document["timeline"]["entities"]
    assert document["differences"][0]["after"] == {
        key: value for key, value in entity.items() if key not in ("kind", "id")
    }


def test_the_dry_run_where_nothing_waits(run: Run, file: Path) -> None:
    document = run("retry", file, "s", *APP, "--dry-run", "--json").document
    assert (document["events"], document["cursor"], document["differences"]) == (0, "3", [])


def test_the_dry_run_of_a_retry_that_fails(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BROKEN, "bad")
    ran = unchanged(file, lambda: run("retry", file, "t", *APP, "--dry-run"))
    assert (ran.status, ran.out) == (1, "")
    assert "timeline bad" in ran.err


# -- rebuild -----------------------------------------------------------------------------------------------


def test_a_rebuild_replaces_the_timeline_in_a_new_epoch(run: Run, file: Path) -> None:
    before = cursors(file, "t")
    document = run("rebuild", file, "t", *APP, "--json").document
    after = cursors(file, "t")
    assert document == {
        "store": str(file),
        "command": "rebuild",
        "sessionId": "t",
        "dryRun": False,
        "events": 3,
        "cursor": "3",
        "epoch": str(after.epoch),
    }
    assert after.epoch != before.epoch
    assert texts(snapshot(file, "t")) == {"1": "xbady"}


def test_the_dry_run_of_a_rebuild_with_equal_projections_differs_nowhere(run: Run, file: Path) -> None:
    before = everything(file)
    document = unchanged(file, lambda: run("rebuild", file, "s", *APP, "--dry-run", "--json")).document
    assert (document["events"], document["cursor"], document["differences"]) == (3, "3", [])
    assert everything(file) == before


def test_the_dry_run_of_a_rebuild_says_what_would_differ(run: Run, file: Path) -> None:
    found = run("rebuild", file, "s", "--app", "tests.admin.app:make_renaming", "--dry-run", "--json").document
    assert [(each["change"], each["id"]) for each in found["differences"]] == [("removed", "1"), ("added", "renamed")]
    removed, added = found["differences"]
    assert (removed["before"]["payload"], removed["after"]) == ({"text": "abc"}, None)
    assert (added["before"], added["after"]["payload"]) == (None, {"text": "abc"})
    run("rebuild", file, "s", "--app", "tests.admin.app:make_renaming")
    assert texts(snapshot(file, "s")) == {"renamed": "abc"}


def test_an_entity_that_the_app_cannot_read_any_more_would_be_removed(run: Run, file: Path) -> None:
    app = ("--app", "tests.admin.app:make_without_entities")
    (found,) = run("rebuild", file, "s", *app, "--dry-run", "--json").document["differences"]
    assert found["change"] == "removed"
    assert "does not register" in found["before"]["unreadable"]


@pytest.mark.parametrize("command", ["retry", "rebuild"])
@pytest.mark.parametrize("app", ["make", "make_renaming", "make_without_entities", "make_without_events"])
def test_a_dry_run_ends_as_what_it_rehearses(run: Run, file: Path, command: str, app: str) -> None:
    with_store(file, lambda store: store.delete_session("s"))
    for session_id in ("t", "s"):
        arguments = (command, file, session_id, "--app", f"tests.admin.app:{app}")
        rehearsed = unchanged(file, lambda words=(*arguments, "--dry-run", "--json"): run(*words))  # type: ignore[misc]
        done = run(*arguments, "--json")
        assert (rehearsed.status, rehearsed.err) == (done.status, done.err)
        if done.status == 0:
            for key in ("events", "cursor"):
                assert rehearsed.document[key] == done.document[key]


def test_what_not_even_the_file_s_own_schema_reads_is_not_rehearsed(run: Run, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE events SET payload = x'ff'")
    ran = unchanged(file, lambda: run("retry", file, "t", *APP, "--dry-run"))
    assert (ran.status, ran.out) == (1, "")
    assert "session 't' has a payload that cannot be copied: DecodeError" in ran.err


def test_the_dry_run_of_a_session_that_began_above_one(run: Run, file: Path) -> None:
    with_store(file, lambda store: store.delete_session("s"))
    write(file, "again", session_id="s")
    document = run("rebuild", file, "s", *APP, "--dry-run", "--json").document
    assert (document["events"], document["cursor"], document["differences"]) == (1, "4", [])


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_is_pruned_cannot_be_rebuilt(run: Run, file: Path, dry: list[str]) -> None:
    with_store(file, lambda store: store.prune("s", before=2))
    ran = run("rebuild", file, "s", *APP, *dry)
    assert (ran.status, ran.out) == (1, "")
    assert "keeps its history from ordinal 2 on; its first events are pruned, so it cannot be rebuilt" in ran.err


# -- the app -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("nothing", "--app is module:function, not 'nothing'"),
        ("no.such.module:make", "ModuleNotFoundError"),
        ("tests.admin.app:no_such", "AttributeError"),
        ("tests.admin.app:ready", "is a hub, which has a store already"),
        ("tests.admin.app:not_callable", "is a str"),
        ("tests.admin.app:make_nothing", "returned a NoneType"),
        ("tests.admin.app:make_failing", "LookupError: no settings"),
        ("tests.admin.app:make_on_its_registry", "make the hub with the SchemaRegistry"),
        ("tests.admin.app:make_elsewhere", "not on the store that its function was given"),
        ("tests.admin.app:make_without_projections", "has no projections, so the events would be taken for applied"),
    ],
)
def test_an_app_that_cannot_be_used_is_refused(run: Run, file: Path, app: str, words: str, dry: list[str]) -> None:
    before = everything(file)
    ran = run("retry", file, "t", "--app", app, *dry)
    assert (ran.status, ran.out) == (2, "")
    assert words in ran.err
    assert everything(file) == before


def test_an_app_that_reads_the_store_before_there_is_a_hub_is_refused(run: Run, file: Path) -> None:
    ran = run("retry", file, "t", "--app", "tests.admin.app:make_early")
    assert (ran.status, ran.out) == (2, "")
    assert "before the function of --app has returned its hub" in ran.err


def test_what_the_app_raises_elsewhere_is_no_traceback(run: Run, file: Path) -> None:
    for dry in ([], ["--dry-run"]):
        ran = run("retry", file, "t", "--app", "tests.admin.app:make_without_metadata", *dry)
        assert (ran.status, ran.out) == (1, "")
        assert "LookupError: no metadata" in ran.err


def test_a_file_that_can_be_read_and_not_opened_is_refused(run: Run, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("DROP TABLE discarded")
    assert run("inspect", file).status == 0
    ran = unchanged(file, lambda: run("retry", file, "t", *APP))
    assert (ran.status, ran.out) == (2, "")
    assert "lacks the table discarded" in ran.err


@pytest.mark.parametrize("command", ["retry", "rebuild"])
def test_a_session_that_is_not_there_is_not_begun(run: Run, file: Path, command: str) -> None:
    ran = unchanged(file, lambda: run(command, file, "nobody", *APP))
    assert (ran.status, ran.out) == (1, "")
    assert "no session 'nobody'" in ran.err


# -- prune -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "floor", "events"),
    [
        (["--before", "3"], 3, 2),
        (["--before", str(2**64 - 1)], 3, 2),
        (["--keep-events", "2"], 2, 1),
        (["--keep-events", "0"], 3, 2),
        (["--keep-events", "9"], 0, 0),
        (["--before", "0"], 0, 0),
        (["--before", "1"], 0, 0),
        (["--keep-events", "3"], 0, 0),
    ],
)
def test_pruning_and_its_dry_run(run: Run, file: Path, arguments: list[str], floor: int, events: int) -> None:
    planned = unchanged(file, lambda: run("prune", file, "s", *arguments, "--dry-run", "--json")).document
    assert planned == {
        "store": str(file),
        "command": "prune",
        "sessionId": "s",
        "dryRun": True,
        "events": events,
        "floorBefore": "0",
        "floor": str(floor),
    }
    present = snapshot(file, "s")
    assert run("prune", file, "s", *arguments, "--json").document == planned | {"dryRun": False}
    assert cursors(file, "s").floor == floor
    assert len(run("inspect", file, "--session", "s", "--events", "--json").document["events"]) == 3 - events
    assert snapshot(file, "s") == present


def test_held_events_are_never_pruned(run: Run, file: Path) -> None:
    for asked in (["--keep-events", 0], ["--before", 9]):
        ran = run("prune", file, "t", *asked)
        assert (ran.status, ran.out) == (0, "prune t: nothing to forget, the floor is 0\n")
    assert run("retry", file, "t", *APP).status == 0
    assert texts(snapshot(file, "t")) == {"1": "xbady"}
    assert run("rebuild", file, "t", *APP).status == 0  # which needs every event


# -- ids that begin with a dash ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["inspect", "--session", "-dash"], "a value that begins with a dash is written --session=-…"),
        (["delete", "-dash"], "an id that begins with a dash stands last, after --"),
        (["retry", "-dash", *APP], "an id that begins with a dash stands last, after --"),
    ],
)
def test_an_id_that_begins_with_a_dash_is_taken_as_the_message_says(
    run: Run, file: Path, capsys: pytest.CaptureFixture[str], typed: list[str], said: str
) -> None:
    write(file, "a", session_id="-dash")
    command, *arguments = typed
    with pytest.raises(SystemExit):
        run(command, file, *arguments)
    assert said in capsys.readouterr().err
    if command == "inspect":
        assert run("inspect", file, "--session=-dash").out.startswith("session -dash")
    else:
        others = [each for each in arguments if each != "-dash"]
        assert run(command, file, *others, "--", "-dash").out.split(":")[0] in ("deleted -dash", "retried -dash")
