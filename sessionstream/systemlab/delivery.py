"""Checks of delivery: a snapshot, then every live event above it, once and in order, and only committed events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sessionstream.systemlab.checks import Check, Json, count, judge
from sessionstream.systemlab.conversations import Conversation, Conversations, Frame
from sessionstream.systemlab.ledger import Batch, Ledger

SHOWN: Final = 12
"""The maximum number of hydrations that are shown as evidence; the latest are shown."""

_NAMED: Final = 3
"""The maximum number of faults of a kind that are described."""

_NOBODY: Final = "no client has subscribed yet"
_NO_LIVE: Final = "no live event has been received yet"


@dataclass(frozen=True, slots=True)
class Hydration:
    """A snapshot on a connection and the live events after it, up to the next snapshot or the end.

    Attributes:
        client: the name of the client.
        snapshot: None for live events that had no snapshot before them.
        live: the live events after it, in order.
        settled: whether all events so far must have arrived; otherwise the last ones may still be in transit.
    """

    client: str
    snapshot: Frame | None
    live: tuple[Frame, ...] = ()
    settled: bool = False

    def to_json(self) -> Json:
        """Return the hydration as evidence of a check."""
        shown: dict[str, Json] = {"client": self.client}
        if self.snapshot is not None:
            shown["snapshot"] = self.snapshot.ordinal
            shown["delta since" if self.snapshot.since else "entities"] = self.snapshot.since or self.snapshot.entities
        shown["live"] = runs([frame.ordinal for frame in self.live])
        return shown


def hydrations(conversations: Conversations, session_id: str, waiting: Iterable[str] = ()) -> list[Hydration]:
    """Return every hydration of a session, connection by connection.

    Args:
        waiting: ids of the connections whose frames wait in the server.
    """
    busy = set(waiting)
    found: list[Hydration] = []
    for conversation in conversations:
        settled = (
            conversation.open
            and conversation.connection_id not in busy
            and not conversations.hydrating(conversation, session_id)
        )
        found += _of(conversation, session_id, settled)
    return found


def _of(conversation: Conversation, session_id: str, settled: bool) -> list[Hydration]:
    parts: list[tuple[Frame | None, list[Frame]]] = []
    subscribed = False
    for frame in conversation.frames:
        if frame.by != "server" or frame.session_id != session_id:
            continue
        match frame.kind:
            case "snapshot":
                parts.append((frame, []))
                subscribed = True
            case "uiEvent":
                if not subscribed:
                    parts.append((None, []))
                    subscribed = True
                parts[-1][1].append(frame)
            case "unsubscribed":
                subscribed = False
    return [
        Hydration(conversation.client, snapshot, tuple(live), settled and subscribed and number == len(parts))
        for number, (snapshot, live) in enumerate(parts, start=1)
    ]


def runs(ordinals: Sequence[int]) -> str:
    """Return ordinals as text in the given order; consecutive ones are joined to a range.

    >>> runs([1, 2, 3, 5, 4])
    '1-3, 5, 4'
    """
    parts: list[list[int]] = []
    for ordinal in ordinals:
        if parts and ordinal == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], ordinal]
        else:
            parts.append([ordinal])
    return ", ".join("-".join(map(str, part)) for part in parts)


def few(faults: Sequence[str]) -> list[str]:
    """Return the first faults, and the number of further ones."""
    more = len(faults) - _NAMED
    return [*faults[:_NAMED], *([f"and {more} more"] if more > 0 else [])]


# -- the checks ------------------------------------------------------------------------------------------------------


def snapshot_first(heard: Sequence[Hydration]) -> Check:
    """Check that every subscription began with a snapshot."""
    wrong = [f"{h.client} received {h.live[0].ordinal} before any snapshot" for h in heard if h.snapshot is None]
    return judge(
        "snapshot-first",
        "A subscriber receives its snapshot before any live event.",
        wrong=few(wrong),
        right=f"{count(len(heard), 'snapshot')}, each before its live events",
        evidence=_shown(heard),
        waiting="" if heard else _NOBODY,
    )


def in_order(heard: Sequence[Hydration]) -> Check:
    """Check that the ordinals of live events are above that of the snapshot, and rise."""
    wrong: list[str] = []
    for h in heard:
        floor = h.snapshot.ordinal if h.snapshot else 0
        wrong += [f"{h.client} received {f.ordinal} live after snapshot {floor}" for f in h.live if f.ordinal <= floor]
        wrong += [
            f"{h.client} received {after.ordinal} after {before.ordinal}"
            for before, after in pairwise(h.live)
            if after.ordinal < before.ordinal
        ]
    return judge(
        "in-order",
        "Live events are above the snapshot, and their ordinals only rise.",
        wrong=few(wrong),
        right=f"{count(_live(heard), 'live event')}, each above the one before it",
        evidence=_shown(heard),
        waiting="" if _live(heard) else _NO_LIVE,
    )


def none_missing(heard: Sequence[Hydration], batches: Sequence[Batch]) -> Check:
    """Check that every subscriber received all events above its snapshot."""
    wrong: list[str] = []
    for h in heard:
        if h.snapshot is None:
            continue
        ordinals = {frame.ordinal for frame in h.live}
        until = max(ordinals, default=0)
        due = [b.ordinal for b in batches if b.ordinal > h.snapshot.ordinal and (h.settled or b.ordinal < until)]
        if missing := [ordinal for ordinal in due if ordinal not in ordinals]:
            wrong.append(f"{h.client}, with a snapshot at {h.snapshot.ordinal}, never received {runs(missing)}")
    return judge(
        "none-missing",
        "None is missing: a subscriber receives every event above its snapshot.",
        wrong=few(wrong),
        right=f"{count(_live(heard), 'live event')} received, without a gap",
        evidence=_told(heard, batches),
        waiting="" if _live(heard) else _NO_LIVE,
    )


def none_twice(heard: Sequence[Hydration], batches: Sequence[Batch]) -> Check:
    """Check that no client received an event more often than the hub sent it."""
    told = {batch.ordinal: len(batch.events) for batch in batches}
    wrong = [
        f"{h.client} received {ordinal} {count(times, 'time')}, and it was sent {count(told[ordinal], 'time')}"
        for h in heard
        for ordinal, times in Counter(frame.ordinal for frame in h.live).items()
        if times > told.get(ordinal, times)
    ]
    return judge(
        "none-twice",
        "None arrives twice, whatever happened while the snapshot loaded.",
        wrong=few(wrong),
        right=f"{count(_live(heard), 'live event')} received, each as often as it was sent",
        evidence=_told(heard, batches),
        waiting="" if _live(heard) else _NO_LIVE,
    )


def true_first(heard: Sequence[Hydration]) -> Check:
    """Check that no event was sent before its commit."""
    wrong = [
        f"{h.client} was sent {frame.ordinal} when {frame.told} was the latest committed event"
        for h in heard
        for frame in h.live
        if frame.ordinal > frame.told
    ]
    return judge(
        "true-first",
        "No client is sent an event before it is committed.",
        wrong=few(wrong),
        right=f"{count(_live(heard), 'live event')} sent after the commit",
        evidence=_shown(heard),
        waiting="" if _live(heard) else _NO_LIVE,
    )


def one_epoch(conversations: Iterable[Conversation], session_id: str, ledger: Ledger) -> Check:
    """Check that deltas were sent only to clients that held the epoch of the session."""
    wrong: list[str] = []
    shown: list[Json] = []
    for conversation in conversations:
        held = 0
        for frame in conversation.frames:
            if frame.session_id != session_id or frame.kind not in ("subscribe", "snapshot"):
                continue
            if frame.kind == "snapshot" and frame.since:
                delta = f"{conversation.client} got the changes from {frame.since} to {frame.ordinal}"
                shown.append(
                    {
                        "client": conversation.client,
                        "since": frame.since,
                        "to": frame.ordinal,
                        "epoch": str(frame.epoch),
                        "held": str(held),
                    }
                )
                if frame.epoch != held:
                    wrong.append(f"{delta} of epoch {frame.epoch}, and holds {held}")
                elif ledger.ended(session_id, frame.epoch, frame.asked):
                    wrong.append(f"{delta} of epoch {frame.epoch}, which had ended")
            held = frame.epoch
    return judge(
        "one-epoch",
        "A client receives a delta if it holds the current epoch, and otherwise a full snapshot.",
        wrong=few(wrong),
        right=f"{count(len(shown), 'delta')}, each within the epoch of the client and of the session",
        evidence=shown[-SHOWN:],
        waiting="" if shown else "no client that holds a snapshot has reconnected yet",
    )


def _live(heard: Sequence[Hydration]) -> int:
    return sum(len(h.live) for h in heard)


def _shown(heard: Sequence[Hydration]) -> Json:
    return [h.to_json() for h in heard[-SHOWN:]]


def _told(heard: Sequence[Hydration], batches: Sequence[Batch]) -> Json:
    return {"told": runs([batch.ordinal for batch in batches]), "heard": _shown(heard)}
