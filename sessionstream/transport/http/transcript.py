"""A chat, folded from a session's snapshot and UI events; each step says what has changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from google.protobuf import descriptor_pool, message_factory

from sessionstream.transport.http.chat import (
    ChatChange,
    ChatItem,
    ChatMapping,
    ChatMessage,
    ChatState,
    MessageRemoved,
    Messages,
    TextDelta,
    ToolCall,
)
from sessionstream.types import LiveEvents, Snapshot, TimelineEntity
from sessionstream.v1.transport_pb2 import EntityChanged, EntityDeleted, UnreadablePayload

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.types import UIEvent

StateKey: TypeAlias = tuple[str, str]
"""Name and id of a part of the state."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A message has begun, with the text that it has so far; or a tool call, with its input."""

    item: ChatItem


@dataclass(frozen=True, slots=True)
class Appended:
    """An open message, or the input of an open tool call, has grown by ``text``."""

    item: ChatItem
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """The input of a tool call is complete."""

    item: ToolCall


@dataclass(frozen=True, slots=True)
class Closed:
    """A message or a tool call that was going on has ended."""

    item: ChatItem


@dataclass(frozen=True, slots=True)
class Completed:
    """A message or a tool call has come that was never going on."""

    item: ChatItem


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An item is another than what was said of it, is open again, or was removed: None. What is open stays open."""

    item_id: str
    item: ChatItem | None


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A part of the application's state is another."""

    part: ChatState


Change: TypeAlias = Opened | Appended | Called | Closed | Completed | Rewritten | StateChanged

_STAGES: Final = {"open": 0, "running": 1}
_ENDED: Final = 2


class Transcript:
    """The chat of one session at one position.

    Attributes:
        messages: messages and tool calls by id, in the order in which they came.
        state: the parts of the application's state by name and id, in the order in which they came.
        ordinal: of the last event that they reflect.
    """

    __slots__ = ("_entities", "_mapping", "messages", "ordinal", "state")

    def __init__(self, mapping: ChatMapping) -> None:
        self._mapping = mapping
        self._entities: dict[tuple[str, str], str | StateKey] = {}  # what each entity is, by kind and id
        self.messages: dict[str, ChatItem] = {}
        self.state: dict[StateKey, ChatState] = {}
        self.ordinal: int = -1

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
                    case MessageRemoved(item_id):
                        if self.messages.pop(item_id, None) is not None:
                            changes.append(Rewritten(item_id, None))
                    case ChatState():
                        changes += self._set(change)
                    case _:
                        changes += self._put(_checked(change))
        return changes

    def _replace(self, snapshot: Snapshot) -> list[Change]:
        self._entities = {}
        present: dict[str, ChatItem] = {}
        state: dict[StateKey, ChatState] = {}
        for entity in snapshot.entities:
            if isinstance(entity.payload, UnreadablePayload):
                continue
            found = self._mapping.message(entity)
            if isinstance(found, ChatState):
                state[found.name, found.id] = found
            elif found is not None:
                present[_checked(found).id] = found
            if found is not None:
                self._entities[entity.kind, entity.id] = _key(found)
        changes: list[Change] = [Rewritten(each, None) for each in self.messages if each not in present]
        before, self.messages = self.messages, {}
        for item in present.values():
            changes += self._put(item, before.get(item.id))
        for name, part_id in [key for key in self.state if key not in state]:
            changes += self._set(ChatState(name, None, part_id))
        for part in state.values():
            changes += self._set(part)
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
                return self._instead(changed.kind, changed.id, self._mapping.message(entity))
            case EntityDeleted() as deleted:
                return self._instead(deleted.kind, deleted.id, None)
        return ()

    def _instead(self, kind: str, entity_id: str, now: ChatItem | ChatState | None) -> Iterable[ChatChange]:
        """Return what changes if an entity is now this, in place of what it was before."""
        before = self._entities.pop((kind, entity_id), None)
        key = None
        if now is not None:
            key = self._entities[kind, entity_id] = _key(now if isinstance(now, ChatState) else _checked(now))
        if before is not None and before != key:
            yield MessageRemoved(before) if isinstance(before, str) else ChatState(before[0], None, before[1])
        if now is not None:
            yield now

    def _grown(self, delta: TextDelta) -> ChatItem:
        match self.messages.get(delta.message_id):
            case ChatMessage(text=text) as message:
                return replace(message, text=text + delta.text)
            case ToolCall(input=text) as call:
                return replace(call, input=text + delta.text)
        raise ValueError(f"a UI event appends text to message {delta.message_id!r}, which is not in the session")

    def _put(self, item: ChatItem, before: ChatItem | None = None) -> list[Change]:
        old = before or self.messages.get(item.id)
        self.messages[item.id] = item
        return list(_changes(old, item))

    def _set(self, part: ChatState) -> list[Change]:
        key = part.name, part.id
        if self.state.get(key, ChatState(part.name, None, part.id)) == part:
            return []
        if part.value is None:
            del self.state[key]
        else:
            self.state[key] = part
        return [StateChanged(part)]


def _key(found: ChatItem | ChatState) -> str | StateKey:
    return (found.name, found.id) if isinstance(found, ChatState) else found.id


def _checked(item: ChatItem) -> ChatItem:
    """Return what the application's mapping returned.

    Raises:
        TypeError: it is nothing that may stand in a chat.
    """
    if not isinstance(item, ChatItem):
        raise TypeError(
            "ChatMapping.message and ChatMapping.changes must return ChatMessages, ToolCalls and ChatStates, "
            f"not {item!r}"
        )
    return item


def _unpacked(changed: EntityChanged) -> Message:
    """Return the payload of an entity, whose class the application has registered."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(changed.payload.TypeName())
    payload = message_factory.GetMessageClass(descriptor)()
    changed.payload.Unpack(payload)
    return payload


def text_of(item: ChatItem) -> str:
    """Return what grows while an item is open: the text of a message, the input of a tool call."""
    return item.input if isinstance(item, ToolCall) else item.text


def _changes(old: ChatItem | None, new: ChatItem) -> Iterable[Change]:
    stage = _STAGES.get(new.state, _ENDED)
    if old is None:
        yield Completed(new) if stage == _ENDED else Opened(new)
        return
    before = _STAGES.get(old.state, _ENDED)
    text, grown = text_of(old), text_of(new)
    same = grown == text or (before == 0 and grown.startswith(text))
    if _fixed(old) != _fixed(new) or stage < before or not same or (before == _ENDED and _result(old) != _result(new)):
        yield Rewritten(new.id, new)
    elif grown != text:
        yield Appended(new, grown[len(text) :])
    if isinstance(new, ToolCall) and before == 0 and stage == 1:
        yield Called(new)
    if before < _ENDED and stage == _ENDED:
        yield Closed(new)


def _fixed(item: ChatItem) -> str:
    """Return what never changes of an item."""
    return f"tool {item.name}" if isinstance(item, ToolCall) else item.role


def _result(item: ChatItem) -> object:
    return (item.state, item.output, item.error) if isinstance(item, ToolCall) else None


def shown(messages: Messages) -> list[ChatItem]:
    """Return the messages and tool calls that clients see, in order."""
    return [item for item in messages.values() if item.role != "run"]
