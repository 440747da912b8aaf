"""What chat endpoints need to know of an application: how its entities and UI events are a chat, and its commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.types import TimelineEntity, UIEvent

Role: TypeAlias = Literal["user", "assistant", "system", "reasoning", "run"]
"""Whose message it is. ``reasoning`` is what the model has thought. ``run`` is shown to nobody: it is open while the
run goes on."""

State: TypeAlias = Literal["open", "done", "stopped", "failed"]
"""``open``: text may follow."""

CallState: TypeAlias = Literal["open", "running", "done", "stopped", "failed"]
"""``open``: more of the input may follow. ``running``: the input is complete, and the result may follow."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a chat as it is now.

    Attributes:
        id: unique in the session. That of a user's message has to be the one that the client gave it.
        error: what a page may show of a failed message.

    Raises:
        ValueError: the id is empty, or the role or the state is unknown.
        TypeError: the id or the text is not a string.
    """

    id: str
    role: Role
    text: str = ""
    state: State = "done"
    error: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a chat message needs an id")
        if not isinstance(self.id, str):
            raise TypeError(f"the id of a chat message is a str, not a {type(self.id).__name__}")
        if not isinstance(self.text, str):
            raise TypeError(f"the text of message {self.id!r} is a str, not a {type(self.text).__name__}")
        if self.role not in ("user", "assistant", "system", "reasoning", "run"):
            raise ValueError(f"role must be user, assistant, system, reasoning or run, not {self.role!r}")
        if self.state not in ("open", "done", "stopped", "failed"):
            raise ValueError(f"state must be open, done, stopped or failed, not {self.state!r}")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, with its result, as it is now. It has its place among the messages.

    Attributes:
        id: unique among the messages and calls of the session.
        name: of the tool.
        input: the arguments as a JSON text, which grows while the state is ``open``.
        output: the result: any value with a JSON form.
        error: what a page may show of a failed call. The answer goes on.

    Raises:
        ValueError: id or name is empty, the state is unknown, or the input is complete and not JSON.
        TypeError: the input is not a string, or the output has no JSON form.
    """

    role: ClassVar[Literal["tool"]] = "tool"
    id: str
    name: str
    input: str = ""
    state: CallState = "open"
    output: object = None
    error: str = ""

    def __post_init__(self) -> None:
        if not self.id or not self.name:
            raise ValueError(f"a tool call needs an id and the name of the tool, not {self.id!r} and {self.name!r}")
        if self.state not in ("open", "running", "done", "stopped", "failed"):
            raise ValueError(f"state must be open, running, done, stopped or failed, not {self.state!r}")
        if not isinstance(self.input, str):
            raise TypeError(
                f"the input of tool call {self.id!r} is a JSON text, not a {type(self.input).__name__}: "
                "json.dumps makes one"
            )
        if self.state in ("running", "done") and not self.has_json_input:
            raise ValueError(f"the input of tool call {self.id!r} is not a JSON text, and {{}} if it has none")
        if self.output is not None:
            json.dumps(self.output, allow_nan=False)

    @property
    def has_json_input(self) -> bool:
        """Whether the input is a JSON text, so that it can be complete."""
        try:
            json.loads(self.input)
        except (ValueError, RecursionError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class ChatState:
    """A part of the application's state, beside the messages.

    Attributes:
        name: what it is, such as ``plan``.
        value: any value with a JSON form; None: the part was removed.
        id: which of several parts of this name; empty if there is one.

    Raises:
        ValueError: the name is empty.
        TypeError: the value has no JSON form.
    """

    name: str
    value: object
    id: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a part of the state needs a name")
        json.dumps(self.value, allow_nan=False)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text that was appended to an open message, or to the input of an open tool call."""

    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageRemoved:
    """A message or a tool call was removed from the session."""

    message_id: str


ChatItem: TypeAlias = ChatMessage | ToolCall
"""What stands in a chat, one after the other."""

ChatChange: TypeAlias = ChatItem | ChatState | TextDelta | MessageRemoved
"""What a UI event says: an item or a part of the state as it is now, whole; text that was appended; or that an item was
removed."""


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A message that a client sends.

    Attributes:
        id: chosen by the client. It is the idempotency key of the command, so that a message sent twice is answered
            once. It has at most 512 bytes of UTF-8, so that ids such as ``answer-ID`` fit as well.
        text: the text of its content.
        content: as the client has sent it and not checked: a text, or a list of parts, of which some may be files or
            images.
        extra: the other members of the request's JSON, such as ``forwardedProps`` or what ``body`` adds.
    """

    id: str
    text: str
    extra: Mapping[str, Any]
    content: str | list[Any]


Messages: TypeAlias = Mapping[str, ChatItem]


def _goes_on(messages: Messages) -> bool:
    runs = [message for message in messages.values() if message.role == "run"]
    return any(message.state in ("open", "running") for message in runs or messages.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMapping:
    """How an application's sessions are chats. (Reference: HTTP endpoints.)

    Attributes:
        message: ``message(entity)`` returns what an entity is: a ChatMessage, a ToolCall, a ChatState, or None for one
            that is nothing of the chat. It is not called for an entity whose payload cannot be read: clients do not see
            it, and an error record tells of it.
        command: ``command(user_message)`` returns the name and the payload of the command that starts an answer.
        changes: ``changes(ui_event)`` returns what a UI event says of messages. It has to agree with ``message``: both
            lead to the same chat. None: the application sends its entities by ``entity_changes``.
        runs: ``runs(messages)`` says whether an answer is going on, given all messages and tool calls by id. Default:
            whether a message with the role ``run`` is open; in a session that has none, whether a message is open, or
            a call is open or running.
    """

    message: Callable[[TimelineEntity], ChatItem | ChatState | None]
    command: Callable[[UserMessage], tuple[str, Message]]
    changes: Callable[[UIEvent], Iterable[ChatChange]] | None = None
    runs: Callable[[Messages], bool] = _goes_on

    def __post_init__(self) -> None:
        for name in ("message", "command", "changes", "runs"):
            function = getattr(self, name)
            if not callable(function) and not (name == "changes" and function is None):
                raise TypeError(f"{name} must be a function, not {function!r}")
