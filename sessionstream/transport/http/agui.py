"""AG-UI: the events of one run, encoded from the changes of a transcript. Pure. (Protocol version 1.0.)

After RUN_STARTED a client gets the state and all messages as they are, which replaces what it had received before it
left; then what is open begins, and grows from there. So whoever joins a run in the middle sees all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar, Final, TypeAlias

from sessionstream.transport.http.chat import ChatItem, ChatMessage, ToolCall, UserMessage
from sessionstream.transport.http.transcript import (
    Appended,
    Called,
    Change,
    Closed,
    Completed,
    Opened,
    Rewritten,
    StateChanged,
    Transcript,
    shown,
    text_of,
)

PROTOCOL_VERSION: Final = "1.0"

AGUIEvent: TypeAlias = dict[str, Any]


class Run:
    """Encodes one run.

    Args:
        thread_id: the session.
        run_id: as the client has chosen it.
        asked: the message with which the client has started the run; it has a copy of that already.
    """

    closing: ClassVar[bytes] = b""
    __slots__ = ("_asked", "_failed", "_members", "_open", "_run_id", "_stopped", "_thread_id", "_transcript", "ended")

    def __init__(self, thread_id: str, run_id: str, asked: UserMessage | None, transcript: Transcript) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self._asked = asked
        self._transcript = transcript
        self.ended: bool = False
        self._open: dict[str, str] = {}  # the roles of what the client has as open, by id
        self._members: set[str] | None = None  # the names in the state that the client has
        self._stopped = False
        self._failed: ChatMessage | None = None

    def begin(self) -> Iterable[AGUIEvent]:
        """Return the events of the first snapshot, which the transcript has taken."""
        yield {
            "type": "RUN_STARTED",
            "threadId": self._thread_id,
            "runId": self._run_id,
            "protocolVersion": PROTOCOL_VERSION,
        }
        if self._transcript.state:
            yield self._state_snapshot()
        yield from self._replace()

    def changes(self, changes: Iterable[Change]) -> Iterable[AGUIEvent]:
        """Return the events for what has changed."""
        changes = list(changes)
        rewritten = any(isinstance(change, Rewritten) for change in changes)
        for change in changes:
            match change:
                case Called(item):
                    yield from self._close(item)
                case Closed(item):
                    yield from self._end(item, result=not rewritten)
                case Opened(item) if not rewritten and item.role != "run":
                    yield from self._start(item)
                    if item.state != "open":
                        yield from self._close(item)
                case Appended(item, text) if not rewritten and item.role != "run":
                    yield _content(item, text)
                case Completed(item) if not rewritten and self._is_news(item):
                    yield from self._start(item)
                    yield from self._end(item)
        if rewritten:
            yield from self._replace()
        yield from self._state_changes({each.part.name for each in changes if isinstance(each, StateChanged)})

    def finish(self) -> Iterable[AGUIEvent]:
        """Return the end of the run: it has finished, was stopped, or its message has failed."""
        if self._failed is not None:
            yield from self.fail(self._failed.error or "the answer has failed", "message_failed")
            return
        yield from self._end_all()
        ended: AGUIEvent = {"type": "RUN_FINISHED", "threadId": self._thread_id, "runId": self._run_id}
        if self._stopped:
            ended["outcome"] = {"type": "cancelled"}
        yield ended
        self.ended = True

    def fail(self, message: str, code: str) -> Iterable[AGUIEvent]:
        """Return the end of a run that has failed."""
        yield from self._end_all()
        yield {"type": "RUN_ERROR", "message": message, "code": code}
        self.ended = True

    # -- messages and tool calls -------------------------------------------------------------------------------

    def _is_news(self, item: ChatItem) -> bool:
        """Whether an item that has come complete has to be sent."""
        return item.role != "run" and (self._asked is None or item.id != self._asked.id)

    def _replace(self) -> Iterable[AGUIEvent]:
        """Replace all that the client holds; what is open then grows from its text there."""
        items = shown(self._transcript.messages)
        growing = {item.id: item.role for item in items if item.state == "open"}
        for item_id, role in list(self._open.items()):
            if growing.get(item_id) != role:
                yield from self._ended(item_id)
        asked = self._asked
        if asked is not None and asked.id not in self._transcript.messages:
            items.append(ChatMessage(asked.id, "user", asked.text))
        yield {"type": "MESSAGES_SNAPSHOT", "messages": [each for item in items for each in _messages(item)]}
        for item in items:
            if item.state == "open" and item.id not in self._open:
                yield from self._start(item, text=False)

    def _start(self, item: ChatItem, *, text: bool = True) -> Iterable[AGUIEvent]:
        self._open[item.id] = item.role
        if isinstance(item, ToolCall):
            yield {"type": "TOOL_CALL_START", "toolCallId": item.id, "toolCallName": item.name}
        elif item.role == "reasoning":
            yield {"type": "REASONING_START", "messageId": item.id}
            yield {"type": "REASONING_MESSAGE_START", "messageId": item.id, "role": item.role}
        else:
            yield {"type": "TEXT_MESSAGE_START", "messageId": item.id, "role": item.role}
        if text and text_of(item):
            yield _content(item, text_of(item))

    def _close(self, item: ChatItem) -> Iterable[AGUIEvent]:
        if item.id in self._open:
            yield from self._ended(item.id)

    def _end(self, item: ChatItem, *, result: bool = True) -> Iterable[AGUIEvent]:
        if item.state == "stopped":
            self._stopped = True
        elif item.state == "failed" and isinstance(item, ChatMessage):
            self._failed = item
        yield from self._close(item)
        if result and isinstance(item, ToolCall):
            for message in _results(item):
                yield {
                    "type": "TOOL_CALL_RESULT",
                    "messageId": message["id"],
                    "toolCallId": item.id,
                    "content": message["content"],
                    "role": "tool",
                }

    def _end_all(self) -> Iterable[AGUIEvent]:
        for item_id in sorted(self._open):
            yield from self._ended(item_id)

    def _ended(self, item_id: str) -> Iterable[AGUIEvent]:
        match self._open.pop(item_id):
            case "tool":
                yield {"type": "TOOL_CALL_END", "toolCallId": item_id}
            case "reasoning":
                yield {"type": "REASONING_MESSAGE_END", "messageId": item_id}
                yield {"type": "REASONING_END", "messageId": item_id}
            case _:
                yield {"type": "TEXT_MESSAGE_END", "messageId": item_id}

    # -- state -------------------------------------------------------------------------------------------------

    def _state_snapshot(self) -> AGUIEvent:
        state = self._state()
        self._members = set(state)
        return {"type": "STATE_SNAPSHOT", "snapshot": state}

    def _state_changes(self, names: set[str]) -> Iterable[AGUIEvent]:
        """Return the change of some members of the state: a JSON Patch, or all of it if the client has none yet."""
        if not names:
            return
        if self._members is None:
            yield self._state_snapshot()
            return
        state, patch = self._state(), list[dict[str, Any]]()
        for name in sorted(names):
            path = f"/{name.replace('~', '~0').replace('/', '~1')}"
            if name in state:
                patch.append({"op": "add", "path": path, "value": state[name]})
            elif name in self._members:
                patch.append({"op": "remove", "path": path})
        self._members = set(state)
        yield {"type": "STATE_DELTA", "delta": patch}

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        several: dict[str, dict[str, Any]] = {}
        for part in self._transcript.state.values():
            if part.id:
                several.setdefault(part.name, {})[part.id] = part.value
            else:
                state[part.name] = part.value
        return state | several


def _content(item: ChatItem, text: str) -> AGUIEvent:
    if isinstance(item, ToolCall):
        return {"type": "TOOL_CALL_ARGS", "toolCallId": item.id, "delta": text}
    kind = "REASONING_MESSAGE_CONTENT" if item.role == "reasoning" else "TEXT_MESSAGE_CONTENT"
    return {"type": kind, "messageId": item.id, "delta": text}


def _messages(item: ChatItem) -> Iterable[AGUIEvent]:
    """Return the messages that an item is: of a tool call, that of the assistant, and that of the tool."""
    if isinstance(item, ToolCall):
        function = {"name": item.name, "arguments": item.input}
        yield {
            "id": item.id,
            "role": "assistant",
            "toolCalls": [{"id": item.id, "type": "function", "function": function}],
        }
        yield from _results(item)
    else:
        yield {"id": item.id, "role": item.role, "content": item.text}


def _results(call: ToolCall) -> Iterable[AGUIEvent]:
    """Return the message with the result of a tool call, if there is one; of one that failed, the error is the result.

    TOOL_CALL_RESULT has no place that says that it failed, so a snapshot does not say it either.
    """
    written: AGUIEvent = {"id": f"{call.id}-result", "role": "tool", "toolCallId": call.id}
    if call.state == "done":
        output = call.output if isinstance(call.output, str) else json.dumps(call.output, ensure_ascii=False)
        yield {**written, "content": output}
    elif call.state == "failed":
        yield {**written, "content": call.error or "the call has failed"}
