"""The chat: streaming, stopping, replacing, numbering, tracing, and what may not go wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from sessionstream import CommandUnfinished, Event, Hub, HubClosed, HydrationStore, MemoryStore, Snapshot
from sessionstream.examples.chatdemo import Chat, EmptyPromptError, InferenceEngine, chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    InferenceStoppedEvent,
    InferenceTraceEvent,
    StartInferenceCommand,
    TokensDeltaEvent,
)

if TYPE_CHECKING:
    from tests.examples.conftest import OpenStore, Recorder

FOR_EVER = 3600.0
"""A delay after which nothing comes: the answer stays at its first piece until somebody ends it."""


def texts(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    entities = [(entity.id, cast("ChatMessageEntity", entity.payload)) for entity in snapshot.entities]
    return [(name, message.status, message.text) for name, message in entities]


async def ask(chat: Chat, prompt: str, session_id: str = "s-1") -> list[tuple[str, str, str]]:
    await chat.start(session_id, prompt)
    await chat.wait(session_id)
    return texts(await chat.hub.snapshot(session_id))


async def names_in_log(store: HydrationStore, session_id: str = "s-1") -> list[str]:
    return [event.name for event in await store.events(session_id)]


async def test_characters_are_not_split(recorder: Recorder) -> None:
    prompt = '👋🏽 zwölf Grüße\n"quoted" \\ 你好'
    async with Chat(fanout=recorder, delay=0) as chat:
        assert (await ask(chat, prompt))[1] == ("chat-msg-1", "finished", f"Answer: {prompt}")
    chunks = [update.chunk for *_, name, update in recorder.updates if name == "ChatMessageAppended"]
    assert [len(chunk) for chunk in chunks[:-1]] == [10] * (len(chunks) - 1)
    assert "".join(chunks) == f"Answer: {prompt}"


async def test_an_answer_outlives_whoever_asked() -> None:
    async with Chat(delay=0.001) as chat:
        await asyncio.create_task(chat.start("s-1", "Explain ordinals"))
        waiting = asyncio.create_task(chat.wait("s-1"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        await chat.wait("s-1")
        assert texts(await chat.hub.snapshot("s-1"))[1][1:] == ("finished", "Answer: Explain ordinals")


class GatedStore(MemoryStore):
    """Holds every commit until the gate is open, and says when one has come to it."""

    def __init__(self) -> None:
        super().__init__(chat_schemas())
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    def commit(self, commit: object, /) -> asyncio.Future[None]:
        async def late() -> None:
            self.reached.set()
            await self.gate.wait()
            await MemoryStore.commit(self, commit)  # type: ignore[arg-type]

        return asyncio.ensure_future(late())


async def test_a_start_that_is_cancelled_half_way_is_completed_or_never_was() -> None:
    store = GatedStore()
    async with Chat(store=store, delay=0) as chat:
        submitting = asyncio.create_task(chat.start("s-1", "Explain ordinals", idempotency_key="k"))
        await store.reached.wait()
        submitting.cancel()
        store.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        await chat.wait("s-1")
        assert (await chat.hub.snapshot("s-1")).snapshot_ordinal == 6
        with pytest.raises(CommandUnfinished):
            await chat.start("s-1", "Explain ordinals", idempotency_key="k")
        assert await chat.hub.event_cursor("s-1") == 6


async def test_stopping_keeps_what_was_said(reopen: OpenStore, recorder: Recorder) -> None:
    async with reopen() as store, Chat(store=store, fanout=recorder, delay=FOR_EVER) as chat:
        await chat.start("s-1", "Explain ordinals")
        await recorder.until("ChatMessageAppended")
        await chat.stop("s-1")
        await chat.wait("s-1")
        assert texts(await chat.hub.snapshot("s-1"))[1] == ("chat-msg-1", "stopped", "Answer: Ex")
        *_, last = await store.events("s-1")
    assert last.ordinal == 4
    assert cast("InferenceStoppedEvent", last.payload).text == "Answer: Ex"
    _, _, name, update = recorder.updates[-1]
    assert (name, update.text, update.content, update.status) == ("ChatMessageStopped", *["Answer: Ex"] * 2, "stopped")
    assert not update.streaming


async def test_stopping_nothing_does_nothing(recorder: Recorder) -> None:
    async with Chat(fanout=recorder, delay=0) as chat:
        await chat.stop("s-1")
        assert await chat.hub.event_cursor("s-1") == 0
        await ask(chat, "Explain ordinals")
        await chat.stop("s-1")
        assert await chat.hub.event_cursor("s-1") == 6


async def test_a_new_prompt_stops_the_running_answer_first(recorder: Recorder) -> None:
    async with Chat(fanout=recorder, delay=FOR_EVER) as chat:
        await chat.start("s-1", "first")
        await recorder.until("ChatMessageAppended")
        await chat.start("s-1", "second")
        assert recorder.messages()[2:6] == [
            ("ChatMessageAppended", "chat-msg-1"),
            ("ChatMessageStopped", "chat-msg-1"),
            ("ChatMessageAccepted", "chat-msg-2-user"),
            ("ChatMessageStarted", "chat-msg-2"),
        ]


async def test_starts_of_one_session_are_taken_one_by_one() -> None:
    async with Chat(delay=FOR_EVER) as chat:
        await asyncio.gather(*(chat.start("s-1", f"prompt {number}") for number in range(5)))
        entities = texts(await chat.hub.snapshot("s-1"))
    assert [name for name, *_ in entities] == [
        name for number in range(1, 6) for name in (f"chat-msg-{number}-user", f"chat-msg-{number}")
    ]
    assert [status for _, status, _ in entities[1::2]] == ["stopped"] * 4 + ["streaming"]


async def test_sessions_do_not_share_numbers_or_answers(recorder: Recorder) -> None:
    async with Chat(fanout=recorder, delay=FOR_EVER) as chat:
        await chat.start("s-1", "one")
        await chat.start("s-2", "two")
        await recorder.until("ChatMessageAppended", "s-2")
        await chat.stop("s-1")
        assert recorder.messages("s-2")[1] == ("ChatMessageStarted", "chat-msg-1")
        assert texts(await chat.hub.snapshot("s-2"))[1][1] == "streaming"


async def test_ids_do_not_collide_after_a_restart(reopen: OpenStore) -> None:
    async with reopen() as store, Chat(store=store, delay=0) as chat:
        await ask(chat, "before")
    async with reopen() as store, Chat(store=store, delay=0) as chat:
        after = await ask(chat, "after")
    assert [name for name, *_ in after] == ["chat-msg-1-user", "chat-msg-1", "chat-msg-2-user", "chat-msg-2"]
    assert [text for *_, text in after] == ["before", "Answer: before", "after", "Answer: after"]


async def interrupted(store: HydrationStore) -> None:
    """Leave a session the way a killed process does: an answer that is streaming, and nobody who streams it."""
    whole = MemoryStore(chat_schemas())
    async with Chat(store=whole, delay=0) as chat:
        await ask(chat, "Explain ordinals")
    async with Chat(store=store) as chat:
        for event in await whole.events("s-1", limit=4):
            await chat.hub.publish(Event(event.name, event.payload, event.session_id))


async def test_an_answer_lost_in_a_crash_is_declared_stopped_by_the_next_start(
    reopen: OpenStore, recorder: Recorder
) -> None:
    async with reopen() as store:
        await interrupted(store)
    async with reopen() as store, Chat(store=store, fanout=recorder, delay=0) as chat:
        assert texts(await chat.hub.snapshot("s-1"))[1][1] == "streaming"
        entities = await ask(chat, "again")
    assert recorder.messages()[:2] == [("ChatMessageStopped", "chat-msg-1"), ("ChatMessageAccepted", "chat-msg-2-user")]
    assert entities[1] == ("chat-msg-1", "stopped", "Answer: Explain ordi")
    assert entities[3] == ("chat-msg-2", "finished", "Answer: again")


async def test_an_answer_lost_in_a_crash_can_be_stopped(reopen: OpenStore) -> None:
    async with reopen() as store:
        await interrupted(store)
    async with reopen() as store, Chat(store=store) as chat:
        await chat.stop("s-1")
        assert texts(await chat.hub.snapshot("s-1"))[1][1:] == ("stopped", "Answer: Explain ordi")


async def test_a_straggler_cannot_revive_a_stopped_answer(recorder: Recorder) -> None:
    async with Chat(fanout=recorder, delay=FOR_EVER) as chat:
        await chat.start("s-1", "Explain ordinals")
        await recorder.until("ChatMessageAppended")
        await chat.stop("s-1")
        seen = len(recorder.updates)
        late = TokensDeltaEvent(message_id="chat-msg-1", chunk="late", status="streaming", streaming=True)
        await chat.hub.publish(Event("ChatTokensDelta", late, "s-1"))
        assert texts(await chat.hub.snapshot("s-1"))[1][1:] == ("stopped", "Answer: Ex")
        assert len(recorder.updates) == seen


@pytest.mark.parametrize("prompt", ["", "  \n"])
async def test_an_empty_prompt_is_refused_and_changes_nothing(recorder: Recorder, prompt: str) -> None:
    async with Chat(fanout=recorder, delay=FOR_EVER) as chat:
        await chat.start("s-1", "Explain ordinals")
        await recorder.until("ChatMessageAppended")
        with pytest.raises(EmptyPromptError, match="ChatStartInference needs a prompt"):
            await chat.start("s-1", prompt)
        assert texts(await chat.hub.snapshot("s-1"))[1][1] == "streaming"
        await chat.start("s-1", "another")
        await chat.stop("s-1")
        assert len((await chat.hub.snapshot("s-1")).entities) == 4


async def test_traces_are_published_only_when_asked_for(recorder: Recorder) -> None:
    quiet, traced = MemoryStore(chat_schemas()), MemoryStore(chat_schemas())
    async with Chat(store=quiet, delay=0) as chat:
        expected = await ask(chat, "Explain ordinals")
    async with Chat(store=traced, fanout=recorder, delay=0, tracing=True) as chat:
        assert await ask(chat, "Explain ordinals") == expected
    assert "ChatInferenceTrace" not in await names_in_log(quiet)
    traces = [event.payload for event in await traced.events("s-1") if event.name == "ChatInferenceTrace"]
    assert [cast("InferenceTraceEvent", trace).stage for trace in traces] == ["started", "finished"]
    assert len(recorder.updates) == 6


async def test_the_log_grows_with_the_answer_not_with_its_square() -> None:
    async def logged_bytes(characters: int) -> int:
        store = MemoryStore(chat_schemas())
        async with Chat(store=store, delay=0) as chat:
            await ask(chat, "x" * characters)
        return sum(event.payload.ByteSize() for event in await store.events("s-1"))

    assert await logged_bytes(8000) < 2.1 * await logged_bytes(4000)


async def test_without_a_delay_others_still_run() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Chat(delay=0) as chat:
        await chat.start("s-1", "x" * 1000)
        counting = asyncio.create_task(count())
        await chat.wait("s-1")
        counting.cancel()
    assert turns > 90


async def test_a_rebuilt_timeline_is_the_same() -> None:
    async with Chat(delay=0) as chat:
        entities = await ask(chat, "Explain ordinals")
        await chat.hub.rebuild_timeline("s-1")
        assert texts(await chat.hub.snapshot("s-1")) == entities


@pytest.mark.parametrize("delay", ["fast", None, [1]], ids=repr)
def test_a_delay_that_is_no_number_is_refused(delay: Any) -> None:
    with pytest.raises(TypeError, match="delay is a number of seconds, not "):
        Chat(delay=delay)


@pytest.mark.parametrize("delay", [-1, float("nan")])
def test_a_delay_that_is_none_is_refused(delay: float) -> None:
    with pytest.raises(ValueError, match="delay is a number of seconds"):
        Chat(delay=delay)


async def test_closing_stops_the_answers_and_leaves_no_task(recorder: Recorder) -> None:
    store = MemoryStore(chat_schemas())
    async with Chat(store=store, fanout=recorder, delay=FOR_EVER) as chat:
        for session_id in ("s-1", "s-2"):
            await chat.start(session_id, "Explain ordinals")
            await recorder.until("ChatMessageAppended", session_id)
        starting = asyncio.create_task(chat.start("s-3", "just now"))
        await asyncio.sleep(0)
    await starting
    assert asyncio.all_tasks() == {asyncio.current_task()}
    for session_id in ("s-1", "s-2", "s-3"):
        assert texts(await store.snapshot(session_id))[1][1] == "stopped"
    with pytest.raises(HubClosed):
        await chat.start("s-1", "too late")


async def test_a_closed_engine_takes_no_more_starts() -> None:
    async with Hub(chat_schemas()) as hub:
        engine = InferenceEngine(hub)
        hub.register_command("ChatStartInference", engine.start)
        await engine.close()
        with pytest.raises(HubClosed):
            await hub.submit("s-1", "ChatStartInference", StartInferenceCommand(prompt="too late"))
        assert await hub.event_cursor("s-1") == 0
