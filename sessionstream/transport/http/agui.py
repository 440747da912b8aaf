"""AG-UI: the events of one run, encoded from the changes of a transcript. Pure. (Protocol version 1.0.)

After RUN_STARTED a client gets all messages but the open ones, which then begin anew with the text they have: it drops
what it had received of them before it left. So whoever joins a run in the middle sees all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final, TypeAlias

from sessionstream.transport.http.chat import ChatMessage, UserMessage
from sessionstream.transport.http.transcript import (
    Appended,
    Change,
    Closed,
    Completed,
    Opened,
    Rewritten,
    Transcript,
    shown,
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
    __slots__ = ("_asked", "_failed", "_open", "_run_id", "_stopped", "_thread_id", "_transcript", "ended")

    def __init__(self, thread_id: str, run_id: str, asked: UserMessage | None, transcript: Transcript) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self._asked = asked
        self._transcript = transcript
        self.ended = False
        self._open: set[str] = set()  # messages that the client has as open ones
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
        messages = shown(self._transcript.messages)
        complete = [message for message in messages if message.state != "open"]
        if self._asked is not None and self._asked.id not in self._transcript.messages:
            complete.append(ChatMessage(self._asked.id, "user", self._asked.text))
        yield self._snapshot(complete)
        for message in messages:
            if message.state == "open":
                yield from self._start(message)

    def changes(self, changes: Iterable[Change]) -> Iterable[AGUIEvent]:
        """Return the events for what has changed."""
        changes = list(changes)
        rewritten = any(isinstance(change, Rewritten) for change in changes)
        for change in changes:
            match change:
                case Closed(message):
                    yield from self._end(message)
                case Opened(message) if not rewritten and message.role != "run":
                    yield from self._start(message)
                case Appended(message, text) if not rewritten and message.role != "run":
                    yield _content(message.id, text)
                case Completed(message) if not rewritten and self._is_news(message):
                    yield from self._start(message)
                    yield from self._end(message)
        if rewritten:
            yield from self._replace()

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

    def _is_news(self, message: ChatMessage) -> bool:
        """Whether a message that has come complete has to be sent."""
        return message.role != "run" and (self._asked is None or message.id != self._asked.id)

    def _replace(self) -> Iterable[AGUIEvent]:
        """Replace all that the client holds; an open message then grows from its text there."""
        messages = shown(self._transcript.messages)
        growing = [message for message in messages if message.state == "open"]
        for message_id in sorted(self._open.difference([message.id for message in growing])):
            self._open.discard(message_id)
            yield {"type": "TEXT_MESSAGE_END", "messageId": message_id}
        yield self._snapshot(messages)
        for message in growing:
            if message.id not in self._open:
                yield from self._start(message, text=False)

    def _start(self, message: ChatMessage, *, text: bool = True) -> Iterable[AGUIEvent]:
        self._open.add(message.id)
        yield {"type": "TEXT_MESSAGE_START", "messageId": message.id, "role": message.role}
        if text and message.text:
            yield _content(message.id, message.text)

    def _end(self, message: ChatMessage) -> Iterable[AGUIEvent]:
        if message.state == "stopped":
            self._stopped = True
        elif message.state == "failed":
            self._failed = message
        if message.id in self._open:
            self._open.discard(message.id)
            yield {"type": "TEXT_MESSAGE_END", "messageId": message.id}

    def _end_all(self) -> Iterable[AGUIEvent]:
        for message_id in sorted(self._open):
            yield {"type": "TEXT_MESSAGE_END", "messageId": message_id}
        self._open.clear()

    @staticmethod
    def _snapshot(messages: Iterable[ChatMessage]) -> AGUIEvent:
        written = [{"id": each.id, "role": each.role, "content": each.text} for each in messages]
        return {"type": "MESSAGES_SNAPSHOT", "messages": written}


def _content(message_id: str, text: str) -> AGUIEvent:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": message_id, "delta": text}
