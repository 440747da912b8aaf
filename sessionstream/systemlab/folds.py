"""States that browsers compute from snapshots and live events and report, compared with the store."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sessionstream.serving.bodies import decoded
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field
from sessionstream.systemlab.checks import Check, Json, count, judge
from sessionstream.systemlab.delivery import few
from sessionstream.systemlab.panels import Table

KEPT: Final = 12
"""How many clients' reports are kept; the one that was updated least recently is removed first."""

LONGEST: Final = 200_000
"""The longest report, in characters."""


@dataclass(frozen=True, slots=True)
class Fold:
    """The state that one client reports.

    Attributes:
        client: its name.
        live: whether it is connected and subscribed.
        epoch: of its snapshot.
        ordinal: of the last event that it received.
        items: the items of its state, in order.
    """

    client: str
    live: bool
    epoch: int
    ordinal: int
    items: list[Json]


class Folds:
    """The latest report of each client."""

    def __init__(self) -> None:
        self._folds: dict[str, Fold] = {}

    def present(self, watching: Collection[str]) -> tuple[Fold, ...]:
        """Return them, the latest last; a client that does not watch at the moment is not live.

        Args:
            watching: the names of the connected and subscribed clients.
        """
        return tuple(replace(fold, live=fold.live and fold.client in watching) for fold in self._folds.values())

    def action(self) -> Action:
        """Return the action with which a page reports its state."""
        return Action(
            "report",
            "Report the state of a client",
            self._report,
            (
                Field("client", "Client", "", longest=32),
                Field("live", "Live", False),
                Field("epoch", "Epoch", "0", longest=20, hint="0: it holds nothing."),
                Field("ordinal", "Ordinal", 0, maximum=2**53),
                Field("items", "Items", "[]", longest=LONGEST),
            ),
            hidden=True,
        )

    async def _report(self, arguments: Arguments) -> None:
        client, epoch = arguments.text("client"), arguments.text("epoch")
        try:
            items = decoded(arguments.text("items"))
        except ValueError as error:
            raise BadRequest(f"items is a JSON array: {error}") from error
        if not isinstance(items, list):
            raise BadRequest("items is a JSON array")
        if not (epoch.isascii() and epoch.isdigit()):
            raise BadRequest("epoch is a number, as text")
        self._folds.pop(client, None)
        if int(epoch):
            self._folds[client] = Fold(client, arguments.flag("live"), int(epoch), arguments.number("ordinal"), items)
        while len(self._folds) > KEPT:
            del self._folds[next(iter(self._folds))]


def converged(
    id: str,  # noqa: A002 - as the attribute is called
    claim: str,
    folds: Sequence[Fold],
    truths: Mapping[int, list[Json]],
    *,
    epoch: int,
    told: int,
    clients: int,
) -> Check:
    """Return the check that the states of browsers equal that of the store.

    Args:
        id: as ``Check.id``.
        claim: as ``Check.claim``.
        folds: their reports.
        truths: the timeline, in the form of their items, at each reported ordinal.
        epoch: the current epoch of the session.
        told: the ordinal of the latest event that was sent to live clients.
        clients: the number of live clients that the check needs.
    """
    current = [fold for fold in folds if fold.epoch == epoch]
    wrong = [
        f"{fold.client} at {fold.ordinal}: {fault}"
        for fold in current
        if (fault := difference(fold.items, truths[fold.ordinal]))
    ]
    live = [fold for fold in current if fold.live]
    behind = [f"{fold.client} is at {fold.ordinal}" for fold in live if fold.ordinal < told]
    waiting = ""
    if len(live) < clients:
        waiting = f"{count(clients, 'live client')} needed, and there are {len(live)}"
    elif behind:
        waiting = f"the latest event is {told}; {', '.join(behind)}"
    evidence: list[Json] = [
        {
            "client": fold.client,
            "live": fold.live,
            "ordinal": fold.ordinal,
            "holds": fold.items,
            "timeline": truths[fold.ordinal],
        }
        for fold in current
    ]
    right = f"{count(len(current), 'client')} with the state of the store, {len(live)} live and up to {told}"
    return judge(id, claim, wrong=few(wrong), right=right, evidence=evidence, waiting=waiting)


def difference(items: Sequence[Json], truth: Sequence[Json]) -> str:
    """Describe the first difference of items from the expected ones; empty if there is none."""
    for number, (item, right) in enumerate(zip(items, truth, strict=False), start=1):
        if item != right:
            return f"item {number} is {_short(item)} and should be {_short(right)}"
    return "" if len(items) == len(truth) else f"there are {len(items)} items and should be {len(truth)}"


def fold_table(folds: Sequence[Fold], empty: str) -> Table:
    """Return the states of clients as a table."""
    rows = tuple(
        (fold.client, "live" if fold.live else "away", fold.ordinal, len(fold.items), _text(fold.items))
        for fold in folds
    )
    return Table("folds", "State of the browsers", ("Client", "State", "Ordinal", "Items", "Folded"), rows, empty)


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(value: Json) -> str:
    text = _text(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
