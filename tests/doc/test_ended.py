"""What the pages and the example show of things that end: they end once, whoever says what afterwards."""

from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import Event, Hub, MemoryStore, Snapshot, TimelineEntity, UIEvent, entity_changes
from sessionstream.examples.chatdemo import chat_schemas, project_timeline, project_ui, schemas
from sessionstream.examples.chatdemo.v1 import chat_pb2

from .pages import HELP, blocks
from .run_blocks import named

GUIDE = HELP / "topics" / "sessionstream-user-guide.md"
HOWTOS = {
    "sessionstream-llm-streaming.md": ("model", "conversation", "answers"),
    "sessionstream-ag-ui.md": ("agent",),
    "sessionstream-ai-sdk.md": ("chat",),
}


@contextmanager
def modules(directory: Path) -> Iterator[dict[str, ModuleType]]:
    """The Python files of the how-tos that need no server, imported as their readers import them."""
    names = [name for files in HOWTOS.values() for name in files]
    for howto, files in HOWTOS.items():
        for block in blocks((HELP / "howtos" / howto).read_text("utf-8")):
            if (file := named(block.text)) and Path(file).stem in files:
                (directory / file).write_text(block.text, "utf-8")
    sys.path.insert(0, str(directory))
    try:
        yield {name: __import__(name) for name in names}
    finally:
        sys.path.remove(str(directory))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with modules(tmp_path_factory.mktemp("howto")) as imported:
        yield dict(imported)


class Sent:
    """A fan-out that keeps what it is given."""

    def __init__(self) -> None:
        self.updates: list[Any] = []

    def publish_ui(self, session_id: str, ordinal: int, events: tuple[UIEvent, ...], /) -> None:
        self.updates += [event.payload for event in events]


def howto_app(page: dict[str, Any]) -> tuple[Hub, dict[str, Callable[[], Event]], str]:
    """A hub of the page, its events by what they do to one answer, and that answer's id."""

    def said(name: str, **fields: Any) -> Callable[[], Event]:
        message = {"TextSaid": chat_pb2.TokensDeltaEvent, "AnswerEnded": chat_pb2.InferenceFinishedEvent}[name]
        return lambda: Event(name, message(message_id="reply-1", **fields), "s")

    asked = chat_pb2.UserMessageAcceptedEvent(content="why?")
    events: dict[str, Callable[[], Event]] = {
        "start": lambda: Event("Asked", asked, "s"),
        "piece": said("TextSaid", chunk="more "),
        "finish": said("AnswerEnded", status="finished"),
        "stop": said("AnswerEnded", status="stopped"),
        "fail": said("AnswerEnded", status="failed"),
    }
    return page["conversation"].make_hub(None), events, "reply-1"


def _chat_endpoint_app(module: Any, projection: Any, event: str) -> tuple[Hub, dict[str, Callable[[], Event]], str]:
    """The same of a page on chats over HTTP, whose handlers say with each event what the state of the answer is."""
    hub = Hub(module.schemas)
    hub.register_ui_projection(entity_changes(kind="Message"))
    hub.register_timeline_projection(projection)

    def grown(chunk: str, status: str) -> Callable[[], Event]:
        said = chat_pb2.TokensDeltaEvent(message_id="a", role="assistant", chunk=chunk, status=status)
        return lambda: Event(event, said, "s")

    events = {"start": grown("", "open"), "piece": grown("more ", "open"), "finish": grown("", "done")}
    return hub, events | {"stop": grown("", "stopped"), "fail": grown("", "failed")}, "a"


def agui_app(page: dict[str, Any]) -> tuple[Hub, dict[str, Callable[[], Event]], str]:
    return _chat_endpoint_app(page["agent"], page["agent"].chat, "Said")


def ai_sdk_app(page: dict[str, Any]) -> tuple[Hub, dict[str, Callable[[], Event]], str]:
    return _chat_endpoint_app(page["chat"], page["chat"].messages, "AnswerGrew")


def example_app(_page: dict[str, Any]) -> tuple[Hub, dict[str, Callable[[], Event]], str]:
    """The same of the chat example, whose start can come a second time for an answer that is there."""
    hub = Hub(chat_schemas())
    hub.register_ui_projection(project_ui)
    hub.register_timeline_projection(project_timeline)
    answer = "chat-msg-1"
    started = chat_pb2.InferenceStartedEvent(message_id=answer, prompt="why?", status="streaming", streaming=True)
    delta = chat_pb2.TokensDeltaEvent(message_id=answer, chunk="more ", status="streaming", streaming=True)
    finished = chat_pb2.InferenceFinishedEvent(message_id=answer, text="all of it", status="finished")
    stopped = chat_pb2.InferenceStoppedEvent(message_id=answer, text="a part", status="stopped")
    events: dict[str, Callable[[], Event]] = {
        "start": lambda: Event(schemas.INFERENCE_STARTED, started, "s"),
        "piece": lambda: Event(schemas.TOKENS_DELTA, delta, "s"),
        "finish": lambda: Event(schemas.INFERENCE_FINISHED, finished, "s"),
        "stop": lambda: Event(schemas.INFERENCE_STOPPED, stopped, "s"),
    }
    return hub, events, answer


def state(snapshot: Snapshot, answer: str) -> str:
    return next((str(each.payload) for each in snapshot.entities if each.id == answer), "")


@pytest.mark.parametrize("make", [howto_app, agui_app, ai_sdk_app, example_app])
@given(steps=st.lists(st.sampled_from(["start", "piece", "finish", "stop", "fail"]), max_size=8))
def test_an_answer_that_has_ended_stays_as_it_ended(make: Any, page: dict[str, Any], steps: list[str]) -> None:
    async def main() -> None:
        hub, events, answer = make(page)
        hub.set_fanout(sent := Sent())
        ended = ""
        for step in ["start", *steps]:
            if step not in events:
                continue
            told = len(sent.updates)
            await hub.publish(events[step]())
            after = state(await hub.snapshot("s"), answer)
            if ended:
                assert after == ended
                about = [
                    each
                    for each in sent.updates[told:]
                    if answer in (getattr(each, "message_id", ""), getattr(each, "id", ""))
                ]
                assert about == [], "a page would show it as streaming again"
            elif step in ("finish", "stop", "fail"):
                ended = after
        await hub.shutdown()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["TextSaid", "AnswerEnded"])
async def test_events_of_an_unknown_answer_do_not_hold_the_session(page: dict[str, Any], name: str) -> None:
    hub, _, _ = howto_app(page)
    unknown = {"TextSaid": chat_pb2.TokensDeltaEvent, "AnswerEnded": chat_pb2.InferenceFinishedEvent}[name]
    await hub.publish(Event(name, unknown(message_id="reply-9"), "s"))
    assert (await hub.snapshot("s")).entities == ()
    await hub.shutdown()


async def test_the_how_to_s_new_process_stops_an_answer_and_the_old_one_s_pieces_change_nothing(
    page: dict[str, Any],
) -> None:
    """Two processes of the page on one store: as while a new version is deployed."""
    go_on, said = asyncio.Event(), asyncio.Event()

    async def model(prompt: str) -> Any:
        yield "a first part of it, that is long enough to be said "
        said.set()
        await go_on.wait()
        yield "and a second part of it, that nobody should see any more"

    conversation, answers = page["conversation"], page["answers"]
    store = MemoryStore(conversation.schemas)
    old, new = conversation.make_hub(store), conversation.make_hub(store)
    old_answers, new_answers = answers.Answers(old, model), answers.Answers(new, model)
    await old.submit("s", "Ask", chat_pb2.StartInferenceCommand(prompt="why?"))
    await said.wait()
    assert await new.cursor("s") == 2  # the first part is there
    await new_answers.settle_all(store)
    before = state(await new.snapshot("s"), "reply-1")
    assert 'status: "stopped"' in before
    go_on.set()
    await asyncio.wait(list(old_answers._tasks.values()))
    assert await new.event_cursor("s") == 5  # asked, a part, stopped; the other part, finished
    assert state(await new.snapshot("s"), "reply-1") == before
    assert state(await old.snapshot("s"), "reply-1") == before
    for hub in (old, new):
        await hub.shutdown()


def test_the_guide_s_job_that_was_cancelled_stays_cancelled_by_whom_it_was() -> None:
    (block,) = (block.text for block in blocks(GUIDE.read_text("utf-8")) if "def cancellable_after" in block.text)
    (function,) = (node for node in ast.parse(block).body if getattr(node, "name", "") == "cancellable_after")
    scope: dict[str, Any] = {"ChatMessageEntity": chat_pb2.ChatMessageEntity}
    exec(compile(ast.Module([function], []), str(GUIDE), "exec"), scope)
    job = chat_pb2.ChatMessageEntity(message_id="job-1", text="build", status="cancelled by ada")

    class View:
        def get(self, kind: str, id: str, /) -> TimelineEntity:  # noqa: A002 - as views have it
            return TimelineEntity(kind, id, chat_pb2.ChatMessageEntity.FromString(job.SerializeToString()))

    for event in (
        Event("JobCancelled", StringValue(value="bob"), "s"),
        Event("StepDone", chat_pb2.TokensDeltaEvent(chunk="test"), "s"),
    ):
        assert scope["cancellable_after"](event, View()) == job
