"""Checks of the chat: right logs pass them, and each kind of wrong log fails the one that is about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream import Event
from sessionstream.examples.chatdemo.messages import FINISHED, STOPPED
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    InferenceFinishedEvent,
    InferenceStartedEvent,
    InferenceStoppedEvent,
    InferenceTraceEvent,
    TokensDeltaEvent,
    UserMessageAcceptedEvent,
)
from sessionstream.systemlab.answers import one_answer, pieces_add_up, stop_stops

if TYPE_CHECKING:
    from google.protobuf.message import Message


def log(*payloads: Message) -> list[Event]:
    return [Event("Any", payload, "s", ordinal) for ordinal, payload in enumerate(payloads, start=1)]


def asked(number: int = 1, prompt: str = "hi") -> Message:
    return UserMessageAcceptedEvent(message_id=f"m-{number}-user", content=prompt)


def began(number: int = 1) -> Message:
    return InferenceStartedEvent(message_id=f"m-{number}")


def said(chunk: str, number: int = 1) -> Message:
    return TokensDeltaEvent(message_id=f"m-{number}", chunk=chunk)


def finished(text: str, number: int = 1) -> Message:
    return InferenceFinishedEvent(message_id=f"m-{number}", text=text)


def stopped(text: str, number: int = 1) -> Message:
    return InferenceStoppedEvent(message_id=f"m-{number}", text=text)


def message(text: str, status: str = FINISHED, number: int = 1) -> ChatMessageEntity:
    return ChatMessageEntity(message_id=f"m-{number}", text=text, status=status)


WHOLE = (asked(), began(), said("a"), said("b"), finished("ab"))


def test_a_prompt_has_one_answer() -> None:
    assert one_answer([], []).verdict == "waiting"
    assert one_answer(["hi"], log(*WHOLE)).verdict == "passed"
    assert one_answer(["hi", "ho"], log(*WHOLE, asked(2, "ho"), began(2))).verdict == "passed"


def test_a_prompt_that_is_taken_twice_or_not_at_all_is_seen() -> None:
    twice = one_answer(["hi"], log(asked(), began(), stopped(""), asked(2), began(2)))
    assert (twice.verdict, twice.because) == ("failed", "'hi' was sent 1 time and taken 2 times")
    assert one_answer(["hi"], []).because == "'hi' was sent 1 time and taken 0 times"
    assert one_answer(["hi"], [], sending=True).verdict == "waiting"


def test_an_answer_too_many_and_one_too_few_are_seen() -> None:
    assert one_answer(["hi"], log(asked())).because == "m-1-user has 0 answers"
    assert one_answer(["hi"], log(asked(), began(), began())).because == "m-1-user has 2 answers"
    assert one_answer(["hi"], log(*WHOLE, finished("ab"))).because == "m-1 ended 2 times"
    unfinished = log(asked(), began(), asked(2, "ho"), began(2))
    assert one_answer(["hi", "ho"], unfinished).because == "m-1 never ended, and is not the last"


def test_a_stopped_answer_is_silent_and_stays() -> None:
    events = log(asked(), began(), said("a"), stopped("a"), InferenceTraceEvent(message_id="m-1"))
    assert stop_stops(log(*WHOLE), [message("ab")]).verdict == "waiting"
    assert stop_stops(events, [message("a", STOPPED)]).verdict == "passed"
    assert (
        stop_stops([*events, *log(said("b"))], [message("a", STOPPED)]).because == "m-1 was stopped, but continued at 1"
    )


def test_a_stopped_answer_that_is_not_on_the_timeline_as_it_was_is_seen() -> None:
    events = log(asked(), began(), said("a"), stopped("a"))
    for timeline in ([], [message("ab", STOPPED)], [message("a")]):
        assert stop_stops(events, timeline).because == "m-1 was stopped, but the timeline has another text or status"


def test_pieces_make_the_text() -> None:
    assert pieces_add_up([], []).verdict == "waiting"
    assert pieces_add_up(log(*WHOLE), [message("ab")]).verdict == "passed"


def test_a_piece_too_many_and_another_text_on_the_timeline_are_seen() -> None:
    more = log(asked(), began(), said("a"), said("?"), said("b"), finished("ab"))
    assert pieces_add_up(more, [message("ab")]).because == "m-1 was streamed as 3 characters and finished with 2"
    assert pieces_add_up(log(*WHOLE), [message("a")]).because == "m-1 is on the timeline with another text"
    assert pieces_add_up(log(*WHOLE), []).verdict == "failed"
