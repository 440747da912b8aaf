"""The UI message stream of the Vercel AI SDK: one answer, encoded from the changes of a transcript. Pure.

One response is one message of the assistant: it has a text part for each message of the session that belongs to the
answer. A client that comes back gets it from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

from sessionstream.transport.http.chat import ChatMessage
from sessionstream.transport.http.transcript import (
    Appended,
    Change,
    Closed,
    Completed,
    Opened,
    Rewritten,
    Transcript,
)

Part: TypeAlias = dict[str, Any]

_CHANGED = "the answer was changed meanwhile: reload the page"


class Answer:
    """Encodes the answer to one message.

    Args:
        after: id of the user's message that is answered; None: whatever is open belongs to the answer.
    """

    closing: ClassVar[bytes] = b"data: [DONE]\n\n"
    __slots__ = ("_after", "_open", "_shown", "_started", "_transcript", "ended")

    def __init__(self, after: str | None, transcript: Transcript) -> None:
        self._after = after
        self._transcript = transcript
        self._started = False
        self._open: set[str] = set()
        self._shown: set[str] = set()
        self.ended = False

    def begin(self) -> Iterable[Part]:
        """Return what the first snapshot, which the transcript has taken, has of the answer."""
        for message in self._answering():
            yield from self._whole(message)

    def changes(self, changes: Iterable[Change]) -> Iterable[Part]:
        """Return the parts for what has changed; nothing if the answer has ended."""
        for change in changes:
            if self.ended:
                return
            match change:
                case Rewritten(message_id):
                    if message_id in self._shown:
                        yield from self.fail(_CHANGED)
                case Appended(message, text):
                    if message.id in self._open:
                        yield {"type": "text-delta", "id": message.id, "delta": text}
                case Closed(message):
                    yield from self._close(message)
                case Opened(message) | Completed(message):
                    if message.role == "assistant" and self._belongs(message):
                        yield from self._whole(message)

    def finish(self) -> Iterable[Part]:
        """Return the end of the answer."""
        if not self.ended:
            yield from self._start("")
            yield from self._end_all()
            yield {"type": "finish"}
            self.ended = True

    def fail(self, message: str, code: str = "") -> Iterable[Part]:
        """Return the end of an answer that was cut off; the protocol has no place for the code."""
        yield from self._end_all()
        yield {"type": "error", "errorText": message}
        self.ended = True

    def _answering(self) -> list[ChatMessage]:
        messages = list(self._transcript.messages.values())
        if self._after is None:
            return [each for each in messages if each.role == "assistant" and each.state == "open"]
        ids = [each.id for each in messages]
        if self._after not in ids:
            return []
        return [each for each in messages[ids.index(self._after) :] if each.role == "assistant"]

    def _belongs(self, message: ChatMessage) -> bool:
        return self._after is None or message in self._answering()

    def _whole(self, message: ChatMessage) -> Iterable[Part]:
        yield from self._start(message.id)
        self._shown.add(message.id)
        self._open.add(message.id)
        yield {"type": "text-start", "id": message.id}
        if message.text:
            yield {"type": "text-delta", "id": message.id, "delta": message.text}
        if message.state != "open":
            yield from self._close(message)

    def _start(self, message_id: str) -> Iterable[Part]:
        if not self._started:
            self._started = True
            yield {"type": "start", "messageId": message_id} if message_id else {"type": "start"}

    def _close(self, message: ChatMessage) -> Iterable[Part]:
        if message.id not in self._open:
            return
        self._open.discard(message.id)
        yield {"type": "text-end", "id": message.id}
        if message.state == "failed":
            yield from self.fail(message.error or "the answer has failed")
        elif message.state == "stopped":
            yield from self._end_all()
            yield {"type": "abort"}
            self.ended = True

    def _end_all(self) -> Iterable[Part]:
        for message_id in sorted(self._open):
            yield {"type": "text-end", "id": message_id}
        self._open.clear()
