"""The chat endpoints beyond what the official clients show: wrong requests, and streams that end early."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from starlette.applications import Starlette
from starlette.routing import Mount

from sessionstream import Event, Hub, SchemaRegistry, SQLiteStore, StoreError, TimelineEntity, UIEvent
from sessionstream.transport.http import (
    Admitted,
    AGUIEndpoint,
    AISDKEndpoint,
    ChatMapping,
    ChatMessage,
    StreamLimits,
    UserMessage,
    agui_endpoint,
    ai_sdk_endpoint,
)

from ..running import PATIENCE, served
from .support import client, code

SEPARATOR = "|"


class Refused(ValueError):
    """What a handler raises for a client's mistake."""


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_command("Ask", StringValue)
    registry.register_event("Written", StringValue)
    registry.register_ui_event("Written", StringValue)
    registry.register_timeline_entity("Message", StringValue)
    return registry


def written(message_id: str, role: str, text: str, state: str = "done", error: str = "") -> Event:
    return Event("Written", StringValue(value=SEPARATOR.join((message_id, role, text, state, error))), "s")


def message_of(value: Any) -> ChatMessage:
    return ChatMessage(*value.value.split(SEPARATOR))


def command_of(message: UserMessage) -> tuple[str, StringValue]:
    if message.text == "unmappable":
        raise KeyError("no command")
    return "Ask", StringValue(value=json.dumps([message.id, message.text, sorted(message.extra)]))


MAPPING = ChatMapping(
    message=lambda entity: message_of(entity.payload),
    changes=lambda event: [message_of(event.payload)],
    command=command_of,
)


class World:
    """A hub whose command publishes the question, and then what the test says."""

    def __init__(self, store: Any = None) -> None:
        self.hub = Hub(schemas(), store=store)
        self.asked: list[Any] = []
        self.go_on = asyncio.Event()
        self.hub.register_command("Ask", self._ask)
        self.hub.register_ui_projection(lambda event, *_: [UIEvent("Written", event.payload)])
        self.hub.register_timeline_projection(
            lambda event, *_: [TimelineEntity("Message", event.payload.value.split(SEPARATOR)[0], event.payload)]
        )

    async def _ask(self, command: Any, session: Any, publisher: Any) -> None:
        message_id, text, _ = asked = json.loads(command.payload.value)
        self.asked.append(asked)
        if text == "refuse":
            raise Refused("not like this")
        if text == "break":
            raise RuntimeError("secret")
        await publisher.publish(written(message_id, "user", text))
        answer = f"a{message_id[1:]}"
        await publisher.publish(written(answer, "assistant", "Hel", "open"))
        await self.go_on.wait()
        if text == "fail":
            await publisher.publish(written(answer, "assistant", "Hel", "failed", "out of tokens"))
        else:
            await publisher.publish(written(answer, "assistant", "Hello"))


Endpoint = AGUIEndpoint | AISDKEndpoint


@asynccontextmanager
async def serving(world: World, make: Any, **options: Any) -> AsyncIterator[tuple[httpx2.AsyncClient, Endpoint]]:
    endpoint = make(world.hub, MAPPING, errors={Refused: 422}, **options)
    async with client(Starlette(routes=[Mount("/chat", endpoint)])) as http:
        yield http, endpoint
        world.go_on.set()
        await endpoint.shutdown()
    assert endpoint.streams == 0
    await world.hub.shutdown()


def asking(text: str, message_id: str = "u1") -> dict[str, Any]:
    """A request that both protocols take."""
    message = {"id": message_id, "role": "user", "content": text, "parts": [{"type": "text", "text": text}]}
    return {"threadId": "s", "runId": "r", "id": "s", "messages": [message], "more": 1}


class Stream:
    """What has come of one response."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.pings = 0

    async def next(self) -> dict[str, Any] | None:
        """Return the next event; None at the end."""
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if line.startswith(":"):
                    self.pings += 1
                if line.startswith("data: {"):
                    found: dict[str, Any] = json.loads(line[6:])
                    return found
        return None

    async def until(self, kind: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        while not events or events[-1]["type"] != kind:
            came = await self.next()
            assert came is not None, f"no {kind} in {events}"
            events.append(came)
        return events

    async def rest(self) -> list[dict[str, Any]]:
        events = []
        while (came := await self.next()) is not None:
            events.append(came)
        return events


@asynccontextmanager
async def streaming(http: httpx2.AsyncClient, body: Any, **options: Any) -> AsyncIterator[Stream]:
    async with http.stream("POST", "/chat/", json=body, **options) as response:
        assert response.status_code == 200, await response.aread()
        yield Stream(response)


BOTH = pytest.mark.parametrize("make", [agui_endpoint, ai_sdk_endpoint])
CONTENT = {agui_endpoint: "TEXT_MESSAGE_CONTENT", ai_sdk_endpoint: "text-delta"}
END = {agui_endpoint: "RUN_FINISHED", ai_sdk_endpoint: "finish"}
ERROR = {agui_endpoint: ("RUN_ERROR", "message"), ai_sdk_endpoint: ("error", "errorText")}


@BOTH
async def test_headers_and_the_question(make: Any) -> None:
    world = World()
    async with serving(world, make) as (http, _), streaming(http, asking("hi")) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache, no-transform", "no")
        world.go_on.set()
        assert (await stream.until(END[make]))[-1]["type"] == END[make]
        assert await stream.rest() == []
    ((message_id, text, extra),) = world.asked
    assert (message_id, text, "more" in extra, "messages" in extra) == ("u1", "hi", True, False)


@BOTH
async def test_a_handler_that_returns_before_the_watch_has_told_its_events(make: Any) -> None:
    world = World()
    world.go_on.set()
    async with serving(world, make) as (http, _):
        for number in range(20):
            async with streaming(http, {**asking("hi", f"u{number}")}) as stream:
                events = await stream.rest()
                text = "".join(event["delta"] for event in events if event["type"] == CONTENT[make])
                assert text.endswith("Hello")


@BOTH
async def test_a_client_that_leaves_does_not_stop_the_answer(make: Any) -> None:
    world = World()
    async with serving(world, make) as (http, endpoint):
        async with streaming(http, asking("hi")) as stream:
            await stream.until(CONTENT[make])
        async with asyncio.timeout(PATIENCE):
            while endpoint.streams:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.005)
        world.go_on.set()
        async with streaming(http, asking("hi")) as stream:  # sent again: the answer of the first
            assert "Hel" in json.dumps(await stream.rest())
        assert len(world.asked) == 1
        assert len(await world.hub._store.events("s")) == 3


@BOTH
async def test_errors_of_the_handler(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    kind, field = ERROR[make]
    async with serving(world, make) as (http, _):
        async with streaming(http, asking("refuse", "u1")) as stream:
            last = (await stream.rest())[-1]
            assert (last["type"], last[field]) == (kind, "not like this")
        async with streaming(http, asking("break", "u2")) as stream:
            last = (await stream.rest())[-1]
            assert (last["type"], last[field]) == (kind, "the command failed; the server's log says why")
        assert "RuntimeError: secret" in caplog.text
        async with streaming(http, asking("fail", "u3")) as stream:
            await stream.until(CONTENT[make])
            world.go_on.set()
            last = (await stream.rest())[-1]
            assert (last["type"], last[field]) == (kind, "out of tokens")


@BOTH
async def test_a_mapping_that_is_wrong_reaches_the_log(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    async with serving(world, make) as (http, _):
        refused = await http.post("/chat/", json=asking("unmappable"))
        assert code(refused) == (500, "internal")
        assert "no command" in caplog.text
        caplog.clear()
        async with streaming(http, asking("hi")) as stream:
            await stream.until(CONTENT[make])
            await world.hub.publish(written("z", "nobody", ""))
            assert (await stream.rest())[-1]["type"] == ERROR[make][0]
        assert "role must be user, assistant, system, reasoning or run" in caplog.text
        assert code(await http.post("/chat/", json=asking("hi"))) == (500, "internal")


@BOTH
async def test_a_store_that_fails(make: Any, tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", schemas()) as store:
        world = World(store)
        async with serving(world, make) as (http, _):
            states = world.hub.states

            async def failing(*_: object, **__: object) -> Any:
                raise StoreError("the disk is gone")

            world.hub.states = failing  # type: ignore[method-assign]
            response = await http.post("/chat/", json=asking("hi"))
            assert code(response) == (503, "unavailable")
            assert response.headers["retry-after"] == "5"
            world.hub.states = states  # type: ignore[method-assign]


@BOTH
async def test_heartbeats(make: Any) -> None:
    world = World()
    limits = StreamLimits(heartbeat_seconds=0.02)
    async with serving(world, make, limits=limits) as (http, _), streaming(http, asking("hi")) as stream:
        await stream.until(CONTENT[make])

        async def go_on() -> None:
            async with asyncio.timeout(PATIENCE):
                while stream.pings < 4:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.005)
            world.go_on.set()

        going = asyncio.create_task(go_on())
        await stream.rest()
        await going


@BOTH
@pytest.mark.parametrize("how", ["revoked", "expired", "shutdown", "hub"])
async def test_streams_that_the_server_ends(make: Any, how: str) -> None:
    world = World()

    def authenticate(scope: Any) -> Admitted:
        return Admitted("ann", until=datetime.now(UTC) + timedelta(seconds=0.3) if how == "expired" else None)

    async with serving(world, make, authenticate=authenticate) as (http, endpoint):
        async with streaming(http, asking("hi")) as stream:
            await stream.until(CONTENT[make])
            ending: asyncio.Task[None] | None = None
            if how == "revoked":
                assert await endpoint.revoke("bob") == await endpoint.revoke("ann", "t") == 0
                assert await endpoint.revoke("ann", "s") == 1
            elif how == "shutdown":
                ending = asyncio.create_task(endpoint.shutdown())
            elif how == "hub":
                ending = asyncio.create_task(world.hub.shutdown())
            assert (await stream.rest())[-1]["type"] == ERROR[make][0]
        world.go_on.set()
        if ending is not None:
            await ending
        if how == "shutdown":
            assert code(await http.post("/chat/", json=asking("hi"))) == (503, "shutting_down")


@BOTH
async def test_too_many_streams(make: Any) -> None:
    world = World()
    async with (
        serving(world, make, limits=StreamLimits(streams=1)) as (http, _),
        streaming(http, asking("hi")) as stream,
    ):
        await stream.until(CONTENT[make])
        assert code(await http.post("/chat/", json=asking("hi"))) == (503, "busy")


@BOTH
async def test_too_many_streams_of_one_principal(make: Any) -> None:
    world = World()
    options = {"authenticate": lambda scope: dict(scope["headers"])[b"x-user"].decode()}
    ann, bob = {"x-user": "ann"}, {"x-user": "bob"}
    limits = StreamLimits(streams_per_principal=1)
    async with (
        serving(world, make, limits=limits, **options) as (http, _),
        streaming(http, asking("hi"), headers=ann) as stream,
        streaming(http, asking("hi"), headers=bob),
    ):
        await stream.until(CONTENT[make])
        assert code(await http.post("/chat/", json=asking("hi"), headers=ann)) == (503, "busy")


WRONG: list[tuple[Any, str]] = [
    ([], "not a JSON object"),
    ({**asking("x"), "messages": 3}, "messages"),
    ({**asking("x"), "messages": [3]}, "messages"),
    ({**asking("x"), "threadId": "", "id": 3}, "is not a text"),
    ({**asking("x"), "messages": [{"role": "user", "content": "x", "parts": []}]}, "has no id"),
    ({**asking("x"), "messages": [{"id": "1", "role": "user", "content": 3, "parts": 3}]}, "has no id"),
]


@BOTH
@pytest.mark.parametrize(("body", "words"), WRONG)
async def test_requests_that_are_wrong(make: Any, body: Any, words: str) -> None:
    world = World()
    async with serving(world, make) as (http, _):
        response = await http.post("/chat/", json=body)
        assert code(response) == (400, "invalid_request")
        assert words in response.json()["error"]["message"]
        assert not world.asked


@BOTH
async def test_who_may_ask(make: Any) -> None:
    world = World()

    def authenticate(scope: Any) -> str | None:
        return dict(scope["headers"]).get(b"x-user", b"").decode() or None

    def authorize(principal: str, session_id: str) -> bool:
        return principal == "ann"

    options = {"authenticate": authenticate, "authorize": authorize}
    async with serving(world, make, **options) as (http, _):
        body = asking("hi")
        assert code(await http.post("/chat/", json=body)) == (401, "not_signed_in")
        assert code(await http.post("/chat/", json=body, headers={"x-user": "bob"})) == (403, "forbidden")
        origin = {"x-user": "ann", "origin": "https://evil.example"}
        assert code(await http.post("/chat/", json=body, headers=origin)) == (403, "origin_not_allowed")
        assert code(await http.post("/chat/", content=b"{", headers={"x-user": "ann"})) == (415, "not_json")
        bad = {**body, "threadId": "a\0b", "id": "a\0b"}
        assert code(await http.post("/chat/", json=bad, headers={"x-user": "ann"})) == (400, "invalid_id")
        assert code(await http.put("/chat/", json=body)) == (405, "method_not_allowed")
        assert not world.asked


@BOTH
async def test_a_message_id_that_cannot_be_kept(make: Any) -> None:
    async with serving(World(), make) as (http, _):
        assert code(await http.post("/chat/", json=asking("hi", "x" * 2000))) == (400, "invalid_id")


@BOTH
async def test_a_message_id_leaves_room_for_the_ids_of_its_answer(make: Any) -> None:
    """Applications name the answer by the message, as in answer-ID: a timeline could not keep such an id."""
    world = World()
    world.go_on.set()
    async with serving(world, make) as (http, _):
        refused = await http.post("/chat/", json=asking("hi", "ü" * 256 + "x"))
        assert code(refused) == (400, "invalid_id")
        assert "513 bytes of UTF-8, and at most 512 fit" in refused.text
        assert not world.asked
        assert (await http.post("/chat/", json=asking("hi", "ü" * 256))).status_code == 200


@BOTH
async def test_content_in_parts(make: Any) -> None:
    world = World()
    world.go_on.set()
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    message = {"id": "u1", "role": "user", "content": parts, "parts": parts}
    async with serving(world, make) as (http, _), streaming(http, {**asking(""), "messages": [message]}) as stream:
        await stream.rest()
    assert world.asked[0][1] == "ab"


@BOTH
async def test_an_application_gets_the_parts_that_are_no_text(make: Any) -> None:
    asked: list[UserMessage] = []

    def command(message: UserMessage) -> Any:
        asked.append(message)
        return command_of(message)

    mapping = replace(MAPPING, command=command)
    parts = [{"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAAA"}]
    message = {"id": "u1", "role": "user", "content": parts, "parts": parts}
    world = World()
    world.go_on.set()
    endpoint = make(world.hub, mapping)
    async with client(Starlette(routes=[Mount("/chat", endpoint)])) as http:
        async with streaming(http, {**asking(""), "messages": [message]}) as stream:
            await stream.rest()
        await endpoint.shutdown()
    await world.hub.shutdown()
    assert [(each.text, each.content) for each in asked] == [("", parts)]


async def test_agui_without_a_question() -> None:
    async with serving(World(), agui_endpoint) as (http, _):
        for messages in ([], [{"id": "1", "role": "assistant", "content": "x"}]):
            async with streaming(http, {"threadId": "s", "runId": "r", "messages": messages}) as stream:
                events = await stream.rest()
                assert [event["type"] for event in events] == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"]


async def test_the_ai_sdk_s_other_requests() -> None:
    world = World()
    async with serving(world, ai_sdk_endpoint) as (http, _):
        again = {**asking("x"), "trigger": "regenerate-message"}
        assert code(await http.post("/chat/", json=again)) == (400, "invalid_request")
        assert (await http.get("/chat/s/stream")).status_code == 204
        assert (await http.get("/chat/s/messages")).json() == []
        await world.hub.publish(written("u", "user", "é"))
        await world.hub.publish(written("r", "run", "", "open"))
        await world.hub.publish(written("a", "assistant", "x", "open"))
        found = await http.get("/chat/s/messages")
        assert found.json() == [{"id": "u", "role": "user", "parts": [{"type": "text", "text": "é", "state": "done"}]}]
        async with http.stream("GET", "/chat/s/stream") as response:
            assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
            stream = Stream(response)
            await stream.until("text-delta")
            await world.hub.publish(written("a", "assistant", "xy"))
            await world.hub.publish(written("r", "run", ""))
            assert [event["type"] for event in await stream.rest()] == ["text-delta", "text-end", "finish"]


async def test_the_ai_sdk_is_told_to_reload_when_the_answer_was_rewritten() -> None:
    world = World()
    async with serving(world, ai_sdk_endpoint) as (http, _), streaming(http, asking("hi")) as stream:
        await stream.until("text-delta")
        await world.hub.publish(written("a1", "assistant", "other", "open"))
        events = await stream.rest()
        assert [event["type"] for event in events] == ["text-end", "error"]
        assert "reload the page" in events[-1]["errorText"]


@BOTH
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_bytes": 0}, ValueError, "max_bytes"),
        ({"limits": {"streams": 3}}, TypeError, "limits must be a StreamLimits"),
        ({"heartbeat_seconds": 1}, TypeError, "unexpected keyword argument 'heartbeat_seconds'"),
        ({"errors": {Refused: 200}}, ValueError, "between 400 and 599"),
        ({"errors": {"x": 400}}, TypeError, "no exception class"),
        ({"authorize": 3}, TypeError, "authorize"),
        ({"allowed_origins": ["nonsense"]}, ValueError, "origin"),
    ],
)
def test_arguments(make: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make(Hub(schemas()), MAPPING, **options)
    with pytest.raises(TypeError, match="must have a method watch"):
        make(object(), MAPPING)
    with pytest.raises(TypeError, match="must be a ChatMapping"):
        make(Hub(schemas()), None)


@BOTH
async def test_a_repeat_of_an_interrupted_command_is_told(make: Any, tmp_path: Path) -> None:
    """The handler has published an open message and failed: whoever sends the question again does not wait for ever."""
    world = World()

    async def interrupted(command: Any, session: Any, publisher: Any) -> None:
        await publisher.publish(written("u1", "user", "hi"))
        await publisher.publish(written("a1", "assistant", "Hel", "open"))
        raise RuntimeError("the process of the model has died")

    world.hub._commands._handlers["Ask"] = interrupted
    async with serving(world, make) as (http, _):
        for _ in range(2):
            async with streaming(http, asking("hi")) as stream:
                assert (await stream.rest())[-1]["type"] == ERROR[make][0]


@BOTH
async def test_another_message_with_the_same_id_is_a_conflict(make: Any) -> None:
    world = World()
    world.go_on.set()
    async with serving(world, make) as (http, _):
        async with streaming(http, asking("hi")) as stream:
            await stream.until(END[make])
        async with streaming(http, asking("edited")) as stream:
            last = (await stream.rest())[-1]
            assert (last["type"], "another command" in last[ERROR[make][1]]) == (ERROR[make][0], True)
    assert len(world.asked) == 1


@BOTH
async def test_ids_that_the_mapping_changes_reach_the_log(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.go_on.set()
    mapping = ChatMapping(
        message=lambda entity: None, changes=lambda event: [], command=command_of, runs=lambda messages: False
    )
    endpoint = make(world.hub, mapping)
    async with client(Starlette(routes=[Mount("/chat", endpoint)])) as http:
        async with streaming(http, asking("hi")) as stream:
            await stream.until(END[make])
        await endpoint.shutdown()
    assert "the command for message 'u1' has returned, and session 's' has no message with that id" in caplog.text


@BOTH
@pytest.mark.parametrize(
    ("functions", "words"),
    [
        ({"message": lambda entity: entity.kind}, "must return ChatMessages, ToolCalls and ChatStates, not 'Message'"),
        ({"changes": lambda event: ["x"]}, "must return ChatMessages, ToolCalls and ChatStates, not 'x'"),
        ({"command": lambda message: None}, "must return the name and the payload of a command, not None"),
    ],
)
async def test_a_mapping_that_returns_something_else_is_named_in_the_log(
    make: Any, functions: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.go_on.set()
    await world.hub.publish(written("u0", "user", "before"))
    functions = {"message": lambda entity: None, "changes": lambda event: [], "command": command_of} | functions
    endpoint = make(world.hub, ChatMapping(**functions))
    async with client(Starlette(routes=[Mount("/chat", endpoint)])) as http:
        response = await http.post("/chat/", json=asking("hi"))
        assert response.status_code == 500 or ERROR[make][0] in response.text
        await endpoint.shutdown()
    assert words in caplog.text


@BOTH
async def test_text_that_is_no_unicode(make: Any) -> None:
    async with serving(World(), make) as (http, _):
        body = json.dumps(asking("\ud800")).encode()
        refused = await http.post("/chat/", content=body, headers={"content-type": "application/json"})
        assert code(refused) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["message", "command", "changes", "runs"])
def test_a_mapping_has_functions(name: str) -> None:
    functions: dict[str, Any] = {"message": message_of, "command": command_of, name: 3}
    with pytest.raises(TypeError, match=f"{name} must be a function, not 3"):
        ChatMapping(**functions)


@BOTH
async def test_a_server_that_gives_up_its_requests_ends_the_streams(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """uvicorn cancels what has not ended after ``--timeout-graceful-shutdown``."""
    world = World()
    endpoint = make(world.hub, MAPPING)
    rest: list[dict[str, Any]] = []
    app = Starlette(routes=[Mount("/chat", endpoint)])
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        async with served(app, timeout_graceful_shutdown=0.1) as address:
            http.base_url = address.replace("ws:", "http:")
            heard = asyncio.Event()

            async def follow() -> None:
                async with streaming(http, asking("hi")) as stream:
                    await stream.until(CONTENT[make])
                    heard.set()
                    rest.extend(await stream.rest())

            following = asyncio.create_task(follow())
            await heard.wait()
        await following
    assert rest[-1]["type"] == ERROR[make][0]
    assert "Exception in ASGI application" not in caplog.text
    world.go_on.set()
    await endpoint.shutdown()
    await world.hub.shutdown()


async def _with_what_vanished(path: Path) -> None:
    """Make a session with two messages of a class that a later process does not know."""
    earlier = SchemaRegistry()
    earlier.register_event("Vanished", Int64Value)
    earlier.register_timeline_entity("Message", Int64Value)
    async with SQLiteStore.open(path, earlier) as store, Hub(earlier, store=store) as hub:
        hub.register_timeline_projection(
            lambda event, *_: [TimelineEntity("Message", str(event.ordinal), Int64Value(value=1))]
        )
        for number in range(2):
            await hub.publish(Event("Vanished", Int64Value(value=number), "s"))


@BOTH
async def test_a_message_that_cannot_be_read_costs_nobody_the_others(make: Any, tmp_path: Path) -> None:
    await _with_what_vanished(tmp_path / "x.db")
    async with SQLiteStore.open(tmp_path / "x.db", schemas()) as store:
        world = World(store)
        world.go_on.set()
        async with serving(world, make) as (http, _):
            for number in range(2):
                async with streaming(http, asking("hi", f"u{number}")) as stream:
                    events = await stream.rest()
                text = "".join(event["delta"] for event in events if event["type"] == CONTENT[make])
                assert (text[-5:], events[-1]["type"]) == ("Hello", END[make]), events
            if make is ai_sdk_endpoint:
                found = (await http.get("/chat/s/messages")).json()
                assert [each["id"] for each in found] == ["u0", "a0", "u1", "a1"]
        (record,) = await store.error_records("s")
        assert (record.kind, record.metadata["entityId"], record.metadata["entities"]) == ("fanout", "1", "2")


@BOTH
async def test_a_hub_that_is_shut_down_answers_as_a_server_that_is(make: Any) -> None:
    world = World()
    async with serving(world, make) as (http, _):
        await world.hub.shutdown()
        assert code(await http.post("/chat/", json=asking("hi"))) == (503, "shutting_down")
