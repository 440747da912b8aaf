"""Sub-protocols: one that is known is selected, a token travels beside it, and a refusal is told as a close."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sessionstream.transport.ws import CLOSE_CODES, SUBPROTOCOL, Admitted, ConnectionRecord, Limits, WebSocketServer

from ..asgi import Peer
from ..running import Client, client
from ..source import Source
from .servers import CORES, Serve

if TYPE_CHECKING:
    from websockets.typing import Subprotocol

pytestmark = [  # the oldest of the cores says so
    pytest.mark.filterwarnings("ignore:.*websockets.* is deprecated"),
    pytest.mark.filterwarnings("ignore:remove second argument of ws_handler"),
]

GOOD = "token.Z29vZA"


def by_token(scope: dict[str, Any]) -> object:
    """Who offers the good token; whoever offers none, or another, is nobody; some tokens make trouble."""
    match [name for name in scope["subprotocols"] if name.startswith("token.")]:
        case ["token.Z29vZA"]:
            return "ada"
        case ["token.old"]:
            return Admitted("ada", until=datetime.now(UTC) - timedelta(seconds=1))
        case ["token.broken"]:
            raise ValueError("not a token")
        case ["token.banned"]:
            raise PermissionError("banned")
        case _:
            return None


class Offering(Peer):
    """A client that offers sub-protocols; ``accepts`` are the server's messages that accept."""

    def __init__(self, server: WebSocketServer, *offered: str, **scope: Any) -> None:
        self.accepts: list[dict[str, Any]] = []
        super().__init__(server, subprotocols=list(offered), **scope)

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            self.accepts.append(message)
        await super()._send(message)


@pytest.mark.parametrize(
    ("known", "offered", "selected"),
    [
        ((SUBPROTOCOL,), [], None),
        ((SUBPROTOCOL,), ["graphql-ws"], None),
        ((SUBPROTOCOL,), [SUBPROTOCOL], SUBPROTOCOL),
        ((SUBPROTOCOL,), [GOOD, "x", SUBPROTOCOL], SUBPROTOCOL),
        ((), [SUBPROTOCOL], None),
        ((SUBPROTOCOL, "mine"), ["mine", SUBPROTOCOL], SUBPROTOCOL),
        (("mine", SUBPROTOCOL), [SUBPROTOCOL, "mine"], "mine"),
        (("mine", SUBPROTOCOL), [SUBPROTOCOL], SUBPROTOCOL),
    ],
)
async def test_the_one_that_is_known_is_selected(
    known: Sequence[str], offered: list[str], selected: str | None
) -> None:
    peer = Offering(WebSocketServer(Source(), subprotocols=known), *offered)
    await peer.accepted()
    assert peer.accepts == [
        {"type": "websocket.accept"} if selected is None else {"type": "websocket.accept", "subprotocol": selected}
    ]
    peer.lose()
    await peer.ended()


async def test_a_server_that_tells_of_no_sub_protocols_has_none_offered() -> None:
    peer = await Peer(WebSocketServer(Source())).accepted()
    peer.lose()
    await peer.ended()


REFUSED = [("token.none", 4401), ("token.old", 4401), ("token.broken", 4401), ("token.banned", 4403)]


@pytest.mark.parametrize(("token", "code"), REFUSED)
async def test_who_offers_ours_hears_of_a_refusal_by_a_close(token: str, code: int) -> None:
    records: list[ConnectionRecord] = []
    server = WebSocketServer(Source(), authenticate=by_token, observer=records.append)
    peer = Offering(server, SUBPROTOCOL, token)
    assert await peer.ended() == code
    assert peer.accepts == [{"type": "websocket.accept", "subprotocol": SUBPROTOCOL}]
    assert (peer.close or {})["reason"] == next(each.name for each in CLOSE_CODES if each.code == code)
    assert peer.texts == []
    assert [(record.stage, record.code) for record in records] == [("refused", str(code))]
    assert server.connections() == []


@pytest.mark.parametrize(("token", "code"), REFUSED)
async def test_a_client_without_a_known_sub_protocol_gets_the_old_behaviour(token: str, code: int) -> None:
    for known, offered in (((SUBPROTOCOL,), [token]), ((), [SUBPROTOCOL, token]), (("mine",), ["mine", token])):
        peer = Offering(WebSocketServer(Source(), authenticate=by_token, subprotocols=known), *offered)
        assert await peer.ended() == (401 if token == "token.old" else 403)
        assert peer.accepts == []


async def test_other_refusals_are_no_closes() -> None:
    """They are not about credentials: 503 passes, and a page of another origin is none of ours."""
    server = WebSocketServer(Source(), limits=Limits(connections=1))
    first = await Offering(server, SUBPROTOCOL).accepted()
    assert await Offering(server, SUBPROTOCOL).ended() == 503
    first.lose()
    await first.ended()
    headers = [(b"host", b"testserver"), (b"origin", b"https://evil.example")]
    assert await Offering(server, SUBPROTOCOL, headers=headers).ended() == 403


async def test_a_logout_during_the_handshake() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def authenticate(scope: object) -> str:
        asked.set()
        await gate.wait()
        return "ada"

    server = WebSocketServer(Source(), authenticate=authenticate)
    peer = Offering(server, SUBPROTOCOL)
    await asked.wait()
    await server.close_connections("ada")
    gate.set()
    assert await peer.ended() == 4401


@pytest.mark.parametrize("known", ["sessionstream.v1", ["a b"], [""], [b"mine"], ["ä"]])
def test_names_that_no_handshake_can_carry_are_refused(known: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"sub-?protocol"):
        WebSocketServer(Source(), subprotocols=known)


# -- under real servers ----------------------------------------------------------------------------------------


def protocols(*names: str) -> list[Subprotocol]:
    return [cast("Subprotocol", name) for name in names]


@pytest.mark.parametrize("serve", CORES.values(), ids=CORES)
async def test_a_token_beside_the_sub_protocol(serve: Serve) -> None:
    async with serve(WebSocketServer(Source(), authenticate=by_token)) as address:
        async with client(address, subprotocols=protocols(SUBPROTOCOL, GOOD)) as connected:
            assert connected.socket.subprotocol == SUBPROTOCOL
            assert [next(iter(frame)) for frame in await connected.subscribe("s")] == ["snapshot", "subscribed"]
        async with client(address, subprotocols=protocols(GOOD)) as connected:
            assert connected.socket.subprotocol is None
        for token, code in REFUSED:
            async with connect(address, subprotocols=protocols(SUBPROTOCOL, token), compression=None) as socket:
                assert socket.subprotocol == SUBPROTOCOL
                assert (await Client(socket).closed())[0] == code
            with pytest.raises(InvalidStatus) as caught:
                await connect(address, subprotocols=protocols(token))
            assert caught.value.response.status_code == (401 if token == "token.old" else 403)
        with pytest.raises(InvalidStatus) as caught:
            await connect(address)
        assert caught.value.response.status_code == 403
