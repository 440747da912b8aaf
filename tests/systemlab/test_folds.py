"""What browsers report they hold is held against what the store has, and every difference is named."""

from __future__ import annotations

import pytest

from sessionstream.systemlab import folds
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.folds import KEPT, Fold, Folds, converged, difference

A_NOTE: list[Json] = [["n", "text", True]]


def judged(*held: Fold, truths: dict[int, list[Json]] | None = None, told: int = 4, clients: int = 2) -> Check:
    return converged("c", "claim", held, truths or {4: A_NOTE}, epoch=7, told=told, clients=clients)


def fold(client: str, items: list[Json] = A_NOTE, *, ordinal: int = 4, epoch: int = 7, live: bool = True) -> Fold:
    return Fold(client, live, epoch, ordinal, items)


def test_two_clients_with_the_state_of_the_store_have_converged() -> None:
    assert judged(fold("A"), fold("B")).verdict == "passed"


def test_a_client_with_another_state_has_not_converged() -> None:
    wrong = judged(fold("A"), fold("B", [["n", "tex", True]]))
    assert (wrong.verdict, wrong.because) == (
        "failed",
        'B at 4: item 1 is ["n", "tex", true] and should be ["n", "text", true]',
    )


def test_a_disconnected_client_must_hold_an_earlier_state() -> None:
    truths: dict[int, list[Json]] = {2: [], 4: A_NOTE}
    assert judged(fold("A"), fold("B"), fold("C", [], ordinal=2, live=False), truths=truths).verdict == "passed"
    assert judged(fold("A"), fold("B"), fold("C", ordinal=2, live=False), truths=truths).verdict == "failed"


def test_it_waits_for_clients_that_are_behind_or_missing() -> None:
    assert judged().because == "2 live clients needed, and there are 0"
    assert judged(fold("A"), fold("B", live=False)).because == "2 live clients needed, and there are 1"
    assert judged(fold("A"), fold("B", [], epoch=6)).verdict == "waiting"
    behind = judged(fold("A"), fold("B"), told=5)
    assert (behind.verdict, behind.because) == ("waiting", "the latest event is 5; A is at 4, B is at 4")


def test_differences_are_told_in_words() -> None:
    assert difference([1, 2], [1, 2]) == ""
    assert difference([1], [1, 2]) == "there are 1 items and should be 2"
    assert difference(["x" * 200], ["y"]).endswith('... and should be "y"')


async def report(kept: Folds, client: str, epoch: str = "7") -> None:
    action = kept.action()
    await action.run(action.arguments({"client": client, "epoch": epoch, "items": "[1]"}))


async def test_the_latest_reports_are_kept_one_of_each_client() -> None:
    kept = Folds()
    assert kept.action().hidden
    for number in range(KEPT + 2):
        await report(kept, f"client-{number}")
    await report(kept, "client-2")
    assert len(kept.present(())) == KEPT
    assert kept.present(())[-1] == Fold("client-2", False, 7, 0, [1])
    await report(kept, "client-2", epoch="0")  # it holds nothing any more
    assert "client-2" not in {fold.client for fold in kept.present(())}


@pytest.mark.parametrize("items", ["", "{}", '["\\ud83d"]', "[NaN]", "[1e999]", "[" * 50_000])
async def test_a_report_that_could_not_be_shown_is_refused(items: str) -> None:
    kept = Folds()
    action = kept.action()
    with pytest.raises(BadRequest, match="items is a JSON array"):
        await action.run(action.arguments({"client": "A", "epoch": "7", "items": items}))
    assert kept.present(()) == ()


def test_each_client_has_a_row_in_the_table() -> None:
    rows = folds.fold_table([fold("A"), fold("B", [], live=False)], "nobody").rows
    assert rows == (("A", "live", 4, 1, '[["n", "text", true]]'), ("B", "away", 4, 0, "[]"))
