"""The UI message stream of the Vercel AI SDK: one answer, encoded from the changes of a transcript. Pure.

One response is one message of the assistant: it has the application's state, and a part for each message and tool call
of the session that belongs to the answer. A client that comes back gets it from its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

from sessionstream.transport.http.chat import ChatItem, ChatMessage, ChatState, Messages, ToolCall
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
)

Part: TypeAlias = dict[str, Any]

_CHANGED = "the answer was changed meanwhile: reload the page"


class Answer:
    """Encodes the answer to one message.

    Args:
        after: id of the user's message that is answered; None: whatever goes on belongs to the answer.
    """

    closing: ClassVar[bytes] = b"data: [DONE]\n\n"
    __slots__ = ("_after", "_called", "_last", "_open", "_shown", "_started", "_transcript", "ended")

    def __init__(self, after: str | None, transcript: Transcript) -> None:
        self._after = after
        self._transcript = transcript
        self._started = False
        self._open: dict[str, str] = {}  # the kinds of the texts that the client has as open ones, by id
        self._shown: set[str] = set()
        self._called: set[str] = set()  # the tool calls whose input the client has as a complete one
        self._last: ChatItem | None = None  # what has ended last, which is how the answer ends
        self.ended: bool = False

    def begin(self) -> Iterable[Part]:
        """Return what the first snapshot, which the transcript has taken, has of the answer."""
        for item in self._answering():
            yield from self._whole(item)

    def changes(self, changes: Iterable[Change]) -> Iterable[Part]:
        """Return the parts for what has changed; nothing if the answer has ended."""
        for change in changes:
            if self.ended:
                return
            match change:
                case StateChanged(part):
                    if self._started:
                        yield _data(part)
                case Rewritten(item_id):
                    if item_id in self._shown:
                        yield from self.fail(_CHANGED)
                case Opened(item) | Completed(item):
                    if _is_answer(item) and self._belongs(item):
                        yield from self._whole(item)
                case Appended(item, text):
                    if item.id in self._shown:
                        yield from self._append(item, text)
                case Called(item):
                    if item.id in self._shown:
                        yield from self._call(item)
                case Closed(item):
                    if item.id in self._shown:
                        yield from self._close(item)

    def finish(self) -> Iterable[Part]:
        """Return the end of the answer."""
        if self.ended:
            return
        yield from self._start("")
        if isinstance(self._last, ChatMessage) and self._last.state == "failed":
            yield from self.fail(self._last.error or "the answer has failed")
            return
        yield from self._end_all()
        stopped = self._last is not None and self._last.state == "stopped"
        yield {"type": "abort" if stopped else "finish"}
        self.ended = True

    def fail(self, message: str, code: str = "") -> Iterable[Part]:
        """Return the end of an answer that was cut off; the protocol has no place for the code."""
        yield from self._end_all()
        yield {"type": "error", "errorText": message}
        self.ended = True

    def _answering(self) -> list[ChatItem]:
        items = list(self._transcript.messages.values())
        if self._after is None:
            return [each for each in items if _is_answer(each) and each.state in ("open", "running")]
        ids = [each.id for each in items]
        if self._after not in ids:
            return []
        return [each for each in items[ids.index(self._after) :] if _is_answer(each)]

    def _belongs(self, item: ChatItem) -> bool:
        return self._after is None or item in self._answering()

    def _whole(self, item: ChatItem) -> Iterable[Part]:
        """Return an item as it is now, from its beginning."""
        yield from self._start(item.id)
        self._shown.add(item.id)
        if isinstance(item, ToolCall):
            yield {"type": "tool-input-start", "toolCallId": item.id, "toolName": item.name}
            if item.state == "open" or not item.has_json_input:
                yield from self._append(item, item.input)
            if item.state == "running":
                yield from self._call(item)
            elif item.state != "open":
                yield from self._close(item)
            return
        kind = "reasoning" if item.role == "reasoning" else "text"
        self._open[item.id] = kind
        yield {"type": f"{kind}-start", "id": item.id}
        yield from self._append(item, item.text)
        if item.state != "open":
            yield from self._close(item)

    def _start(self, message_id: str) -> Iterable[Part]:
        if not self._started:
            self._started = True
            yield {"type": "start", "messageId": message_id} if message_id else {"type": "start"}
            yield from map(_data, self._transcript.state.values())

    def _append(self, item: ChatItem, text: str) -> Iterable[Part]:
        if text and isinstance(item, ToolCall):
            yield {"type": "tool-input-delta", "toolCallId": item.id, "inputTextDelta": text}
        elif text:
            yield {"type": f"{self._open[item.id]}-delta", "id": item.id, "delta": text}

    def _call(self, call: ToolCall) -> Iterable[Part]:
        """Return the complete input of a tool call, once."""
        if call.id not in self._called:
            self._called.add(call.id)
            yield {
                "type": "tool-input-available",
                "toolCallId": call.id,
                "toolName": call.name,
                "input": json.loads(call.input),
            }

    def _close(self, item: ChatItem) -> Iterable[Part]:
        self._last = item
        if isinstance(item, ToolCall):
            yield from self._close_call(item)
        elif item.id in self._open:
            yield {"type": f"{self._open.pop(item.id)}-end", "id": item.id}

    def _close_call(self, call: ToolCall) -> Iterable[Part]:
        """Return the result of a tool call; the answer goes on."""
        if call.has_json_input:
            yield from self._call(call)
        if call.state == "done":
            yield {"type": "tool-output-available", "toolCallId": call.id, "output": call.output}
        elif call.state == "stopped":
            return
        elif call.has_json_input:
            yield {"type": "tool-output-error", "toolCallId": call.id, "errorText": _error(call)}
        else:
            named = {"toolCallId": call.id, "toolName": call.name}
            yield {"type": "tool-input-error", **named, "input": call.input, "errorText": _error(call)}

    def _end_all(self) -> Iterable[Part]:
        for item_id in sorted(self._open):
            yield {"type": f"{self._open[item_id]}-end", "id": item_id}
        self._open.clear()


def question_of_what_goes_on(messages: Messages) -> str | None:
    """Return the id of the user's message that is being answered, the last before what goes on; None: there is none."""
    question = None
    for item in messages.values():
        if item.role == "user":
            question = item.id
        elif _is_answer(item) and item.state in ("open", "running"):
            break
    return question


def ui_messages(transcript: Transcript) -> list[Part]:
    """Return the messages that are complete: those of users, and answers, each in one message as in its stream.

    An answer that is going on is left out. The last answer has the application's state.
    """
    messages = transcript.messages
    going_on = question_of_what_goes_on(messages) if transcript.runs else None
    written: list[Part] = []
    answered = False
    for item in messages.values():
        if _is_answer(item):
            if answered or item.state in ("open", "running"):
                continue
            if not written or written[-1]["role"] != "assistant":
                written.append({"id": item.id, "role": "assistant", "parts": []})
            written[-1]["parts"].append(_part(item))
        elif item.role != "run":
            written.append({"id": item.id, "role": item.role, "parts": [_part(item)]})
        answered = answered or item.id == going_on
    answers = [each for each in written if each["role"] == "assistant"]
    if answers:
        answers[-1]["parts"] += map(_data, transcript.state.values())
    return written


def _is_answer(item: ChatItem) -> bool:
    return item.role in ("assistant", "reasoning", "tool")


def _part(item: ChatItem) -> Part:
    """Return a part of a message that is complete."""
    if not isinstance(item, ToolCall):
        return {"type": "reasoning" if item.role == "reasoning" else "text", "text": item.text, "state": "done"}
    part: Part = {"type": f"tool-{item.name}", "toolCallId": item.id}
    part |= {"input": json.loads(item.input)} if item.has_json_input else {"rawInput": item.input}
    match item.state:
        case "done":
            return part | {"state": "output-available", "output": item.output}
        case "failed":
            return part | {"state": "output-error", "errorText": _error(item)}
    return part | {"state": "input-available" if item.has_json_input else "input-streaming"}


def _error(call: ToolCall) -> str:
    return call.error or "the call has failed"


def _data(part: ChatState) -> Part:
    return {"type": f"data-{part.name}", "id": part.id or part.name, "data": part.value}
