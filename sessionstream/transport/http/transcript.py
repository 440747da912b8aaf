"""The messages of a chat, folded from a session's snapshot and UI events; each step says what has changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf import descriptor_pool, message_factory

from sessionstream.transport.http.chat import ChatChange, ChatMapping, ChatMessage, MessageRemoved, Messages, TextDelta
from sessionstream.types import LiveEvents, Snapshot, TimelineEntity
from sessionstream.v1.transport_pb2 import EntityChanged, EntityDeleted, UnreadablePayload

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.types import UIEvent


@dataclass(frozen=True, slots=True)
class Opened:
    """A message has begun, with the text that it has so far."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class Appended:
    """An open message has grown by ``text``."""

    message: ChatMessage
    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A message that was open has ended."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class Completed:
    """A message has come that was never open."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A message is another than what was said of it, is open again, or was removed: None. What is open stays open."""

    message_id: str
    message: ChatMessage | None


Change: TypeAlias = Opened | Appended | Closed | Completed | Rewritten


class Transcript:
    """The messages of one session at one position.

    Attributes:
        messages: by id, in the order in which they came.
        ordinal: of the last event that they reflect.
    """

    __slots__ = ("_mapping", "messages", "ordinal")

    def __init__(self, mapping: ChatMapping) -> None:
        self._mapping = mapping
        self.messages: dict[str, ChatMessage] = {}
        self.ordinal = -1

    @property
    def runs(self) -> bool:
        """Whether an answer is going on."""
        return self._mapping.runs(self.messages)

    def apply(self, update: Snapshot | LiveEvents) -> list[Change]:
        """Continue with a whole snapshot, or with UI events; return what has changed, in order.

        UI events that a snapshot reflects already change nothing.
        """
        if isinstance(update, Snapshot):
            return self._replace(update)
        if update.ordinal <= self.ordinal:
            return []
        self.ordinal = update.ordinal
        changes: list[Change] = []
        for event in update.events:
            for change in self._told_by(event):
                match change:
                    case TextDelta():
                        changes += self._put(self._grown(change))
                    case MessageRemoved(message_id):
                        if self.messages.pop(message_id, None) is not None:
                            changes.append(Rewritten(message_id, None))
                    case _:
                        changes += self._put(_checked(change))
        return changes

    def _replace(self, snapshot: Snapshot) -> list[Change]:
        readable = [entity for entity in snapshot.entities if not isinstance(entity.payload, UnreadablePayload)]
        found = map(self._mapping.message, readable)
        present = {_checked(message).id: message for message in found if message is not None}
        gone = [Rewritten(each, None) for each in self.messages if each not in present]
        before, self.messages = self.messages, {}
        changes: list[Change] = [*gone]
        for message in present.values():
            changes += self._put(message, before.get(message.id))
        self.ordinal = snapshot.snapshot_ordinal
        return changes

    def _told_by(self, event: UIEvent) -> Iterable[ChatChange]:
        if self._mapping.changes is not None:
            return self._mapping.changes(event)
        match event.payload:
            case EntityChanged() as changed:
                payload = _unpacked(changed)
                entity = TimelineEntity(
                    changed.kind, changed.id, payload, changed.created_ordinal, changed.last_event_ordinal
                )
                message = self._mapping.message(entity)
                return () if message is None else (message,)
            case EntityDeleted(id=deleted):
                return (MessageRemoved(deleted),)
        return ()

    def _grown(self, delta: TextDelta) -> ChatMessage:
        message = self.messages.get(delta.message_id)
        if message is None:
            raise ValueError(f"a UI event appends text to message {delta.message_id!r}, which is not in the session")
        return replace(message, text=message.text + delta.text)

    def _put(self, message: ChatMessage, before: ChatMessage | None = None) -> list[Change]:
        old = before or self.messages.get(message.id)
        self.messages[message.id] = message
        return list(_changes(old, message))


def _checked(message: ChatMessage) -> ChatMessage:
    """Return what the application's mapping returned.

    Raises:
        TypeError: it is no ChatMessage.
    """
    if not isinstance(message, ChatMessage):
        raise TypeError(f"ChatMapping.message and ChatMapping.changes must return ChatMessages, not {message!r}")
    return message


def _unpacked(changed: EntityChanged) -> Message:
    """Return the payload of an entity, whose class the application has registered."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(changed.payload.TypeName())
    payload = message_factory.GetMessageClass(descriptor)()
    changed.payload.Unpack(payload)
    return payload


def _changes(old: ChatMessage | None, new: ChatMessage) -> Iterable[Change]:
    if old is None:
        yield Opened(new) if new.state == "open" else Completed(new)
        return
    was_open, is_open = old.state == "open", new.state == "open"
    grown = was_open and new.text.startswith(old.text)
    if old.role != new.role or (is_open and not was_open) or not (grown or new.text == old.text):
        yield Rewritten(new.id, new)
    elif new.text != old.text:
        yield Appended(new, new.text[len(old.text) :])
    if was_open and not is_open:
        yield Closed(new)


def shown(messages: Messages) -> list[ChatMessage]:
    """Return the messages that clients see, in order."""
    return [message for message in messages.values() if message.role != "run"]
