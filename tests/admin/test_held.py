"""``inspect --held`` and ``retry --held``, and ``delete``: what an operator does with the sessions that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream import SQLiteStore
from tests.hub.support import texts

from .app import BROKEN, LIVE, with_store, write
from .conftest import Run
from .test_repair import APP, cursors, snapshot, unchanged


@pytest.fixture
def held(file: Path) -> Path:
    """The file with two held sessions, ``t`` and ``u``, and one that is not."""
    write(file, "worse", "z", session_id="u", broken=["worse"])
    return file


def test_inspect_lists_the_held_sessions_alone(run: Run, held: Path) -> None:
    document = unchanged(held, lambda: run("inspect", held, "--held", "--json")).document
    assert [(each["sessionId"], each["waiting"]) for each in document["sessions"]] == [("t", 2), ("u", 2)]


def test_no_session_is_held(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fine.db"
    write(path, "a")
    assert run("inspect", path, "--held").out == f"no held sessions in {path}\n"
    assert run("retry", path, "--held", *APP).out == f"no held sessions in {path}\n"
    assert run("retry", path, "--held", *APP, "--json").document["sessions"] == []


def test_every_held_session_is_resumed_and_fanned_out(run: Run, held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = held.parent / "live"
    monkeypatch.setenv(LIVE, str(live))
    assert run("retry", held, "--held", *APP).lines == [
        ["retried 2 sessions: 2 resumed, 0 still held"],
        [],
        ["SESSION", "APPLIED", "TIMELINE", "STILL HELD"],
        ["t", "2", "3", "-"],
        ["u", "2", "2", "-"],
    ]
    assert texts(snapshot(held, "t")) == {"1": "xbady"}
    assert live.read_text().splitlines() == ["t 2 1", "t 3 1", "u 1 1", "u 2 1"]


def test_one_that_still_fails_does_not_keep_the_others_from_resuming(
    run: Run, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKEN, "bad")
    ran = run("retry", held, "--held", *APP)
    assert (ran.status, ran.err) == (1, "")
    assert "retried 2 sessions: 1 resumed, 1 still held" in ran.out
    assert "timeline bad" in ran.out
    assert cursors(held, "t").held
    assert not cursors(held, "u").held


@pytest.mark.parametrize(
    "arguments",
    [
        ["FILE", *APP, "t"],
        [*APP, "FILE", "t"],
        ["FILE", "--json", "t", *APP],
        ["FILE", *APP, "--", "t"],
    ],
)
def test_the_session_may_stand_after_options(run: Run, held: Path, arguments: list[str]) -> None:
    ran = run("retry", *(held if each == "FILE" else each for each in arguments))
    assert (ran.status, ran.err) == (0, "")
    assert not cursors(held, "t").held
    assert cursors(held, "u").held


@pytest.mark.parametrize("more", [["u"], ["--unknown"], ["--", "u", "v"]])
def test_what_is_left_over_is_refused(
    run: Run, held: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("retry", held, "t", *APP, *more)
    err = capsys.readouterr().err
    assert f"unrecognized arguments: {more[-1]}" in err.replace("u v", "v")
    assert err.startswith("usage: sessionstream retry [-h]")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["retry", "FILE", *APP], "name it, or take --held"),
        (["retry", "FILE", "t", "--held", *APP], "leave out the session"),
        (["retry", "FILE", "--held", "--dry-run", *APP], "--dry-run is of one session"),
        (["inspect", "FILE", "--held", "--session", "t"], "leave out --session"),
        (["inspect", "FILE", "--held", "--errors"], "leave out --session and --errors"),
    ],
)
def test_what_does_not_go_together_is_refused(run: Run, held: Path, arguments: list[str], words: str) -> None:
    ran = unchanged(held, lambda: run(*(held if each == "FILE" else each for each in arguments)))
    assert (ran.status, ran.out) == (2, "")
    assert words in ran.err


def test_a_session_is_deleted_and_its_dry_run_changes_nothing(run: Run, held: Path) -> None:
    ran = unchanged(held, lambda: run("delete", held, "t", "--dry-run"))
    assert ran.out == "delete t, dry run: 3 events and 1 entity would be removed\n"
    assert run("delete", held, "t").out == "deleted t: 3 events and 1 entity removed\n"
    assert [each["sessionId"] for each in run("inspect", held, "--json").document["sessions"]] == ["s", "u"]
    assert run("inspect", held, "--errors", "--session", "t", "--json").document["errors"] == []
    assert run("delete", held, "t").out == "deleted t: 0 events and 0 entities removed\n"
    nobody = run("delete", held, "nobody")
    assert (nobody.status, nobody.out) == (1, "")
    assert "no session 'nobody'" in nobody.err


def test_what_a_deletion_says_as_json(run: Run, held: Path) -> None:
    assert run("delete", held, "s", "--json").document == {
        "store": str(held),
        "command": "delete",
        "sessionId": "s",
        "dryRun": False,
        "events": 3,
        "entities": 1,
    }


def test_a_session_that_changed_since_it_was_looked_at_is_not_deleted(
    run: Run, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looked_at_before(self: SQLiteStore, session_id: str, *, expected: object) -> None:
        assert expected != earlier
        await original(self, session_id, expected=earlier)

    earlier, original = cursors(held, "s"), SQLiteStore.delete_session
    write(held, "later")
    monkeypatch.setattr(SQLiteStore, "delete_session", looked_at_before)
    ran = run("delete", held, "s")
    assert (ran.status, ran.out) == (1, "")
    assert "'s'" in ran.err
    assert cursors(held, "s").event == 4


def test_progress_is_for_terminals(run: Run, held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run("retry", held, "--held", *APP).err == "\r1 of 2 sessions\r2 of 2 sessions\n"


def test_nothing_else_is_touched(run: Run, held: Path) -> None:
    before = with_store(held, lambda store: store.timeline("s"))
    run("retry", held, "--held", *APP)
    run("delete", held, "t")
    assert with_store(held, lambda store: store.timeline("s")) == before
