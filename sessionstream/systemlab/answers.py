"""Checks of the chat: each prompt has one answer, finished answers are complete, and stopped answers do not change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sessionstream import Event
from sessionstream.examples.chatdemo.messages import FINISHED, STOPPED, STREAMING
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    InferenceFinishedEvent,
    InferenceStartedEvent,
    InferenceStoppedEvent,
    TokensDeltaEvent,
    UserMessageAcceptedEvent,
)
from sessionstream.systemlab.checks import Check, Json, count, judge
from sessionstream.systemlab.delivery import few

SHOWN: Final = 12
"""The maximum number of answers that are shown as evidence; the latest are shown."""


@dataclass(slots=True)
class Answer:
    """The events of one answer in the log.

    Attributes:
        started: the ordinals of the events that began it.
        pieces: its text, piece by piece.
        ended: the ordinal, the status and the text of each event that ended it.
        after: the ordinals of its events after its end.
    """

    id: str
    started: list[int] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    ended: list[tuple[int, str, str]] = field(default_factory=list)
    after: list[int] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Add an event of the answer."""
        if self.ended:
            self.after.append(event.ordinal)
        match event.payload:
            case InferenceStartedEvent():
                self.started.append(event.ordinal)
            case TokensDeltaEvent(chunk=chunk):
                self.pieces.append(chunk)
            case InferenceFinishedEvent(text=text) | InferenceStoppedEvent(text=text):
                status = FINISHED if isinstance(event.payload, InferenceFinishedEvent) else STOPPED
                self.ended.append((event.ordinal, status, text))

    @property
    def status(self) -> str:
        """The status of the answer."""
        return self.ended[0][1] if self.ended else STREAMING

    def to_json(self) -> Json:
        """Return the answer as evidence of a check."""
        shown: dict[str, Json] = {"answer": self.id, "started": list[Json](self.started), "pieces": len(self.pieces)}
        shown["ended"] = [f"{status} at {ordinal}" for ordinal, status, _ in self.ended]
        shown["after its end"] = list[Json](self.after)
        return shown


def answers(events: Iterable[Event]) -> list[Answer]:
    """Return the answers of a log, in the order in which they began."""
    found: dict[str, Answer] = {}
    for event in events:
        match event.payload:
            case InferenceStartedEvent() | TokensDeltaEvent() | InferenceFinishedEvent() | InferenceStoppedEvent():
                message_id = event.payload.message_id
                found.setdefault(message_id, Answer(message_id)).take(event)
    return list(found.values())


def one_answer(prompts: Sequence[str], events: Sequence[Event], *, sending: bool = False) -> Check:
    """Check that every prompt, even if sent several times, is in the log once and has one answer.

    Args:
        prompts: the prompts that were sent, each once, in order.
        events: the log.
        sending: whether a prompt is being sent at the moment; the check then waits.
    """
    accepted = [event.payload for event in events if isinstance(event.payload, UserMessageAcceptedEvent)]
    taken = [message.content for message in accepted]
    times = Counter(answer.id for answer in answers(events) for _ in answer.started)
    wrong = [
        f"{prompt!r} was sent {count(sent, 'time')} and taken {count(took, 'time')}"
        for prompt in dict.fromkeys([*prompts, *taken])
        if (sent := prompts.count(prompt)) != (took := taken.count(prompt))
    ]
    wrong += [
        f"{message.message_id} has {count(times[_answer_to(message)], 'answer')}"
        for message in accepted
        if times[_answer_to(message)] != 1
    ]
    found = answers(events)
    wrong += [f"{answer.id} ended {count(len(answer.ended), 'time')}" for answer in found if len(answer.ended) > 1]
    wrong += [f"{answer.id} never ended, and is not the last" for answer in found[:-1] if not answer.ended]
    return judge(
        "one-answer",
        "Each prompt has exactly one answer, however often it was sent with its key.",
        wrong=[] if sending else few(wrong),
        right=f"{count(len(prompts), 'prompt')}, {count(len(found), 'answer')}",
        evidence={"sent": list[Json](prompts), "taken": list[Json](taken), "answers": _shown(found)},
        waiting="a prompt is being sent" if sending else "" if prompts else "no prompt has been sent yet",
    )


def stop_stops(events: Sequence[Event], timeline: Sequence[ChatMessageEntity]) -> Check:
    """Check that a stopped answer has no later events, and that the timeline keeps its text."""
    stopped = [answer for answer in answers(events) if answer.status == STOPPED]
    kept = {message.message_id: message for message in timeline}
    wrong = [f"{answer.id} was stopped, but continued at {answer.after[0]}" for answer in stopped if answer.after]
    for answer in stopped:
        message = kept.get(answer.id)
        if message is None or (message.status, message.text) != (STOPPED, answer.ended[0][2]):
            wrong.append(f"{answer.id} was stopped, but the timeline has another text or status")
    return judge(
        "stop-stops",
        "Stop really stops: a stopped answer has no later events, and its text stays.",
        wrong=few(wrong),
        right=f"{len(stopped)} stopped, without later events",
        evidence=_shown(stopped),
        waiting="" if stopped else "no answer has been stopped yet: stream a long one, and stop it",
    )


def pieces_add_up(events: Sequence[Event], timeline: Sequence[ChatMessageEntity]) -> Check:
    """Check that the pieces of an answer add up to its text, in the log and on the timeline."""
    finished = [answer for answer in answers(events) if answer.status == FINISHED]
    kept = {message.message_id: message.text for message in timeline}
    wrong: list[str] = []
    for answer in finished:
        streamed, final = "".join(answer.pieces), answer.ended[0][2]
        if streamed != final:
            wrong.append(f"{answer.id} was streamed as {len(streamed)} characters and finished with {len(final)}")
        elif kept.get(answer.id) != final:
            wrong.append(f"{answer.id} is on the timeline with another text")
    return judge(
        "pieces-add-up",
        "An answer is the sum of its pieces, at its end and on the timeline.",
        wrong=few(wrong),
        right=f"{count(len(finished), 'answer')} finished, each with the text of its pieces",
        evidence=_shown(finished),
        waiting="" if finished else "no answer has finished yet",
    )


def _answer_to(message: UserMessageAcceptedEvent) -> str:
    return message.message_id.removesuffix("-user")


def _shown(of: Sequence[Answer]) -> Json:
    return [answer.to_json() for answer in of[-SHOWN:]]
