"""Commands over HTTP: what reaches the hub, what each error is told as, who may, and what outlives its client."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from sessionstream import (
    BusError,
    CommandConflict,
    CommitUnknown,
    Event,
    EventConflict,
    EventPublisher,
    Hub,
    HubClosed,
    InvalidIdError,
    LaneReentryError,
    OrdinalConflict,
    OrdinalExhausted,
    PayloadTypeError,
    ProjectionError,
    SchemaRegistry,
    SessionHeld,
    SessionstreamError,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreLost,
    StoreUpgraded,
    UnknownCommandError,
    UnknownSchemaError,
    Unstorable,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.transport.http import Admitted, commands_endpoint
from tests.core.wild import Wild

from ..running import PATIENCE
from .support import SAY, World, client, code, until

HELLO = {"prompt": "hello"}


async def test_a_command_runs_and_is_answered_when_it_is_done() -> None:
    world = World()
    async with client(commands_endpoint(world.hub)) as http:
        done = await http.post(SAY, json=HELLO)
        assert (done.status_code, done.json()) == (200, {})
        assert done.headers["content-type"] == "application/json"
        assert done.headers["cache-control"] == "no-store"
        assert world.ran == [("s", "hello")]
        assert await world.hub.event_cursor("s") == 1


async def test_an_id_with_any_characters() -> None:
    world = World()
    ids = ["a/b", "%2F", "ü ?#&", "a%2Fb", "a//b", "日本", "/", "x" * 1024]
    async with client(commands_endpoint(world.hub)) as http:
        for each in ids:
            done = await http.post(f"/sessions/{quote(each, safe='')}/commands/Say?x=1", json=HELLO)
            assert done.status_code == 200, each
    assert [session_id for session_id, _ in world.ran] == ids


async def test_the_same_key_takes_effect_once() -> None:
    world = World()
    async with client(commands_endpoint(world.hub)) as http:
        for key in ("k-1", '"k-1"', "k-2", '"k-2"'):
            assert (await http.post(SAY, json=HELLO, headers={"Idempotency-Key": key})).status_code == 200
        assert world.ran == [("s", "hello")] * 2
        other = await http.post(SAY, json={"prompt": "another"}, headers={"Idempotency-Key": "k-1"})
        assert code(other) == (409, "command_conflict")
        world.raises("half", RuntimeError("secret"), published=True)
        for expected in ((500, "command_failed"), (409, "command_unfinished")):
            assert code(await http.post(SAY, json={"prompt": "half"}, headers={"Idempotency-Key": "k-3"})) == expected
        twice = await http.post(SAY, json=HELLO, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
        assert code(twice) == (400, "invalid_id")
        for bad in ("", "x" * 1025):
            assert code(await http.post(SAY, json=HELLO, headers={"Idempotency-Key": bad})) == (400, "invalid_id")


NO_COMMANDS: list[tuple[str, str, dict[str, str], bytes, tuple[int, str]]] = [
    ("POST", "/", {}, b"{}", (404, "not_found")),
    ("POST", "/x/sessions/s/commands/Say", {}, b"{}", (404, "not_found")),
    ("POST", "/sessions/s/commands/Say/", {}, b"{}", (404, "not_found")),
    ("POST", "/sessions/s/x/commands/Say", {}, b"{}", (404, "not_found")),
    ("POST", "/sessions/s/commands", {}, b"{}", (404, "not_found")),
    ("POST", "/sessions//commands/Say", {}, b"{}", (400, "invalid_id")),
    ("POST", "/sessions/%00/commands/Say", {}, b"{}", (400, "invalid_id")),
    ("POST", "/sessions/%20/commands/Say", {}, b"{}", (400, "invalid_id")),
    ("POST", "/sessions/%FF/commands/Say", {}, b"{}", (400, "invalid_id")),
    ("POST", "/sessions/" + "x" * 1025 + "/commands/Say", {}, b'{"prompt": "x"}', (400, "invalid_id")),
    ("POST", "/sessions/s/commands/Nonsense", {}, b"{}", (404, "unknown_command")),
    ("POST", "/sessions/s/commands/Unhandled", {}, b"{}", (404, "unknown_command")),
    ("POST", SAY, {}, b"", (400, "invalid_payload")),
    ("POST", SAY, {}, b"[]", (400, "invalid_payload")),
    ("POST", SAY, {}, b"\xff", (400, "invalid_payload")),
    ("POST", SAY, {}, b'{"prompt": 1}', (400, "invalid_payload")),
    ("POST", SAY, {}, b'{"prompt": "a", "prompt": "b"}', (400, "invalid_payload")),
    ("POST", SAY, {}, b'{"nonsense": "a"}', (400, "invalid_payload")),
    ("POST", SAY, {}, b'{"prompt": ' + b"[" * 5_000, (400, "invalid_payload")),
    ("POST", SAY, {"content-type": "text/plain"}, b"{}", (415, "not_json")),
    ("POST", SAY, {"content-type": ""}, b"{}", (415, "not_json")),
    ("POST", SAY, {"content-encoding": "gzip"}, b"{}", (415, "not_json")),
    ("GET", SAY, {}, b"", (405, "method_not_allowed")),
    ("PUT", SAY, {}, b"{}", (405, "method_not_allowed")),
    ("DELETE", SAY, {}, b"", (405, "method_not_allowed")),
]


async def test_requests_that_are_no_commands() -> None:
    world = World()
    async with client(commands_endpoint(world.hub)) as http:
        for method, path, headers, body, expected in NO_COMMANDS:
            sent = {"content-type": "application/json; charset=utf-8"} | headers
            answer = await http.request(method, path, content=body, headers=sent)
            assert code(answer) == expected, (method, path, body)
            assert ("allow" in answer.headers) == (answer.status_code == 405)
    assert await world.hub.event_cursor("s") == 0


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
async def test_a_number_that_json_cannot_say_is_refused_with_the_path_of_its_field(number: str) -> None:
    schemas = SchemaRegistry()
    schemas.register_command("Call", Wild)
    async with client(commands_endpoint(Hub(schemas))) as http:
        body, headers = f'{{"args": {{"x": {number}}}}}', {"content-type": "application/json"}
        answer = await http.post("/sessions/s/commands/Call", content=body, headers=headers)
    assert code(answer) == (400, "invalid_payload")
    where = 'args.fields["x"].number_value' if number.endswith("400") else f"{number} is no JSON"
    assert where in answer.json()["error"]["message"]


async def test_head_and_options_without_a_page() -> None:
    async with client(commands_endpoint(World().hub)) as http:
        head = await http.head(SAY)
        assert (head.status_code, head.headers["allow"], head.content) == (405, "OPTIONS, POST", b"")
        options = await http.options(SAY)
        assert (options.status_code, options.headers["allow"], options.content) == (204, "OPTIONS, POST", b"")
        assert "access-control-allow-methods" not in options.headers


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_has_a_limit(announced: bool) -> None:
    world = World()

    async def pieces() -> Any:
        for _ in range(10):
            yield b" " * 100

    async with client(commands_endpoint(world.hub, max_bytes=500)) as http:
        fits = json.dumps({"prompt": "x" * 486}).encode()
        assert len(fits) == 500
        headers = {"content-type": "application/json"}
        assert (await http.post(SAY, content=fits, headers=headers)).status_code == 200
        body = fits + b" " if announced else pieces()
        assert code(await http.post(SAY, content=body, headers=headers)) == (413, "too_large")
    assert len(world.ran) == 1


async def test_a_body_that_does_not_come() -> None:
    endpoint = commands_endpoint(World().hub, timeout_seconds=0.05)
    async with client(endpoint) as http:
        host, port = http.base_url.host, http.base_url.port
        assert port is not None
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"POST {SAY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode())
        writer.write(b"Content-Length: 20\r\n\r\n{")
        assert b" 408 " in await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        await writer.wait_closed()


FLAWS: list[tuple[str, str]] = [
    ("", "the body is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ('{"prompt": "x"', "the body is not JSON: Expecting ',' delimiter: line 1 column 15 (char 14)"),
    ("[]", "the body is a list: send a JSON object with the fields prompt, messageId"),
    ('{"prompt": 1}', "prompt is a number: send a string"),
    ('{"prompt": "\\ud800"}', "prompt has a character that is not valid Unicode"),
    ('{"nope": 1}', "the body has a field 'nope': it may have prompt, messageId"),
    ('{"prompt": "a", "prompt": "b"}', "the body is not JSON: a key occurs twice among ['prompt', 'prompt']"),
]


@pytest.mark.parametrize(("body", "words"), FLAWS)
async def test_a_payload_that_is_wrong_is_told_where_and_what_is_right(body: str, words: str) -> None:
    async with client(commands_endpoint(World().hub)) as http:
        refused = await http.post(SAY, content=body, headers={"content-type": "application/json"})
        assert code(refused) == (400, "invalid_payload")
        assert refused.json()["error"]["message"] == words


# -- errors of submit --------------------------------------------------------------------------------------


class Empty(ValueError):
    """What an application refuses."""


class Emptier(Empty):
    """The same."""


EVENT = Event("Said", TokensDeltaEvent(), "s", 3)

ERRORS: dict[Exception, tuple[int, str]] = {
    Empty("say something"): (422, "Empty"),
    Emptier("say something"): (422, "Emptier"),
    PermissionError("not today"): (403, "PermissionError"),
    RuntimeError("secret"): (500, "command_failed"),
    BaseExceptionGroup("secret", [ValueError("secret")]): (500, "command_failed"),  # type: ignore[dict-item]
    UnknownCommandError("secret"): (500, "command_failed"),
    UnknownSchemaError("event", "secret"): (500, "command_failed"),
    PayloadTypeError("event", "secret", expected="a", got="b"): (500, "command_failed"),
    InvalidIdError("event id", "secret", "it is secret"): (500, "command_failed"),
    CommandConflict("secret", "k", name="Say"): (500, "command_failed"),
    LaneReentryError("secret", "submit"): (500, "command_failed"),
    ProjectionError(EVENT, "secret", ValueError("secret")): (500, "projection_failed"),
    SessionHeld(EVENT, 2): (500, "session_held"),
    HubClosed(): (503, "shutting_down"),
    EventConflict("s", "secret", 2, b""): (409, "event_conflict"),
    OrdinalExhausted("s", 2): (409, "session_full"),
    Unstorable("secret"): (422, "unstorable"),
    CommitUnknown("secret", 30): (503, "outcome_unknown"),
    OrdinalConflict("s", expected="secret", actual="secret"): (503, "unavailable"),
    StoreError("secret"): (503, "unavailable"),
    StoreClosed("secret"): (503, "unavailable"),
    StoreLost("secret"): (503, "unavailable"),
    StoreUpgraded("secret", version=9, known=8): (503, "unavailable"),
    StoreDamaged("secret", "secret", table="secret", row="secret"): (503, "unavailable"),
    BusError("secret"): (503, "unavailable"),
}


async def test_what_a_client_is_told_of_each_error(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    async with client(commands_endpoint(world.hub, errors={Empty: 422, PermissionError: 403})) as http:
        for error, expected in ERRORS.items():
            caplog.clear()
            world.raises("hello", error)
            answer = await http.post(SAY, json=HELLO)
            assert code(answer) == expected, error
            assert "secret" not in answer.text
            assert (answer.headers.get("retry-after") == "5") == (answer.status_code == 503)
            logged = [record for record in caplog.records if record.name == "sessionstream"]
            if isinstance(error, (Empty, PermissionError)):
                assert answer.json()["error"]["message"] == str(error)
            assert [bool(record.exc_info) for record in logged] == (
                [] if answer.status_code < 500 else [expected[1] == "command_failed"]
            )
            assert all("'Say'" in record.getMessage() for record in logged)


def test_every_error_of_the_library_has_its_row() -> None:
    """What a new kind of error means for a client has to be decided."""

    def leaves(cls: type[Exception]) -> set[type[Exception]]:
        return {cls} | {leaf for sub in cls.__subclasses__() for leaf in leaves(sub)}

    core = {cls for cls in leaves(SessionstreamError) if cls.__module__ == "sessionstream.errors"}
    stores = {cls for cls in core if issubclass(cls, StoreError)}
    assert {type(error) for error in ERRORS} >= stores - {
        cls
        for cls in stores
        if cls.__name__ == "HistoryPruned"  # a read raises it
    }


async def test_a_handler_s_own_cancellation_is_a_failure_and_takes_nobody_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()

    async def act(publisher: EventPublisher) -> None:
        other = asyncio.ensure_future(asyncio.sleep(1))
        other.cancel()
        await other

    world.acts["hello"] = act
    async with client(commands_endpoint(world.hub)) as http:
        assert code(await http.post(SAY, json=HELLO)) == (500, "command_failed")
        assert (await http.post(SAY, json={"prompt": "next"})).status_code == 200
    assert "waited for something that was cancelled" in caplog.text


async def test_real_failures_of_a_hub(caplog: pytest.LogCaptureFixture) -> None:
    world = World()

    @world.hub.ui_projection
    def broken(event: Event, session: object, view: object) -> None:
        raise RuntimeError("secret")

    async with client(commands_endpoint(world.hub)) as http:
        assert code(await http.post(SAY, json=HELLO)) == (500, "projection_failed")
        held = await http.post(SAY, json=HELLO)
        assert code(held) == (500, "session_held")
        await world.hub.shutdown()
        gone = await http.post(SAY, json=HELLO)
        assert (code(gone), gone.headers["retry-after"]) == ((503, "shutting_down"), "5")


# -- who may -----------------------------------------------------------------------------------------------


def by_token(scope: Any) -> object:
    tokens = dict(scope["headers"]).get(b"authorization", b"").decode()
    match tokens:
        case "ada" | "eve":
            return tokens
        case "old":
            return Admitted("ada", until=datetime.now(UTC) - timedelta(seconds=1))
        case "new":
            return Admitted("ada", until=datetime.now(UTC) + timedelta(hours=1))
        case "banned":
            raise PermissionError("banned")
        case "broken":
            raise RuntimeError("secret")
    return None


WHO: list[tuple[str, str, tuple[int, str] | None]] = [
    ("ada", "s", None),
    ("new", "s", None),
    ("eve", "s", (403, "forbidden")),
    ("ada", "t", (403, "forbidden")),
    ("ada", "broken", (403, "forbidden")),
    ("", "s", (401, "not_signed_in")),
    ("old", "s", (401, "not_signed_in")),
    ("broken", "s", (401, "not_signed_in")),
    ("banned", "s", (403, "forbidden")),
]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_who_may(asynchronous: bool, caplog: pytest.LogCaptureFixture) -> None:
    def may(principal: object, asked: str) -> Any:
        if asked == "broken":
            raise RuntimeError("secret")
        return principal == "ada" and asked == "s"

    async def authenticate(scope: Any) -> object:
        await asyncio.sleep(0)
        return by_token(scope)

    async def authorize(principal: object, asked: str) -> bool:
        await asyncio.sleep(0)
        return bool(may(principal, asked))

    world = World()
    hooks: dict[str, Any] = {"authenticate": by_token, "authorize": may}
    if asynchronous:
        hooks = {"authenticate": authenticate, "authorize": authorize}
    async with client(commands_endpoint(world.hub, **hooks)) as http:
        for token, session_id, expected in WHO:
            caplog.clear()
            world.ran.clear()
            path = f"/sessions/{session_id}/commands/Say"
            answer = await http.post(path, json=HELLO, headers={"authorization": token})
            if expected is None:
                assert (answer.status_code, world.ran) == (200, [("s", "hello")])
                continue
            assert (code(answer), world.ran) == (expected, []), (token, session_id)
            assert "secret" not in answer.text
            (record,) = [record for record in caplog.records if record.name == "sessionstream"]
            assert bool(record.exc_info) == (token in ("broken", "banned") or session_id == "broken")


@pytest.mark.parametrize("slow", ["authenticate", "authorize"])
async def test_a_hook_that_takes_too_long(slow: str) -> None:
    async def sleeps(*asked: object) -> bool:
        await asyncio.sleep(PATIENCE)
        return True

    world = World()
    async with client(commands_endpoint(world.hub, timeout_seconds=0.05, **{slow: sleeps})) as http:  # type: ignore[arg-type]
        answer = await http.post(SAY, json=HELLO)
    assert (code(answer), world.ran) == ((503, "unavailable"), [])


# -- pages -------------------------------------------------------------------------------------------------

OTHER = "https://app.example"


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (None, "own", {}),
        (None, OTHER, None),
        (None, "null", None),
        ([OTHER], "own", None),
        ([OTHER], "https://evil.example", None),
        (
            [OTHER],
            OTHER,
            {
                "access-control-allow-origin": OTHER,
                "access-control-allow-credentials": "true",
                "vary": "origin",
            },
        ),
        (["*"], "https://evil.example", {"access-control-allow-origin": "*"}),
    ],
)
async def test_pages_of_other_origins(allowed: Any, origin: str, expected: dict[str, str] | None) -> None:
    world = World()
    async with client(commands_endpoint(world.hub, allowed_origins=allowed)) as http:
        origin = str(http.base_url).rstrip("/") if origin == "own" else origin
        answer = await http.post(SAY, json=HELLO, headers={"origin": origin})
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type, x-token"}
        preflight = await http.options(SAY, headers={"origin": origin, **asks})
        bad = await http.post(SAY, json=[], headers={"origin": origin})
    cors = {name for name in answer.headers if name.startswith("access-control")}
    if expected is None:
        assert (code(answer), world.ran, cors) == ((403, "origin_not_allowed"), [], set())
        assert code(preflight) == (403, "origin_not_allowed")
        return
    assert (answer.status_code, world.ran) == (200, [("s", "hello")])
    for each in (answer, preflight, bad):
        assert {name: each.headers[name] for name in expected} == expected
    assert cors == {name for name in expected if name.startswith("access-control")}
    assert (bad.status_code, preflight.status_code) == (400, 204)
    assert preflight.headers["access-control-allow-methods"] == "OPTIONS, POST"
    assert preflight.headers["access-control-allow-headers"] == "content-type, x-token"


# -- what outlives its client ------------------------------------------------------------------------------


async def test_a_client_that_goes_away_does_not_stop_its_command() -> None:
    world = World()
    begun, end = world.waits("hello")
    endpoint = commands_endpoint(world.hub)
    async with client(endpoint) as http:
        asking = asyncio.create_task(http.post(SAY, json=HELLO))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        asking.cancel()
        await asyncio.wait([asking])
        assert endpoint.running == 1
        end.set()
        await until(lambda: endpoint.running == 0)
        assert await world.hub.event_cursor("s") == 1


async def test_a_server_that_cancels_the_request_does_not_stop_its_command() -> None:
    """As hypercorn does when the client has gone, and middleware that races the application with the disconnect."""
    world = World()
    begun, end = world.waits("hello")
    endpoint = commands_endpoint(world.hub)
    messages = [{"type": "http.request", "body": b'{"prompt": "hello"}'}]

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        raise AssertionError(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": SAY, "raw_path": SAY.encode(), "headers": headers}
    request = asyncio.create_task(endpoint(scope, receive, send))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    request.cancel()
    await asyncio.wait([request])
    end.set()
    await until(lambda: endpoint.running == 0)
    assert await world.hub.event_cursor("s") == 1


async def test_a_client_that_goes_before_its_body_is_there_sends_no_command() -> None:
    world = World()
    endpoint = commands_endpoint(world.hub)
    sent: list[Any] = []
    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b'{"prompt"', "more_body": True}]

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    await endpoint({"type": "http", "method": "POST", "path": SAY, "headers": headers}, receive, send)
    assert (sent, world.ran) == ([], [])


async def test_a_long_command_is_answered_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    begun, end = world.waits("hello")
    endpoint = commands_endpoint(world.hub, wait_seconds=0.05)
    async with client(endpoint) as http:
        answer = await http.post(SAY, json=HELLO, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json(), begun.is_set()) == (202, {}, True)
        repeat = await http.post(SAY, json=HELLO, headers={"Idempotency-Key": "k"})
        assert (repeat.status_code, world.ran) == (202, [("s", "hello")])  # it waits for the first, which goes on
        end.set()
        await until(lambda: endpoint.running == 0)
        repeat = await http.post(SAY, json=HELLO, headers={"Idempotency-Key": "k"})
        assert (repeat.status_code, world.ran) == (200, [("s", "hello")])
        assert await world.hub.event_cursor("s") == 1
        begun, end = world.waits("hello")
        assert (await http.post(SAY, json=HELLO)).status_code == 202
        await world.hub.shutdown()
        end.set()
        await until(lambda: endpoint.running == 0)
    assert "HubClosed" in caplog.text


async def test_there_is_a_limit_of_commands_that_run() -> None:
    world = World()
    begun, end = world.waits("hello")
    async with client(commands_endpoint(world.hub, max_running=1)) as http:
        first = asyncio.create_task(http.post(SAY, json=HELLO))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        refused = await http.post(SAY, json={"prompt": "too much"})
        assert (code(refused), refused.headers["retry-after"]) == ((503, "busy"), "5")
        end.set()
        assert (await first).status_code == 200
        assert (await http.post(SAY, json={"prompt": "again"})).status_code == 200


@pytest.mark.parametrize("patient", [True, False])
async def test_a_shutdown_waits_for_commands_and_ends_those_that_take_too_long(
    patient: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    begun, end = world.waits("hello")
    endpoint = commands_endpoint(world.hub)
    async with client(endpoint) as http:
        asking = asyncio.create_task(http.post(SAY, json=HELLO))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        ending = asyncio.create_task(endpoint.shutdown(PATIENCE if patient else 0))
        await asyncio.sleep(0)
        assert code(await http.post(SAY, json=HELLO)) == (503, "shutting_down")
        if patient:
            end.set()
            assert (await asking).status_code == 200
        else:
            assert code(await asking) == (503, "shutting_down")
        await ending
        await endpoint.shutdown()
    assert endpoint.running == 0
    assert ("cancelled by the shutdown" in caplog.text) is not patient


async def test_the_end_of_a_lifespan_is_a_shutdown() -> None:
    world = World()
    endpoint = commands_endpoint(world.hub, wait_seconds=0.05)
    _, end = world.waits("hello")
    async with client(endpoint) as http:
        assert (await http.post(SAY, json=HELLO)).status_code == 202
        end.set()
    assert endpoint.running == 0
    assert await world.hub.event_cursor("s") == 1


# -- arguments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"hub": object()}, TypeError, "submit"),
        ({"authenticate": 1}, TypeError, "authenticate"),
        ({"authorize": "x"}, TypeError, "authorize"),
        ({"allowed_origins": OTHER}, TypeError, "allowed_origins"),
        ({"allowed_origins": ["app.example"]}, ValueError, "app.example"),
        ({"max_bytes": 0}, ValueError, "max_bytes"),
        ({"max_bytes": 1.5}, TypeError, "max_bytes"),
        ({"max_running": True}, TypeError, "max_running"),
        ({"wait_seconds": 0}, ValueError, "wait_seconds"),
        ({"timeout_seconds": -1}, ValueError, "timeout_seconds"),
        ({"errors": {"Empty": 400}}, TypeError, "Empty"),
        ({"errors": {Empty: "400"}}, TypeError, "Empty"),
        ({"errors": {Empty: 200}}, ValueError, "Empty"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    hub = arguments.pop("hub", World().hub)
    with pytest.raises(error, match=words):
        commands_endpoint(hub, **arguments)


async def test_a_shutdown_has_a_time() -> None:
    with pytest.raises(ValueError, match="timeout_seconds"):
        await commands_endpoint(World().hub).shutdown(-1)


async def test_a_scope_that_is_none_of_ours() -> None:
    with pytest.raises(ValueError, match="'mqtt'"):
        await commands_endpoint(World().hub)({"type": "mqtt"}, None, None)  # type: ignore[arg-type]
