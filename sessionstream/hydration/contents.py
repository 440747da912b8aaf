"""What a session holds in a durable store, as a stream, and a fingerprint of it: for copies from one store to another.

Two sessions with equal contents answer every question alike. A session is read in pages, so that a large one is never
in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from sessionstream.hydration.rules import storable_record
from sessionstream.hydration.stored import (
    PayloadType,
    PrunedEvent,
    StoredClaim,
    StoredError,
    StoredEvent,
    StoredPayload,
    StoredVersion,
)
from sessionstream.store import Cursors

if TYPE_CHECKING:
    from sessionstream.hydration.stored import StoredState

T = TypeVar("T")
K = TypeVar("K")

Content: TypeAlias = Cursors | PrunedEvent | StoredEvent | StoredVersion | StoredClaim | StoredError
"""A part of a session. Cursors come first; a session that was never used has none."""

PAGE_BYTES: Final = 1_000_000
"""Bytes that a page of a session has, about."""

PAGE_ROWS: Final = 1_000
"""Rows that a page has at most."""

_FIRST_PAGE: Final = 32
_GROWTH: Final = 4
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class NotCopied(Exception):  # internal: becomes a line of a report
    """A session cannot be copied. The message says why, and what to do."""


class Fingerprint(NamedTuple):
    """Digests of the contents of a session (SHA-256): of the times in it, and of all else.

    ``times`` is empty if the store has not kept some of them.
    """

    contents: bytes
    times: bytes

    def agrees(self, other: Fingerprint) -> bool:
        """Whether both are of equal contents. Times are compared only where both stores keep them."""
        return self.contents == other.contents and (self.times == other.times or b"" in (self.times, other.times))


def session_ids(state: StoredState) -> list[str]:
    """Return the ids of all sessions that a store knows, the most recently changed last.

    ``""``, for the error records without a session, and sessions with nothing but keys or error records come first.
    """
    used = state.used_sessions()
    known = set(used)
    without = [""] if state.session("") is not None else []
    return without + [each for each in state.sessions() if each not in known] + used


def contents(state: StoredState, session_id: str) -> Iterator[Content]:
    """Yield what a session holds, in a fixed order; nothing if the store does not know it.

    Stored times never decrease, neither from event to event nor from error record to error record: where they do so in
    a file of an early version, the earlier time is taken for the later one too. Texts of error records are such as
    every store can keep.

    Raises:
        StoreError: a part of it is damaged.
    """
    session = state.session(session_id)
    if session is None:
        return
    if session.cursors != Cursors(0, 0, state.first_epoch):
        yield session.cursors
        yield from _paged(lambda after, limit: state.pruned_events(session_id, after=after, limit=limit), _ordinal, 0)
        yield from _rising(_paged(lambda n, limit: state.events(session_id, after=n, limit=limit), _ordinal, 0))
        yield from _paged(lambda key, limit: state.versions(session_id, after=key, limit=limit), _place, ("", "", 0))
    yield from _paged(lambda key, limit: state.claims(session_id, after=key, limit=limit), _key, "")
    latest = None
    for error in _paged(lambda n, limit: state.numbered_errors(session_id, after=n, limit=limit), _number, None):
        record = storable_record(error.record)
        if latest is not None and record.recorded_at is not None:
            record = replace(record, recorded_at=max(latest, record.recorded_at))
        latest = record.recorded_at
        yield StoredError(error.number, record)


class Fingerprinting:
    """Makes the fingerprint of contents that are added one by one, in their order."""

    def __init__(self) -> None:
        self._contents = sha256()
        self._times = sha256()
        self._complete = True
        self._types: dict[int, bytes] = {}

    def add(self, content: Content) -> None:
        """Add the next part.

        Raises:
            NotCopied: the store does not know the type of a payload.
        """
        match content:
            case Cursors():
                self._add(b"C", content.event, content.timeline, content.epoch, content.floor)
            case PrunedEvent():
                self._add(b"P", content.ordinal, content.event_id, self._type(content.type), content.digest)
                self._time(content.recorded_at)
            case StoredEvent():
                place = (content.ordinal, content.event_id, content.name)
                self._add(b"E", *place, *self._payload(content.payload), *_flat(content.metadata))
                self._time(content.recorded_at)
            case StoredVersion():
                ordinals = (content.created_ordinal, content.last_event_ordinal, content.superseded_ordinal or 0)
                payload = self._payload(content.payload)
                self._add(b"V", content.kind, content.id, *ordinals, content.encoding, *payload)
            case StoredClaim():
                self._add(b"K", content.key, content.digest, int(content.finished))
                self._time(content.claimed_at)
            case StoredError(_, record):
                texts = (record.event_name, record.error, record.where, record.traceback)
                self._add(b"R", record.kind, record.ordinal, *texts, record.raw_message, *_flat(record.metadata))
                self._time(record.recorded_at)

    def result(self) -> Fingerprint:
        """Return the fingerprint of what was added."""
        return Fingerprint(self._contents.digest(), self._times.digest() if self._complete else b"")

    def _add(self, kind: bytes, *parts: int | str | bytes) -> None:
        """Add a part as its kind, how many values it has, and each with its length."""
        values = [each if isinstance(each, bytes) else str(each).encode("utf-8", "surrogatepass") for each in parts]
        lengths = " ".join(map(str, map(len, values)))
        self._contents.update(b"".join((b"%b%d %b:" % (kind, len(values), lengths.encode()), *values)))

    def _time(self, moment: datetime | None) -> None:
        if moment is None:
            self._complete = False
        else:
            self._times.update(b"%d " % ((moment - _START) // _MICROSECOND))

    def _payload(self, payload: StoredPayload | None) -> tuple[bytes, ...]:
        if payload is None:
            return ()
        if not payload.type.name:
            raise NotCopied(
                f"its store lacks the message type {payload.type.number}, and something is of that type: something "
                f"else has changed the store, so restore it from a backup"
            )
        return self._type(payload.type), payload.data

    def _type(self, found: PayloadType) -> bytes:
        known = self._types.get(found.number)
        if known is None:
            known = self._types[found.number] = sha256(found.name.encode() + b"\0" + found.descriptors).digest()
        return known


def fingerprint(parts: Iterable[Content]) -> Fingerprint:
    """Return the fingerprint of a session's contents.

    Raises:
        StoreError: a part is damaged.
        NotCopied: as ``Fingerprinting.add``.
    """
    made = Fingerprinting()
    for part in parts:
        made.add(part)
    return made.result()


def size_of(content: Content) -> int:
    """Return about how many bytes a part of a session takes."""
    match content:
        case StoredEvent(payload=payload) | StoredVersion(payload=StoredPayload() as payload):
            return 200 + len(payload.data)
        case StoredError(_, record):
            return 200 + len(record.raw_message) + len(record.error) + len(record.traceback)
        case _:
            return 200


def _flat(metadata: Mapping[str, str]) -> list[str]:
    return [text for pair in sorted(metadata.items()) for text in pair]


def _ordinal(event: PrunedEvent | StoredEvent) -> int:
    return event.ordinal


def _place(version: StoredVersion) -> tuple[str, str, int]:
    return version.kind, version.id, version.last_event_ordinal


def _key(claim: StoredClaim) -> str:
    return claim.key


def _number(error: StoredError) -> int:
    return error.number


def _paged(page: Callable[[Any, int], list[T]], place_of: Callable[[T], Any], start: Any) -> Iterator[T]:
    """Yield rows, read in pages of about ``PAGE_BYTES``.

    Args:
        page: returns the rows above a place, at most so many.
        place_of: returns the place of a row.
    """
    after, limit = start, _FIRST_PAGE
    while rows := page(after, limit):
        yield from rows
        if len(rows) < limit:
            return
        after = place_of(rows[-1])
        size = sum(map(size_of, rows))  # type: ignore[arg-type]
        limit = max(1, min(_GROWTH * limit, PAGE_ROWS, PAGE_BYTES * len(rows) // size))


def _rising(events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
    latest = None
    for event in events:
        if latest is not None and event.recorded_at is not None and event.recorded_at < latest:
            yield replace(event, recorded_at=latest)
        else:
            latest = event.recorded_at
            yield event
