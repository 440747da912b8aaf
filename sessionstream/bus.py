"""The EventBus port: how events travel between processes, and the messages that carry them.

With a bus, ``Hub.publish`` hands an event over without an ordinal. The hub that consumes it assigns the ordinal, logs
the event and projects it. A bus delivers at least once and keeps the order of each session; the event id travels with
the event, so that a repeated delivery changes nothing. ``sessionstream.testing.BusContract`` is this port as tests.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from google.protobuf import json_format

from sessionstream.errors import BusError, InvalidIdError, PayloadValueError, SchemaError
from sessionstream.ids import check_id, check_new_id
from sessionstream.json_form import why_unwritable
from sessionstream.schema import check_name, load_json
from sessionstream.types import NO_METADATA, Event

if TYPE_CHECKING:
    from sessionstream.schema import SchemaRegistry

TOPIC: Final = "sessionstream.events"
"""The topic, stream or subject of events, where a broker has such names."""

EVENT_NAME: Final = "sessionstream_event_name"
SESSION_ID: Final = "sessionstream_session_id"
PARTITION_KEY: Final = "sessionstream_partition_key"
PUBLISHED_ORDINAL: Final = "sessionstream_published_ordinal"
STREAM_ID: Final = "sessionstream_stream_id"
EVENT_ID: Final = "sessionstream_event_id"


@dataclass(frozen=True, slots=True)
class BusMessage:
    """A message as a bus carries it.

    Attributes:
        body: the envelope: JSON with ``name``, ``sessionId`` and ``payload``, and ``metadata`` if the event has any.
        metadata: name, session and id of the event, readable without parsing the body. A bus adds the stream id where
            its broker has one.
        key: the session id. Messages of one key stay in order.
        message_id: identifies the message on the bus: the same at every delivery, different for every message.
    """

    body: bytes
    metadata: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    message_id: str = ""

    def __post_init__(self) -> None:
        """Check the parts.

        Raises:
            TypeError: one of them is of another type.
        """
        if not isinstance(self.body, bytes):
            raise TypeError(f"the body of a message is bytes, not {self.body!r}")
        if not isinstance(self.metadata, Mapping):
            raise TypeError(f"the metadata of a message is a mapping, not {self.metadata!r}")
        texts = (self.key, self.message_id, *self.metadata, *self.metadata.values())
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"the key, the id and the metadata of a message are strings, and {text!r} is not")


MessageHandler: TypeAlias = Callable[[BusMessage], Awaitable[None]]


class Subscription(Protocol):
    """A handler that receives messages."""

    async def wait(self) -> None:
        """Return when the subscription is closed.

        Raises:
            BusError: it ended by itself: the handler raised, the bus was closed, or the broker is lost for good.
        """
        ...

    async def close(self) -> None:
        """Start no further messages, and return when the started ones are finished. Closing twice is allowed."""
        ...


class EventBus(Protocol):
    """Carries messages from publishers to subscribers, at least once, each key in order.

    A message is given to one subscriber at a time and is done when the handler returns. If the handler raises, the
    subscription ends, and the bus delivers the message to another subscriber, before all later ones of its key.
    Messages of one key never overlap; those of different keys do not wait for each other, up to a limit of the bus.
    Messages that are published without a subscriber are kept.
    """

    async def publish(self, message: BusMessage, /) -> None:
        """Return when the bus has the message.

        Raises:
            BusError: the bus may or may not have it.
        """
        ...

    async def subscribe(self, handler: MessageHandler, /) -> Subscription:
        """Give messages to ``handler`` from now on.

        Raises:
            BusError: the bus is closed, or its broker cannot be reached.
        """
        ...


class EnvelopeError(BusError):
    """A message that does not carry an event of this registry.

    Attributes:
        session_id, event_name: as far as they are known, else empty.
        refused_id: ``ascii()`` of the message's session id if that is not a valid one; else empty.
    """

    def __init__(self, reason: str, *, session_id: str = "", event_name: str = "", refused_id: str = "") -> None:
        super().__init__(f"this message carries no event: {reason}")
        self.session_id = session_id
        self.event_name = event_name
        self.refused_id = refused_id


def envelope(event: Event, *, partition_key: str = "") -> BusMessage:
    """Return the message that carries an event, which has its id and a registered payload.

    Raises:
        PayloadValueError: the payload cannot be written as protobuf JSON: an ``Any`` of an unknown type, say.
    """
    try:
        payload = json_format.MessageToDict(event.payload)
    except Exception as error:  # json_format raises errors of many classes
        flaw = why_unwritable(event.payload, error)
        full_name = event.payload.DESCRIPTOR.full_name
        raise PayloadValueError("event", event.name, expected=full_name, path=flaw.path, reason=flaw.reason) from error
    body = {"name": event.name, "sessionId": event.session_id, "payload": payload}
    if event.metadata:
        body["metadata"] = dict(event.metadata)
    metadata = {
        EVENT_NAME: event.name,
        SESSION_ID: event.session_id,
        PARTITION_KEY: partition_key or event.session_id,
        PUBLISHED_ORDINAL: str(event.ordinal),
        EVENT_ID: event.event_id,
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return BusMessage(text.encode(), MappingProxyType(metadata), metadata[PARTITION_KEY], event.event_id)


def read_envelope(message: BusMessage, schemas: SchemaRegistry) -> Event:
    """Return the event that a message carries: with an id, without an ordinal.

    The id is that of the metadata. A message that no hub has published has none there: then its id is made of the
    stream id, or is the message id.

    Raises:
        EnvelopeError: the message does not carry an event of this registry; the cause has the details, if there is one.
    """
    try:
        body = load_json(message.body)
    except ValueError as error:
        raise EnvelopeError(f"its body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise EnvelopeError(f"its body is a JSON {type(body).__name__}, not an object")
    name, session_id = body.get("name"), body.get("sessionId")
    try:
        checked_name = check_name("event", name)
        payload = schemas.parse("event", checked_name, body.get("payload", {}))
        checked_session = check_id("session id", session_id)
        event_id, facts = check_new_id("event id", _event_id(message)), body.get("metadata", NO_METADATA)
        return Event(checked_name, payload, checked_session, 0, event_id, facts)
    except (InvalidIdError, SchemaError, TypeError, ValueError) as error:
        usable, refused = _session(session_id)
        raise EnvelopeError(str(error), session_id=usable, event_name=_known(name), refused_id=refused) from error


def _event_id(message: BusMessage) -> str:
    stream_id = message.metadata.get(STREAM_ID)
    return message.metadata.get(EVENT_ID) or (f"stream:{stream_id}" if stream_id else message.message_id)


def _session(value: object) -> tuple[str, str]:
    """Return the session id and "" if it is valid, else "" and its ``ascii()``."""
    try:
        return check_id("session id", value), ""
    except InvalidIdError:
        return "", "" if value is None else ascii(value)


def _known(value: object) -> str:
    """Return a text that a store can keep, or an empty one."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""
