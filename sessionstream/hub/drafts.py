"""Drafts: checked events with an id, but without an ordinal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING
from uuid import uuid4

from sessionstream.ids import check_new_id
from sessionstream.types import NO_METADATA, Event, new_event

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.schema import SchemaRegistry

_ids: Iterator[str]


def _begin_ids() -> None:
    """Choose the prefix of the event ids of this process."""
    global _ids
    prefix, last_digits = str(uuid4())[:-12], [f"{number:03x}" for number in range(4096)]

    def of_block(number: int) -> Iterator[str]:
        return map(f"{prefix}{number:09x}".__add__, last_digits)

    _ids = chain.from_iterable(map(of_block, count()))  # several threads may take from it


_begin_ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_ids)  # a child would otherwise assign the same ids as its parent


@dataclass(slots=True)
class Draft:
    """A checked event that is not logged yet.

    Attributes:
        payload: the pipeline's own copy.
        has_given_id: whether the caller chose the id, so that an event with this id may already be logged.
        stream_id: its position in a stream, from which its ordinal is derived; empty if it is not from a stream.
        on_published: called once the event is in the log, or may be.
        began: when it was published, on ``perf_counter``; None if nobody observes.
    """

    name: str
    payload: Message
    session_id: str
    event_id: str
    has_given_id: bool
    stream_id: str = ""
    on_published: Callable[[], None] | None = None
    metadata: Mapping[str, str] = NO_METADATA
    began: float | None = None

    def numbered(self, ordinal: int) -> Event:
        """Return the event with an ordinal."""
        return new_event(self.name, self.payload, self.session_id, ordinal, self.event_id, self.metadata)


def new_draft(event: object, schemas: SchemaRegistry, on_published: Callable[[], None] | None = None) -> Draft:
    """Return the draft of an event to publish. Its session id is not checked here, but where its session is looked up.

    Raises:
        TypeError: it is not an Event, or its ordinal is not an int.
        ValueError: it has an ordinal already.
        UnknownSchemaError, PayloadTypeError: it is not registered, or its payload is another message.
        InvalidIdError: its id is not valid.
    """
    if type(event) is not Event and not isinstance(event, Event):
        raise TypeError(f"publish takes an Event, not {event!r}")
    if event.ordinal != 0 or type(event.ordinal) is not int:
        _refuse_ordinal(event)
    payload = schemas.checked_copy("event", event.name, event.payload)
    if event.event_id == "":
        return Draft(event.name, payload, event.session_id, next(_ids), False, "", on_published, event.metadata)
    event_id = check_new_id("event id", event.event_id)
    return Draft(event.name, payload, event.session_id, event_id, True, "", on_published, event.metadata)


def new_event_id() -> str:
    """Return a UUID of version 4 as a string: 74 random bits per process, then a counter.

    It makes no system call, and takes a small part of the time of ``uuid4``.
    """
    return next(_ids)


def _refuse_ordinal(event: Event) -> None:
    ordinal: object = event.ordinal
    if not isinstance(ordinal, int) or isinstance(ordinal, bool):
        raise TypeError(f"event {event.name!r} has the {type(ordinal).__name__} {ordinal!r} as its ordinal: leave it 0")
    if ordinal:
        raise ValueError(f"event {event.name!r} has ordinal {ordinal} already: leave it 0, as the hub assigns ordinals")
