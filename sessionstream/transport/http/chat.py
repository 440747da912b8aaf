"""What chat endpoints need to know of an application: how its entities, UI events and commands are chat messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.types import TimelineEntity, UIEvent

Role: TypeAlias = Literal["user", "assistant", "system", "run"]
"""Whose message it is. ``run`` is shown to nobody: an open one says that the run goes on, though no message is open."""

State: TypeAlias = Literal["open", "done", "stopped", "failed"]
"""``open``: text may follow."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a chat as it is now.

    Attributes:
        id: unique in the session. That of a user's message has to be the one that the client gave it.
        error: what a page may show of a failed message.

    Raises:
        ValueError: the id is empty, or the role or the state is unknown.
    """

    id: str
    role: Role
    text: str = ""
    state: State = "done"
    error: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a chat message needs an id")
        if self.role not in ("user", "assistant", "system", "run"):
            raise ValueError(f"role must be user, assistant, system or run, not {self.role!r}")
        if self.state not in ("open", "done", "stopped", "failed"):
            raise ValueError(f"state must be open, done, stopped or failed, not {self.state!r}")


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text that was appended to an open message."""

    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageRemoved:
    """A message was removed from the session."""

    message_id: str


ChatChange: TypeAlias = ChatMessage | TextDelta | MessageRemoved
"""What a UI event says: a message as it is now, whole; text that was appended; or that a message was removed."""


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A message that a client sends.

    Attributes:
        id: chosen by the client. It is the idempotency key of the command, so that a message sent twice is answered
            once.
        extra: the other members of the request's JSON, such as ``forwardedProps`` or what ``body`` adds.
    """

    id: str
    text: str
    extra: Mapping[str, Any]


Messages: TypeAlias = Mapping[str, ChatMessage]


def _any_open(messages: Messages) -> bool:
    return any(message.state == "open" for message in messages.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMapping:
    """How an application's sessions are chats. (Reference: HTTP endpoints.)

    Attributes:
        message: ``message(entity)`` returns the message that an entity is, or None for one that is none. It is not
            called for an entity whose payload cannot be read: clients do not see it, and an error record tells of it.
        command: ``command(user_message)`` returns the name and the payload of the command that starts an answer.
        changes: ``changes(ui_event)`` returns what a UI event says of messages. It has to agree with ``message``: both
            lead to the same messages. None: the application sends its entities by ``entity_changes``, and the id of a
            message is that of its entity.
        runs: ``runs(messages)`` says whether an answer is going on, given all messages by id. Default: whether one is
            open. An application with pauses between messages has an entity for the run, with the role ``run``.
    """

    message: Callable[[TimelineEntity], ChatMessage | None]
    command: Callable[[UserMessage], tuple[str, Message]]
    changes: Callable[[UIEvent], Iterable[ChatChange]] | None = None
    runs: Callable[[Messages], bool] = _any_open

    def __post_init__(self) -> None:
        for name in ("message", "command", "changes", "runs"):
            function = getattr(self, name)
            if not callable(function) and not (name == "changes" and function is None):
                raise TypeError(f"{name} must be a function, not {function!r}")
