"""AG-UI and the UI message stream: whenever a client joins, and whatever happens, it ends with the right messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given

from sessionstream import LiveEvents, Snapshot, TimelineEntity, UIEvent
from sessionstream.transport.http.agui import Run
from sessionstream.transport.http.chat import (
    ChatChange,
    ChatMapping,
    ChatMessage,
    MessageRemoved,
    TextDelta,
    UserMessage,
)
from sessionstream.transport.http.transcript import Appended, Closed, Opened, Rewritten, Transcript, shown
from sessionstream.transport.http.ui_message_stream import Answer
from sessionstream.v1.transport_pb2 import EntityChanged, EntityDeleted

SEPARATOR = "\x1f"


def written(message: ChatMessage) -> StringValue:
    return StringValue(value=SEPARATOR.join((message.id, message.role, message.text, message.state, message.error)))


def read(payload: Any) -> ChatMessage:
    return ChatMessage(*payload.value.split(SEPARATOR))


def message_of(entity: TimelineEntity) -> ChatMessage | None:
    return read(entity.payload) if entity.kind == "Message" else None


def changes_of(event: UIEvent) -> Iterable[ChatChange]:
    payload: Any = event.payload
    if event.name == "Grown":
        return [TextDelta(*payload.value.split(SEPARATOR))]
    return [MessageRemoved(payload.value) if event.name == "Removed" else read(payload)]


def command_of(message: UserMessage) -> tuple[str, StringValue]:
    return "Say", StringValue(value=message.text)


MAPPING = ChatMapping(message=message_of, changes=changes_of, command=command_of)


def put(message: ChatMessage) -> UIEvent:
    return UIEvent("Put", written(message))


def grown(message_id: str, text: str) -> UIEvent:
    return UIEvent("Grown", StringValue(value=SEPARATOR.join((message_id, text))))


def snapshot(ordinal: int, messages: Iterable[ChatMessage]) -> Snapshot:
    entities = [TimelineEntity("Message", message.id, written(message), 1, 1) for message in messages]
    return Snapshot("s", ordinal, (*entities, TimelineEntity("Other", "x", StringValue(), 1, 1)))


@dataclass
class AGUIClient:
    """What the official client does with events; what is fatal for it is an error here."""

    messages: dict[str, str] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    ended: str = ""
    started: bool = False

    def hear(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            assert not self.ended, "an event after the end"
            assert self.started or event["type"] == "RUN_STARTED"
            assert None not in event.values(), "null is fatal"
            getattr(self, f"_{event['type'].lower()}")(**event)

    def _run_started(self, *, threadId: str, runId: str, **_: object) -> None:  # noqa: N803 - the protocol's
        assert (threadId, runId, self.started) == ("s", "r", False)
        self.started = True

    def _messages_snapshot(self, *, messages: Sequence[dict[str, str]], **_: object) -> None:
        self.messages = {message["id"]: message["content"] for message in messages}

    def _text_message_start(self, *, messageId: str, **_: object) -> None:  # noqa: N803
        assert messageId not in self.open
        self.open.add(messageId)
        self.messages.setdefault(messageId, "")

    def _text_message_content(self, *, messageId: str, delta: str, **_: object) -> None:  # noqa: N803
        assert messageId in self.open
        self.messages[messageId] += delta

    def _text_message_end(self, *, messageId: str, **_: object) -> None:  # noqa: N803
        self.open.remove(messageId)

    def _run_finished(self, **_: object) -> None:
        assert not self.open
        self.ended = "finished"

    def _run_error(self, *, code: str, **_: object) -> None:
        self.ended = code


@dataclass
class AISDKClient:
    """What the official client does with the parts of one message; what it refuses is an error here."""

    parts: dict[str, str] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    started: bool = False
    ended: str = ""

    def hear(self, parts: Iterable[dict[str, Any]]) -> None:
        for part in parts:
            assert not self.ended, "a part after the end"
            assert self.started or part["type"] in ("start", "error")
            match part:
                case {"type": "start"}:
                    assert not self.started
                    self.started = True
                case {"type": "text-start", "id": id}:
                    assert id not in self.parts
                    self.parts[id] = ""
                    self.open.add(id)
                case {"type": "text-delta", "id": id, "delta": delta}:
                    assert id in self.open
                    self.parts[id] += delta
                case {"type": "text-end", "id": id}:
                    self.open.remove(id)
                case {"type": "finish" | "abort" | "error" as ended}:
                    assert not self.open
                    self.ended = ended
                case _:
                    raise AssertionError(part)


TEXTS = st.text("ab", max_size=3)
IDS = st.sampled_from(["1", "2", "3"])
STATES = st.sampled_from(["open", "open", "open", "done", "stopped", "failed"])
ROLES = st.sampled_from(["assistant", "assistant", "user", "run"])
PUTS = st.tuples(st.just("put"), st.builds(ChatMessage, IDS, ROLES, TEXTS, STATES))
GROWS = st.tuples(st.just("grow"), st.tuples(IDS, TEXTS))
OTHERS = st.sampled_from([("remove", "1"), ("lose", "2"), ("snapshot", "")])
HISTORY = st.lists(st.one_of(PUTS, GROWS, GROWS, OTHERS), max_size=25)


@given(HISTORY, st.integers(0, 25), st.sets(IDS))
def test_the_agui_client_has_every_message(history: list[tuple[str, Any]], joined_at: int, known: set[str]) -> None:
    transcript, truth = Transcript(MAPPING), dict[str, ChatMessage]()
    transcript.apply(snapshot(0, ()))
    run = Run("s", "r", None, transcript)
    client = AGUIClient(messages=dict.fromkeys(known, "held before"))
    joined = False
    for ordinal, (what, value) in enumerate(history, 1):
        if ordinal > joined_at and not joined:
            client.hear(run.begin())
            joined = True
        update = happens(truth, ordinal, what, value)
        changes = transcript.apply(update)
        assert transcript.messages == truth
        if joined:
            client.hear(run.changes(changes))
    if not joined:
        client.hear(run.begin())
    client.hear(run.finish())
    assert client.messages == {message.id: message.text for message in shown(truth)}


def happens(truth: dict[str, ChatMessage], ordinal: int, what: str, value: Any) -> Snapshot | LiveEvents:
    """Change the messages, and return how a watch tells it."""
    if what == "put":
        truth[value.id] = value
        return LiveEvents(ordinal, (put(value),))
    if what == "grow" and (old := truth.get(value[0])) is not None and old.state == "open":
        truth[old.id] = ChatMessage(old.id, old.role, old.text + value[1], old.state, old.error)
        return LiveEvents(ordinal, (grown(*value),))
    if what in ("remove", "lose"):
        truth.pop(value, None)
    if what == "lose":
        return LiveEvents(ordinal, (UIEvent("Removed", StringValue(value=value)),))
    return snapshot(ordinal, truth.values())


@given(HISTORY, st.integers(0, 25))
def test_the_ai_sdk_client_has_the_answer_or_an_error(history: list[tuple[str, Any]], joined_at: int) -> None:
    transcript, truth = Transcript(MAPPING), dict[str, ChatMessage]()
    transcript.apply(snapshot(0, ()))
    answer, client, joined = Answer(None, transcript), AISDKClient(), False
    for ordinal, (what, value) in enumerate(history, 1):
        if ordinal > joined_at and not joined:
            client.hear(answer.begin())
            joined = True
        changes = transcript.apply(happens(truth, ordinal, what, value))
        if joined and not answer.ended:
            client.hear(answer.changes(changes))
            if not client.ended:
                assert {each: truth[each].text for each in client.parts} == client.parts
    if not joined:
        client.hear(answer.begin())
    client.hear(answer.finish())
    assert client.ended
    assert not client.open


def test_the_answer_is_what_follows_the_question() -> None:
    transcript = Transcript(MAPPING)
    old, asked = ChatMessage("a0", "assistant", "old"), ChatMessage("u1", "user", "hi")
    transcript.apply(snapshot(3, [old, asked]))
    answer, client = Answer("u1", transcript), AISDKClient()
    client.hear(answer.begin())
    assert not client.started
    opened = ChatMessage("a1", "assistant", "", "open")
    for ordinal, event in enumerate(
        [put(opened), grown("a1", "Hel"), grown("a1", "lo"), put(ChatMessage("a1", "assistant", "Hello"))], 4
    ):
        client.hear(answer.changes(transcript.apply(LiveEvents(ordinal, (event,)))))
    client.hear(answer.finish())
    assert (client.parts, client.ended) == ({"a1": "Hello"}, "finish")
    again = AISDKClient()  # sent twice: the answer is complete before the snapshot
    complete = Answer("u1", transcript)
    again.hear(complete.begin())
    again.hear(complete.finish())
    assert (again.parts, again.ended) == ({"a1": "Hello"}, "finish")


def test_entity_changes_need_no_mapping_of_ui_events() -> None:
    transcript = Transcript(ChatMapping(message=message_of, command=command_of))
    transcript.apply(snapshot(0, ()))
    opened, closed = ChatMessage("1", "assistant", "a", "open"), ChatMessage("1", "assistant", "ab")
    found: list[Any] = []
    for ordinal, message in enumerate([opened, closed], 1):
        changed = EntityChanged(kind="Message", id="1", created_ordinal=1, last_event_ordinal=ordinal)
        changed.payload.Pack(written(message))
        other = EntityChanged(kind="Other", id="x")
        other.payload.Pack(StringValue())
        events = (UIEvent("EntityChanged", changed), UIEvent("EntityChanged", other), UIEvent("More", StringValue()))
        found += transcript.apply(LiveEvents(ordinal, events))
    deleted = UIEvent("EntityDeleted", EntityDeleted(kind="Message", id="1"))
    found += transcript.apply(LiveEvents(3, (deleted, deleted)))
    assert found == [Opened(opened), Appended(closed, "b"), Closed(closed), Rewritten("1", None)]


def test_ends() -> None:
    for state, agui, sdk in (
        ("done", "finished", "finish"),
        ("stopped", "finished", "abort"),
        ("failed", "message_failed", "error"),
    ):
        transcript = Transcript(MAPPING)
        transcript.apply(snapshot(1, [ChatMessage("1", "assistant", "a", "open")]))
        run, answer = Run("s", "r", None, transcript), Answer(None, transcript)
        clients = AGUIClient(), AISDKClient()
        clients[0].hear(run.begin())
        clients[1].hear(answer.begin())
        changes = transcript.apply(LiveEvents(2, (put(ChatMessage("1", "assistant", "ab", state, "why")),)))  # type: ignore[arg-type]
        clients[0].hear(run.changes(changes))
        clients[1].hear(answer.changes(changes))
        events = list(run.finish())
        assert (events[-1].get("outcome") == {"type": "cancelled"}) == (state == "stopped")
        clients[0].hear(events)
        clients[1].hear(answer.finish())
        assert [client.ended for client in clients] == [agui, sdk]
        assert (clients[0].messages, clients[1].parts) == ({"1": "ab"}, {"1": "ab"})


def test_text_for_a_message_that_is_not_there_names_it() -> None:
    transcript = Transcript(MAPPING)
    transcript.apply(snapshot(0, ()))
    with pytest.raises(ValueError, match="appends text to message '7', which is not in the session"):
        transcript.apply(LiveEvents(1, (grown("7", "x"),)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("", "user"), "needs an id"), (("1", "me"), "role must be"), (("1", "user", "", "odd"), "state must be")],
)
def test_a_message_is_checked(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ChatMessage(*arguments)
