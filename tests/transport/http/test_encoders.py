"""AG-UI and the UI message stream: whenever a client joins, and whatever happens, it ends with the right messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import LiveEvents, Snapshot, TimelineEntity, UIEvent
from sessionstream.transport.http.agui import Run
from sessionstream.transport.http.chat import (
    ChatChange,
    ChatItem,
    ChatMapping,
    ChatMessage,
    ChatState,
    MessageRemoved,
    TextDelta,
    ToolCall,
    UserMessage,
)
from sessionstream.transport.http.transcript import (
    Appended,
    Closed,
    Opened,
    Rewritten,
    StateChanged,
    Transcript,
    shown,
    text_of,
)
from sessionstream.transport.http.ui_message_stream import Answer, question_of_what_goes_on, ui_messages
from sessionstream.v1.transport_pb2 import EntityChanged, EntityDeleted

SEPARATOR = "\x1f"
KINDS: dict[str, type[ChatMessage] | type[ToolCall] | type[ChatState]] = {
    cls.__name__: cls for cls in (ChatMessage, ToolCall, ChatState)
}


def written(item: ChatItem | ChatState) -> StringValue:
    return StringValue(value=json.dumps([type(item).__name__, asdict(item)]))


def read(payload: Any) -> Any:
    name, fields = json.loads(payload.value)
    return KINDS[name](**fields)


def message_of(entity: TimelineEntity) -> Any:
    return None if entity.kind == "Other" else read(entity.payload)


def changes_of(event: UIEvent) -> Iterable[ChatChange]:
    payload: Any = event.payload
    if event.name == "Grown":
        return [TextDelta(*payload.value.split(SEPARATOR))]
    return [MessageRemoved(payload.value) if event.name == "Removed" else read(payload)]


def command_of(message: UserMessage) -> tuple[str, StringValue]:
    return "Say", StringValue(value=message.text)


MAPPING = ChatMapping(message=message_of, changes=changes_of, command=command_of)


def put(item: ChatItem | ChatState) -> UIEvent:
    return UIEvent("Put", written(item))


def grown(message_id: str, text: str) -> UIEvent:
    return UIEvent("Grown", StringValue(value=SEPARATOR.join((message_id, text))))


def snapshot(ordinal: int, items: Iterable[ChatItem | ChatState]) -> Snapshot:
    entities = [
        TimelineEntity(type(item).__name__, f"{getattr(item, 'name', '')}/{item.id}", written(item), 1, 1)
        for item in items
    ]
    return Snapshot("s", ordinal, (*entities, TimelineEntity("Other", "x", StringValue(), 1, 1)))


@dataclass
class AGUIClient:
    """What the official client does with events; what is fatal for it is an error here.

    Attributes:
        messages: contents by id; of tool calls their arguments, and under ``ID-result`` their results.
        open: ids and roles.
    """

    messages: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    state: dict[str, Any] | None = None
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

    def _messages_snapshot(self, *, messages: Sequence[dict[str, Any]], **_: object) -> None:
        self.messages = {}
        for message in messages:
            calls = message.get("toolCalls")
            self.messages[message["id"]] = calls[0]["function"]["arguments"] if calls else message["content"]

    def _begin(self, item_id: str, role: str) -> None:
        assert item_id not in self.open
        self.open[item_id] = role
        self.messages.setdefault(item_id, "")

    def _append(self, item_id: str, role: str, delta: str) -> None:
        assert self.open[item_id] == role
        self.messages[item_id] += delta

    def _close(self, item_id: str, role: str) -> None:
        assert self.open.pop(item_id) == role

    def _text_message_start(self, *, messageId: str, role: str, **_: object) -> None:  # noqa: N803
        assert role in ("assistant", "user", "system")
        self._begin(messageId, "text")

    def _text_message_content(self, *, messageId: str, delta: str, **_: object) -> None:  # noqa: N803
        self._append(messageId, "text", delta)

    def _text_message_end(self, *, messageId: str, **_: object) -> None:  # noqa: N803
        self._close(messageId, "text")

    def _reasoning_start(self, *, messageId: str, **_: object) -> None:  # noqa: N803
        self._begin(messageId, "span")

    def _reasoning_message_start(self, *, messageId: str, role: str, **_: object) -> None:  # noqa: N803
        assert role == "reasoning"
        self._close(messageId, "span")
        self._begin(messageId, "reasoning")

    def _reasoning_message_content(self, *, messageId: str, delta: str, **_: object) -> None:  # noqa: N803
        self._append(messageId, "reasoning", delta)

    def _reasoning_message_end(self, *, messageId: str, **_: object) -> None:  # noqa: N803
        self._close(messageId, "reasoning")
        self._begin(messageId, "span")

    def _reasoning_end(self, *, messageId: str, **_: object) -> None:  # noqa: N803
        self._close(messageId, "span")

    def _tool_call_start(self, *, toolCallId: str, toolCallName: str, **_: object) -> None:  # noqa: N803
        assert toolCallName
        self._begin(toolCallId, "tool")

    def _tool_call_args(self, *, toolCallId: str, delta: str, **_: object) -> None:  # noqa: N803
        self._append(toolCallId, "tool", delta)

    def _tool_call_end(self, *, toolCallId: str, **_: object) -> None:  # noqa: N803
        self._close(toolCallId, "tool")

    def _tool_call_result(self, *, messageId: str, toolCallId: str, content: str, **_: object) -> None:  # noqa: N803
        assert toolCallId in self.messages
        assert toolCallId not in self.open
        self.messages[messageId] = content

    def _state_snapshot(self, *, snapshot: dict[str, Any], **_: object) -> None:
        self.state = snapshot

    def _state_delta(self, *, delta: list[dict[str, Any]], **_: object) -> None:
        assert self.state is not None
        for operation in delta:
            name = operation["path"].removeprefix("/").replace("~1", "/").replace("~0", "~")
            if operation["op"] == "add":
                self.state[name] = operation["value"]
            else:
                del self.state[name]  # KeyError: nothing is there

    def _run_finished(self, **_: object) -> None:
        assert not self.open
        self.ended = "finished"

    def _run_error(self, *, code: str, **_: object) -> None:
        self.ended = code


@dataclass
class AISDKClient:
    """What the official client does with the parts of one message; what it refuses is an error here.

    Attributes:
        parts: texts by id; of tool calls what was said of them last.
        open: ids of texts.
    """

    parts: dict[str, Any] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    data: dict[tuple[str, str], Any] = field(default_factory=dict)
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
                case {"type": "text-start" | "reasoning-start", "id": id}:
                    assert id not in self.parts
                    self.parts[id] = ""
                    self.open.add(id)
                case {"type": "text-delta" | "reasoning-delta", "id": id, "delta": delta}:
                    assert id in self.open
                    self.parts[id] += delta
                case {"type": "text-end" | "reasoning-end", "id": id}:
                    self.open.remove(id)
                case {"type": "tool-input-start", "toolCallId": id}:
                    assert id not in self.parts
                    self.parts[id] = ""
                case {"type": "tool-input-delta", "toolCallId": id, "inputTextDelta": delta}:
                    self.parts[id] += delta  # TypeError: its input is complete
                case {"type": "tool-input-available", "toolCallId": id, "input": given}:
                    assert isinstance(self.parts[id], str)
                    self.parts[id] = (given,)
                case {"type": "tool-output-available", "toolCallId": id, "output": output}:
                    self.parts[id] = (*self.parts[id], output)
                    assert len(self.parts[id]) == 2
                case {"type": "tool-output-error", "toolCallId": id, "errorText": error}:
                    self.parts[id] = (*self.parts[id], error)
                case {"type": "tool-input-error", "toolCallId": id, "input": given, "errorText": error}:
                    assert isinstance(self.parts[id], str)
                    self.parts[id] = (given, error)
                case {"type": kind, "id": id, "data": value} if kind.startswith("data-"):
                    self.data[kind.removeprefix("data-"), id] = value
                case {"type": "finish" | "abort" | "error" as ended}:
                    assert not self.open
                    self.ended = ended
                case _:
                    raise AssertionError(part)


SCHEDULES = 1_500
"""Random histories, told from a random moment on. Each is short, so that they differ."""


def any_message(random: Random) -> ChatMessage:
    role = random.choice(["assistant", "assistant", "reasoning", "user", "run"])
    state = random.choice(["open", "open", "open", "done", "stopped", "failed"])
    return ChatMessage(random.choice("123"), role, any_text(random), state)  # type: ignore[arg-type]


def any_call(random: Random) -> ToolCall:
    call, output, error = (
        random.choice("123"),
        random.choice(["sunny", {"sky": "blue"}, None]),
        random.choice(["", "no"]),
    )
    if random.random() < 0.3:
        state = random.choice(["open", "open", "failed", "stopped"])
        return ToolCall(call, "look", random.choice(["{", '{"a']), state)  # type: ignore[arg-type]
    state = random.choice(["open", "running", "running", "done", "stopped", "failed"])
    return ToolCall(call, "look", "{}", state, output, error)  # type: ignore[arg-type]


def any_part(random: Random) -> ChatState:
    return ChatState(random.choice(["plan", "a/b~c"]), random.choice([1, {"x": [2]}, None]), random.choice(["", "7"]))


def any_text(random: Random) -> str:
    return "".join(random.choices("ab", k=random.randrange(3)))


def any_history(random: Random) -> list[tuple[str, Any]]:
    history: list[tuple[str, Any]] = []
    for _ in range(random.randrange(12)):
        match random.randrange(10):
            case 0 | 1 | 2:
                history.append(("put", any_message(random)))
            case 3 | 4 | 5:
                history.append(("put", any_call(random)))
            case 6:
                history.append(("put", any_part(random)))
            case 7 | 8:
                history.append(("grow", (random.choice("123"), any_text(random))))
            case _:
                history.append(random.choice([("remove", "1"), ("lose", "2"), ("snapshot", ""), ("unset", "")]))
    return history


class Truth:
    """What a session has."""

    def __init__(self) -> None:
        self.items: dict[str, ChatItem] = {}
        self.state: dict[tuple[str, str], ChatState] = {}

    def happens(self, ordinal: int, what: str, value: Any) -> Snapshot | LiveEvents:
        """Change it, and return how a watch tells it."""
        if what == "put" and isinstance(value, ChatState):
            self.state.pop((value.name, value.id), None)
            if value.value is not None:
                self.state[value.name, value.id] = value
            return LiveEvents(ordinal, (put(value),))
        if what == "put":
            self.items[value.id] = value
            return LiveEvents(ordinal, (put(value),))
        if what == "grow" and (old := self.items.get(value[0])) is not None and old.state == "open":
            grow = {"input" if isinstance(old, ToolCall) else "text": text_of(old) + value[1]}
            self.items[old.id] = replace(old, **grow)
            return LiveEvents(ordinal, (grown(*value),))
        if what == "unset":
            self.state.clear()
        if what in ("remove", "lose"):
            self.items.pop(value, None)
        if what == "lose":
            return LiveEvents(ordinal, (UIEvent("Removed", StringValue(value=value)),))
        return snapshot(ordinal, (*self.items.values(), *self.state.values()))


def shown_by_agui(truth: Truth) -> dict[str, str]:
    """What a client of AG-UI has in the end."""
    found = {}
    for item in shown(truth.items):
        found[item.id] = text_of(item)
        if isinstance(item, ToolCall) and item.state == "done":
            found[f"{item.id}-result"] = item.output if isinstance(item.output, str) else json.dumps(item.output)
        elif isinstance(item, ToolCall) and item.state == "failed":
            found[f"{item.id}-result"] = item.error or "the call has failed"
    return found


def state_of(truth: Truth) -> dict[str, Any]:
    state = {part.name: part.value for part in truth.state.values() if not part.id}
    return state | {part.name: {part.id: part.value} for part in truth.state.values() if part.id}


def test_the_agui_client_has_everything() -> None:
    for seed in range(SCHEDULES):
        agui_has_everything(Random(seed))


def agui_has_everything(random: Random) -> None:
    history, joined_at, known = any_history(random), random.randrange(4), random.sample("123", random.randrange(3))
    transcript, truth = Transcript(MAPPING), Truth()
    transcript.apply(snapshot(0, ()))
    run = Run("s", "r", None, transcript)
    client = AGUIClient(messages=dict.fromkeys(known, "held before"))
    joined = False
    for ordinal, (what, value) in enumerate(history, 1):
        if ordinal > joined_at and not joined:
            client.hear(run.begin())
            joined = True
        changes = transcript.apply(truth.happens(ordinal, what, value))
        assert (transcript.messages, transcript.state) == (truth.items, truth.state)
        if joined:
            client.hear(run.changes(changes))
            assert client.messages == shown_by_agui(truth)
            assert set(client.open) == {item.id for item in shown(truth.items) if item.state == "open"}
    if not joined:
        client.hear(run.begin())
    client.hear(run.finish())
    assert client.messages == shown_by_agui(truth)
    assert (client.state or {}) == state_of(truth)


def shown_by_the_ai_sdk(item: ChatItem) -> Any:
    if not isinstance(item, ToolCall):
        return item.text
    if item.state == "open" or (item.state == "stopped" and not item.has_json_input):
        return item.input
    given = json.loads(item.input) if item.has_json_input else item.input
    if item.state == "done":
        return (given, item.output)
    return (given, item.error or "the call has failed") if item.state == "failed" else (given,)


def test_the_ai_sdk_client_has_the_answer_or_an_error() -> None:
    for seed in range(SCHEDULES):
        ai_sdk_has_the_answer(Random(seed))


def ai_sdk_has_the_answer(random: Random) -> None:
    history, joined_at = any_history(random), random.randrange(4)
    transcript, truth = Transcript(MAPPING), Truth()
    transcript.apply(snapshot(0, ()))
    answer, client, joined = Answer(None, transcript), AISDKClient(), False
    for ordinal, (what, value) in enumerate(history, 1):
        if ordinal > joined_at and not joined:
            client.hear(answer.begin())
            joined = True
        changes = transcript.apply(truth.happens(ordinal, what, value))
        if joined and not answer.ended:
            client.hear(answer.changes(changes))
            if not client.ended:
                assert {each: shown_by_the_ai_sdk(truth.items[each]) for each in client.parts} == client.parts
    if not joined:
        client.hear(answer.begin())
    client.hear(answer.finish())
    assert client.ended
    assert not client.open
    if client.ended != "error":
        held = {key: value for key, value in client.data.items() if value is not None}
        assert held == {(name, part_id or name): part.value for (name, part_id), part in truth.state.items()}
    json.dumps(ui_messages(transcript))


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


def test_what_goes_on() -> None:
    transcript = Transcript(MAPPING)
    call, open_run = ToolCall("c", "look", "{}", "running"), ChatMessage("r", "run", "", "open")
    histories: list[tuple[list[ChatItem], bool]] = [
        ([], False),
        ([call], True),
        ([replace(call, state="done")], False),
        ([replace(call, state="done"), open_run], True),
        ([call, ChatMessage("r", "run")], False),  # what a run has left open does not keep it open
    ]
    for items, expected in histories:
        transcript.apply(snapshot(1, items))
        assert transcript.runs == expected
    client = AGUIClient()
    run = Run("s", "r", None, transcript)
    client.hear([*run.begin(), *run.finish()])
    assert client.ended == "finished"


def test_a_part_of_the_state_that_comes_and_goes_at_once() -> None:
    transcript = Transcript(MAPPING)
    transcript.apply(snapshot(1, [ChatState("plan", 1)]))
    run, client = Run("s", "r", None, transcript), AGUIClient()
    client.hear(run.begin())
    events = (put(ChatState("files", "x", "a")), put(ChatState("files", None, "a")), put(ChatState("plan", 2)))
    client.hear(run.changes(transcript.apply(LiveEvents(2, events))))
    assert client.state == {"plan": 2}


def test_an_entity_that_becomes_something_else_leaves_nothing_behind() -> None:
    transcript = Transcript(ChatMapping(message=message_of, command=command_of))
    transcript.apply(snapshot(0, ()))

    def changed(item: ChatItem | ChatState | None) -> LiveEvents:
        told = EntityChanged(kind="Other" if item is None else "Thing", id="1")
        told.payload.Pack(StringValue() if item is None else written(item))
        return LiveEvents(transcript.ordinal + 1, (UIEvent("EntityChanged", told),))

    transcript.apply(changed(ChatMessage("m", "assistant", "a")))
    transcript.apply(changed(ChatState("plan", 1)))
    assert (transcript.messages, list(transcript.state)) == ({}, [("plan", "")])
    deleted = UIEvent("EntityDeleted", EntityDeleted(kind="Other", id="1"))
    assert transcript.apply(LiveEvents(3, (deleted,))) == []
    gone = UIEvent("EntityDeleted", EntityDeleted(kind="Thing", id="1"))
    assert transcript.apply(LiveEvents(4, (gone,))) == [StateChanged(ChatState("plan", None))]
    assert not transcript.state


def test_messages_of_an_answer_are_one_message_of_the_ai_sdk() -> None:
    transcript = Transcript(MAPPING)
    items: list[ChatItem | ChatState] = [
        ChatMessage("u1", "user", "hi"),
        ChatMessage("r1", "reasoning", "hm"),
        ToolCall("c1", "look", '{"at": 1}', "done", ["x"]),
        ToolCall("c2", "look", '{"at', "failed", None, "no"),
        ToolCall("c3", "look", "{}", "stopped"),
        ChatMessage("a1", "assistant", "yes"),
        ChatMessage("u2", "user", "and?"),
        ChatMessage("a2", "assistant", "done before the call"),
        ToolCall("c4", "look", "{}", "running"),
        ChatState("plan", [1]),
    ]
    transcript.apply(snapshot(1, items))
    plan = {"type": "data-plan", "id": "plan", "data": [1]}
    answer = [
        {"type": "reasoning", "text": "hm", "state": "done"},
        {"type": "tool-look", "toolCallId": "c1", "input": {"at": 1}, "state": "output-available", "output": ["x"]},
        {"type": "tool-look", "toolCallId": "c2", "rawInput": '{"at', "state": "output-error", "errorText": "no"},
        {"type": "tool-look", "toolCallId": "c3", "input": {}, "state": "input-available"},
        {"type": "text", "text": "yes", "state": "done"},
    ]
    found = ui_messages(transcript)  # the second answer is going on: whoever resumes gets all of it
    assert [(each["id"], each["role"]) for each in found] == [("u1", "user"), ("r1", "assistant"), ("u2", "user")]
    assert found[1]["parts"] == [*answer, plan]
    resumed, client = Answer(question_of_what_goes_on(transcript.messages), transcript), AISDKClient()
    client.hear(resumed.begin())
    assert client.parts == {"a2": "done before the call", "c4": ({},)}
    transcript.apply(LiveEvents(2, (put(ToolCall("c4", "look", "{}", "done", 3)),)))
    assert [len(each["parts"]) for each in ui_messages(transcript)] == [1, 5, 1, 3]


def test_an_answer_ends_as_its_last_message() -> None:
    transcript = Transcript(MAPPING)
    tried = [ChatMessage("a1", "assistant", "no", "failed", "try again"), ChatMessage("a2", "assistant", "ye", "open")]
    transcript.apply(snapshot(1, [ChatMessage("u1", "user", "hi"), *tried]))
    answer, client = Answer("u1", transcript), AISDKClient()
    client.hear(answer.begin())
    client.hear(answer.changes(transcript.apply(LiveEvents(2, (put(ChatMessage("a2", "assistant", "yes")),)))))
    client.hear(answer.finish())
    assert (client.parts, client.ended) == ({"a1": "no", "a2": "yes"}, "finish")


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


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ToolCall("", "look"), ValueError, "needs an id and the name of the tool"),
        (lambda: ToolCall("1", ""), ValueError, "needs an id and the name of the tool"),
        (
            lambda: ToolCall("1", "look", {"at": 1}, "done"),  # type: ignore[arg-type]
            TypeError,
            "the input of tool call '1' is a JSON text, not a dict: json.dumps makes one",
        ),
        (lambda: ChatMessage("1", "user", None), TypeError, "the text of message '1' is a str, not a NoneType"),  # type: ignore[arg-type]
        (lambda: ChatMessage(1, "user", "x"), TypeError, "the id of a chat message is a str, not a int"),  # type: ignore[arg-type]
        (lambda: ToolCall("1", "look", "{}", "odd"), ValueError, "state must be open, running, done"),  # type: ignore[arg-type]
        (lambda: ToolCall("1", "look", "", "running"), ValueError, "the input of tool call '1' is not a JSON text"),
        (lambda: ToolCall("1", "look", "{}", "done", {1}), TypeError, "set is not JSON"),
        (lambda: ToolCall("1", "look", "{}", "done", float("nan")), ValueError, "not JSON compliant"),
        (lambda: ChatState("", 1), ValueError, "needs a name"),
        (lambda: ChatState("plan", object()), TypeError, "object is not JSON"),
    ],
)
def test_tool_calls_and_state_are_checked(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()
