"""A page whose token expires, whose user signs out, and whose network goes: it can tell one from the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sessionstream.testing import ManualClock
from sessionstream.transport.ws import Admitted, Limits

from ..transport import notes
from .client import Site, site

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from starlette.requests import Request


class Tokens:
    """An application's own service of tokens.

    Attributes:
        signed_in: whether the user is.
        given: tokens that were given out; only the last one is good.
        seen: tokens with which somebody came.
    """

    def __init__(self) -> None:
        self.signed_in = True
        self.given = 0
        self.seen: list[str] = []

    async def answer(self, _request: Request) -> Response:
        if not self.signed_in:
            return JSONResponse({"why": "signed out"}, 401)
        self.given += 1
        return JSONResponse({"token": f"t-{self.given}"})

    def authenticate(self, scope: Any) -> object:
        offered = scope["query_string"].decode().split("token=")[1:] or scope["subprotocols"]
        self.seen.append(offered[-1].removeprefix("token."))
        return "ada" if self.seen[-1] == f"t-{self.given}" else None

    def expire(self) -> None:
        """Have the last token be good no more."""
        self.given += 1


@asynccontextmanager
async def guarded(browser: Browser) -> AsyncIterator[tuple[Site, Tokens]]:
    tokens = Tokens()
    async with site(browser, Route("/token", tokens.answer), authenticate=tokens.authenticate) as opened:
        yield opened, tokens


TOKEN = """
    const token = async () => {
      const answer = await fetch("/token");
      if (!answer.ok) throw new Refused(answer.status, (await answer.json()).why);
      return (await answer.json()).token;
    };
    const options = { protocols: ["sessionstream.v1"], floor: 20, first: 20, ceiling: 20, onState: tell };
"""
WATCH = """
    client.subscribe("s-1", {
      onSnapshot: ({ ordinal }) => tell({ snapshot: String(ordinal) }),
      onEnd: (why) => tell({ end: why }),
    });
    window.client = client;
"""
ASKS = {
    "url": "const client = connect(async () => `/ws?token=${await token()}`, options);",
    "protocols": "const client = connect('/ws', { ...options, protocols: async () => "
    "['sessionstream.v1', `token.${await token()}`] });",
}


async def snapshot(opened: Site, ordinal: int) -> None:
    assert await opened.until(lambda told: "snapshot" in told) == {"snapshot": str(ordinal)}


@pytest.mark.parametrize("asks", ASKS)
async def test_a_token_is_asked_for_before_every_attempt_and_one_that_has_expired_is_a_refusal(
    browser: Browser, asks: str
) -> None:
    async with guarded(browser) as (opened, tokens):
        await opened.run(TOKEN + ASKS[asks] + WATCH)
        await snapshot(opened, 0)
        tokens.expire()
        await opened.run(
            "const real = window.fetch; const due = new Promise((answer) => { window.answer = answer; });"
            "const later = async (url) => { await due; return real(url); };"
            "window.fetch = async () => (window.fetch = later, new Response(JSON.stringify({ token: 'old' })));"
        )
        opened.proxy.reset()
        assert (await opened.state("reconnecting"))["code"] == 1006
        refused = await opened.state("refused")
        assert (refused["status"], refused["code"]) == (401, 4401)
        assert refused["retryIn"] == 20
        await notes.publish(opened.hub, "s-1", put={"a": "A"})
        await opened.run("answer();")
        await snapshot(opened, 1)
        assert tokens.seen == ["t-1", "old", "t-3"]


async def test_signed_out_and_offline_are_not_the_same(browser: Browser) -> None:
    async with guarded(browser) as (opened, tokens):
        await opened.run(TOKEN + ASKS["url"] + WATCH)
        await snapshot(opened, 0)
        tokens.signed_in = False
        opened.proxy.reset()
        refused = await opened.state("refused")
        assert (refused["status"], refused["reason"], "code" in refused) == (401, "signed out", False)
        await opened.context.set_offline(True)
        assert (await opened.state("reconnecting"))["code"] == 1006  # the token service cannot be reached
        await opened.context.set_offline(False)
        await opened.state("refused")
        tokens.signed_in = True
        await opened.state("live")
        await snapshot(opened, 0)


async def test_a_token_that_cannot_change_ends_the_client_when_it_has_expired(browser: Browser) -> None:
    async with guarded(browser) as (opened, tokens):
        await opened.run(TOKEN + "const client = connect(`/ws?token=${await token()}`, options);" + WATCH)
        await snapshot(opened, 0)
        tokens.expire()
        opened.proxy.reset()
        assert "retryIn" not in await opened.state("refused")
        end = (await opened.until(lambda told: "end" in told))["end"]
        assert (end["code"], end["status"], end["close"]) == ("refused", 401, 4401)
        assert (await opened.state("closed"))["status"] == 401


async def test_who_may_not_connect_is_told_so_and_not_to_sign_in(browser: Browser) -> None:
    def authenticate(scope: Any) -> object:
        raise PermissionError("not with this plan")

    async with site(browser, authenticate=authenticate) as opened:
        await opened.run(TOKEN + "const client = connect('/ws', options);" + WATCH)
        refused = await opened.state("refused")
        assert (refused["status"], refused["code"]) == (403, 4403)
        assert (await opened.until(lambda told: "end" in told))["end"]["status"] == 403


async def test_the_application_decides_how_often_it_is_tried(browser: Browser) -> None:
    async with guarded(browser) as (opened, tokens):
        tokens.signed_in = False
        policy = "options.refusal = (status, attempt) => status === 401 && attempt < 3;"
        await opened.run(TOKEN + policy + ASKS["url"] + WATCH)
        assert (await opened.until(lambda told: "end" in told))["end"]["status"] == 401
        await opened.state("closed")


@pytest.mark.parametrize("status", [401, 403, 404, 502])
async def test_what_an_ingress_answers_passes_though_the_page_cannot_see_it(browser: Browser, status: int) -> None:
    async with guarded(browser) as (opened, _tokens):
        await opened.run(TOKEN + "window.token = await token();")
        opened.proxy.answer(status, times=2)
        await opened.run(TOKEN + "const client = connect(`/ws?token=${window.token}`, options);" + WATCH)
        for _ in range(2):
            assert (await opened.state("reconnecting"))["code"] == 1006
        await snapshot(opened, 0)


async def test_a_connection_whose_time_is_over_is_made_anew_with_a_new_token(browser: Browser) -> None:
    tokens, clock = Tokens(), ManualClock()

    def authenticate(scope: Any) -> Admitted:
        tokens.seen.append(scope["query_string"].decode())
        return Admitted("ada", until=datetime.now(UTC) + timedelta(hours=1))

    options: dict[str, Any] = {"authenticate": authenticate, "clock": clock, "limits": Limits(heartbeat_seconds=None)}
    async with site(browser, Route("/token", tokens.answer), **options) as opened:
        await opened.run(TOKEN + ASKS["url"] + WATCH)
        await snapshot(opened, 0)
        clock.advance(3_600)
        assert (await opened.state("reconnecting"))["code"] == 1012
        await snapshot(opened, 0)
        assert tokens.seen == ["token=t-1", "token=t-2"]


async def test_a_right_that_is_taken_away_ends_what_every_component_shows_of_it_and_nothing_else(
    browser: Browser,
) -> None:
    async with site(browser, authenticate=lambda scope: "ada") as opened:
        await opened.run("""
            window.client = connect("/ws", { onState: tell });
            for (const name of ["a", "b", "c"]) {
              client.subscribe(name === "c" ? "s-2" : "s-1", {
                onSnapshot: () => tell({ snapshot: name }),
                onEvent: () => tell({ event: name }),
                onEnd: (why) => tell({ end: name, code: why.code }),
              });
            }
        """)
        await opened.until(lambda told: told.get("snapshot") == "b")
        await opened.server.revoke("ada", "s-1")
        for name in ("a", "b"):
            assert await opened.until(lambda told: "end" in told) == {"end": name, "code": "unauthorized"}
        await notes.publish(opened.hub, "s-1", tell=["a secret"])
        await notes.publish(opened.hub, "s-2", tell=["for ada"])
        assert await opened.until(lambda told: "event" in told) == {"event": "c"}
        assert await opened.run("return client.state.state") == "live"
