"""Handshakes that are refused: credentials are asked for anew, deploys pass, and the application sees which it is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from sessionstream.transport.ws import ConnectionState, HandshakeRefused, JsonSnapshot, WebSocketServer, connect
from sessionstream.transport.ws.client.client import Client

from .. import notes
from ..clock import MovedClock
from ..proxy import Proxy, proxied
from ..running import PATIENCE, served

EMPTY = JsonSnapshot("s-1", 0, ())


class States:
    """What ``on_state`` was told."""

    def __init__(self) -> None:
        self.told: list[ConnectionState] = []
        self._came = asyncio.Event()

    def __call__(self, state: ConnectionState) -> None:
        self.told.append(state)
        self._came.set()

    @property
    def names(self) -> list[str]:
        return [state.name for state in self.told]

    async def seen(self, *names: str) -> None:
        """Return when these have come, one after the other, at the end."""
        async with asyncio.timeout(PATIENCE):
            while self.names[-len(names) :] != list(names):
                self._came.clear()
                await self._came.wait()


def client_of(address: object, **options: Any) -> Client:
    return connect(address, **{"clock": MovedClock(), "heartbeat_seconds": None, **options})  # type: ignore[arg-type]


@asynccontextmanager
async def behind_proxy(**options: Any) -> AsyncIterator[tuple[Proxy, str]]:
    """A real server behind a proxy."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        server = WebSocketServer(hub, **options)
        hub.set_fanout(server)
        address = await stack.enter_async_context(served(server))
        yield await stack.enter_async_context(proxied(address))


async def first(client: Client) -> object:
    async with asyncio.timeout(PATIENCE):
        return await anext(client.subscribe("s-1"))


async def refusal_of(client: Client) -> HandshakeRefused:
    with pytest.raises(HandshakeRefused) as raised:
        await first(client)
    return raised.value


# -- what passes, and what does not ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410, 418, 429, 502, 503])
async def test_whatever_a_deploy_answers_passes(status: int) -> None:
    states = States()
    async with behind_proxy() as (proxy, address):
        proxy.answer(status, times=2)
        async with client_of(address, on_state=states) as client:
            assert client.state == ConnectionState("connecting")
            assert await first(client) == EMPTY
            assert states.names == ["refused", "refused", "live"]
            assert [state.status for state in states.told] == [status, status, None]
            assert client.state.name == "live"
    assert states.names[-1] == "closed"


async def test_a_server_that_says_when_to_return_is_not_asked_before() -> None:
    states = States()
    async with behind_proxy() as (proxy, address):
        proxy.answer(503, times=1, retry_after=30)
        async with client_of(address, on_state=states) as client:
            assert await first(client) == EMPTY
    retry_in = states.told[0].retry_in
    assert retry_in is not None
    assert retry_in > 30


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("asked", ["url", "headers", "subprotocols"])
async def test_credentials_that_are_asked_for_anew_may_be_others(status: int, asked: str) -> None:
    states = States()
    async with behind_proxy() as (proxy, address):
        proxy.answer(status, times=2)
        given: dict[str, Any] = {"url": lambda: address, "headers": dict, "subprotocols": lambda: ["sessionstream.v1"]}
        async with client_of(**{"address": address, **_named(asked, given[asked])}, on_state=states) as client:
            assert await first(client) == EMPTY
    assert states.names[:3] == ["refused", "refused", "live"]
    assert {state.status for state in states.told[:2]} == {status}


def _named(asked: str, function: Callable[[], object]) -> dict[str, Any]:
    return {"address" if asked == "url" else asked: function}


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_that_cannot_change_end_the_client(status: int) -> None:
    states = States()
    async with behind_proxy() as (proxy, address):
        proxy.answer(status)
        async with client_of(address, headers={"Authorization": "old"}, on_state=states) as client:
            for _ in range(2):
                assert (await refusal_of(client)).status == status
            assert states.names == ["refused", "closed"]
            assert states.told[0].retry_in is None
            client.reconnect()  # there is nothing to come back to
            assert (client.state.name, client.state.status) == ("closed", status)


async def test_a_token_that_expires_is_renewed_at_the_next_attempt() -> None:
    """The specimen: it was rotated while the handshake was under way."""
    tokens = iter(["expired", "expired", "fresh"])
    seen: list[str] = []

    def authenticate(scope: dict[str, Any]) -> str | None:
        seen.append(dict(scope["headers"])[b"authorization"].decode())
        return "ada" if seen[-1] == "fresh" else None

    async with AsyncExitStack() as stack:
        _, address = await stack.enter_async_context(behind_proxy(authenticate=authenticate))
        headers = lambda: {"Authorization": next(tokens)}  # noqa: E731 - as users write it
        client = await stack.enter_async_context(client_of(address, headers=headers))
        assert await first(client) == EMPTY
    assert seen == ["expired", "expired", "fresh"]


async def test_the_url_and_the_subprotocols_may_carry_the_token() -> None:
    numbers = iter(range(9))
    seen: list[tuple[bytes, list[str]]] = []

    def authenticate(scope: dict[str, Any]) -> str | None:
        seen.append((scope["query_string"], scope["subprotocols"]))
        return "ada"

    async def offered() -> Sequence[str]:
        return ["sessionstream.v1", f"token.{next(numbers)}"]

    async with behind_proxy(authenticate=authenticate) as (proxy, address):
        url = lambda: f"{address}/ws?ticket={next(numbers)}"  # noqa: E731 - as users write it
        async with client_of(url, subprotocols=offered) as client:
            updates = client.subscribe("s-1")
            async with asyncio.timeout(PATIENCE):
                await anext(updates)
                proxy.reset()
                await anext(updates)
    assert seen == [
        (b"ticket=0", ["sessionstream.v1", "token.1"]),
        (b"ticket=2", ["sessionstream.v1", "token.3"]),
    ]


# -- the application's own service -----------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["url", "headers", "subprotocols"])
async def test_a_token_service_that_refuses_is_a_refusal(asked: str) -> None:
    states = States()

    def signed_out() -> object:
        raise HandshakeRefused(401, reason="signed out")

    async with behind_proxy() as (proxy, address):
        given = {"address": address, **_named(asked, signed_out)}
        async with client_of(**given, on_state=states, refusal=lambda _, attempt: attempt < 3) as client:
            refused = await refusal_of(client)
            assert (refused.status, refused.reason) == (401, "signed out")
        assert states.names == ["refused", "refused", "refused", "closed"]
        assert proxy.made == 0


@pytest.mark.parametrize("asked", ["url", "headers", "subprotocols"])
@pytest.mark.parametrize("answer", [RuntimeError("down"), 5, ["one", 2], "no address", b"bytes", {5: "five"}])
async def test_a_function_without_an_answer_makes_a_failed_attempt(
    asked: str, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    states = States()
    answers: list[object] = [answer]

    async with behind_proxy() as (_, address):
        right: dict[str, object] = {"url": address, "headers": None, "subprotocols": None}

        def function() -> object:
            if not answers:
                return right[asked]
            wrong = answers.pop()
            if isinstance(wrong, Exception):
                raise wrong
            return wrong

        async with client_of(**{"address": address, **_named(asked, function)}, on_state=states) as client:
            assert await first(client) == EMPTY
    assert states.names[:2] == ["reconnecting", "live"]
    assert "cannot be had" in states.told[0].reason
    assert "cannot be had" in caplog.text


async def test_a_function_that_never_answers_makes_a_failed_attempt() -> None:
    states = States()
    slow = iter([True])

    async with behind_proxy() as (_, address):

        async def url() -> str:
            if next(slow, False):
                await asyncio.get_running_loop().create_future()
            return address

        async with client_of(url, on_state=states, open_timeout_seconds=0.2) as client:
            assert await first(client) == EMPTY
    assert states.names[:2] == ["reconnecting", "live"]


@pytest.mark.parametrize("asked", ["url", "headers", "subprotocols"])
async def test_a_function_that_waited_for_what_was_cancelled_makes_a_failed_attempt(asked: str) -> None:
    """Several clients may share the task that renews a token; who cancels that has not closed them."""
    states = States()
    renewing = [asyncio.create_task(asyncio.sleep(PATIENCE))]

    async with behind_proxy() as (_, address):
        right: dict[str, object] = {"url": address, "headers": None, "subprotocols": None}

        async def function() -> object:
            if renewing:
                renewing[0].cancel()
                await renewing.pop()
            return right[asked]

        async with client_of(**{"address": address, **_named(asked, function)}, on_state=states) as client:
            assert await first(client) == EMPTY
    assert states.names[:2] == ["reconnecting", "live"]
    assert "was cancelled" in states.told[0].reason


async def test_offering_no_sub_protocols_is_the_same_as_offering_none() -> None:
    async with behind_proxy() as (_, address), client_of(address, subprotocols=[]) as client:
        assert await first(client) == EMPTY


async def test_an_address_that_is_not_encrypted_is_refused_where_it_comes_from_a_function_too() -> None:
    states = States()
    context = ssl.create_default_context()
    async with client_of(lambda: "ws://127.0.0.1:9/ws", ssl_context=context, on_state=states):
        await states.seen("reconnecting")
    assert "not encrypted" in states.told[0].reason


# -- the policy ------------------------------------------------------------------------------------------------


async def test_the_policy_decides_by_status_and_by_how_many_there_were_in_a_row() -> None:
    asked: list[tuple[int, int]] = []

    def refusal(status: int, attempt: int) -> bool:
        asked.append((status, attempt))
        return attempt < 3

    async with behind_proxy() as (proxy, address):
        for status in (401, 503, 403):
            proxy.answer(status, times=1)
        async with client_of(address, refusal=refusal) as client:
            assert (await refusal_of(client)).status == 403
    assert asked == [(401, 1), (503, 2), (403, 3)]


async def test_a_connection_that_was_made_ends_a_row_of_refusals() -> None:
    asked: list[int] = []
    states = States()

    def refusal(_: int, attempt: int) -> bool:
        asked.append(attempt)
        return True

    async with behind_proxy() as (proxy, address), client_of(address, refusal=refusal, on_state=states):
        await states.seen("live")
        for _ in range(2):
            states.told.clear()
            proxy.answer(401, times=2)
            proxy.reset()
            await states.seen("refused", "refused", "live")
    assert asked == [1, 2, 1, 2]


async def test_a_policy_that_raises_is_logged_and_the_default_decides(caplog: pytest.LogCaptureFixture) -> None:
    def refusal(status: int, attempt: int) -> bool:
        raise ZeroDivisionError("in the policy")

    async with behind_proxy() as (proxy, address):
        proxy.answer(404, times=1)
        proxy.answer(401, times=1)
        async with client_of(address, refusal=refusal) as client:
            assert (await refusal_of(client)).status == 401
    assert caplog.text.count("the default applies") == 2
    assert "During handling" not in caplog.text


# -- close codes that are refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "status"), [(4401, 401), (4403, 403)])
async def test_a_refusal_that_comes_as_a_close_is_one(code: int, status: int) -> None:
    connections = 0

    async def handler(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections < 3:
            await socket.close(code, "expired")
            return
        await socket.send('{"hello":{}}')
        async for _ in socket:
            await socket.send('{"snapshot":{"sessionId":"s-1"}}')

    async with serve(handler, "127.0.0.1", 0) as server:
        address = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with client_of(address) as client:
            refused = await refusal_of(client)
            assert (refused.status, refused.code, refused.reason) == (status, code, "expired")
        states = States()
        async with client_of(address, headers=dict, on_state=states) as client:
            assert isinstance(await first(client), JsonSnapshot)
        assert states.names == ["refused", "live", "closed"]
        assert (states.told[0].status, states.told[0].code) == (status, code)


# -- on_state --------------------------------------------------------------------------------------------------


async def test_who_is_offline_is_not_signed_out() -> None:
    states = States()
    async with client_of("ws://127.0.0.1:9/ws", on_state=states, headers=dict):
        await states.seen("reconnecting", "reconnecting")
    assert {state.status for state in states.told} == {None}
    assert all(state.reason and state.retry_in is not None for state in states.told[:-1])


async def test_what_on_state_raises_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(state: ConnectionState) -> None:
        raise ZeroDivisionError(f"in on_state at {state.name}")

    async with behind_proxy() as (_, address), client_of(address, on_state=broken) as client:
        assert await first(client) == EMPTY
    assert "in on_state at live" in caplog.text


async def test_on_state_may_call_the_client() -> None:
    """As a page does that comes back at once after the first refusal."""
    clock = MovedClock()
    clients: list[Client] = []
    seen: list[tuple[str, str]] = []

    def again(state: ConnectionState) -> None:
        seen.append((state.name, clients[0].state.name))
        if state.name == "refused":
            clients[0].reconnect()

    async with behind_proxy() as (proxy, address):
        proxy.answer(503, times=3, retry_after=60)
        async with client_of(address, clock=clock, on_state=again) as client:
            clients.append(client)
            assert await first(client) == EMPTY
    assert all(told == current for told, current in seen)
    assert clock.now() < 60


async def test_an_async_on_state_or_refusal_is_refused_at_once() -> None:
    async def later(*_: object) -> None: ...

    for name in ("on_state", "refusal"):
        with pytest.raises(TypeError, match=f"^{name} "):
            connect("ws://127.0.0.1/ws", **{name: later})  # type: ignore[arg-type]
