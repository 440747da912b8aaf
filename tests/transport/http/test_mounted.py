"""The endpoint in real servers and frameworks: the same answers wherever it is mounted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route

from sessionstream.transport.http import ai_sdk_endpoint, commands_endpoint, sse_endpoint

from ...pairs import pairs
from .. import notes
from ..running import PATIENCE
from ..server.servers import SERVERS, Serve
from . import test_chat
from .events import notes_of, watching
from .support import World, client, code, until


def by_itself(endpoint: Any) -> Any:
    return endpoint


def in_starlette(endpoint: Any) -> Any:
    return Starlette(routes=[Mount("/api", endpoint)])


def at_the_root_of_starlette(endpoint: Any) -> Any:
    async def page(request: Any) -> None:
        raise AssertionError

    return Starlette(routes=[Route("/", page), Mount("/", endpoint)])


def nested_in_starlette(endpoint: Any) -> Any:
    return Starlette(routes=[Mount("/api", Starlette(routes=[Mount("/v1", endpoint)]))])


def below_middleware(endpoint: Any) -> Any:
    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    middleware = [Middleware(GZipMiddleware, minimum_size=1), Middleware(BaseHTTPMiddleware, dispatch=dispatch)]
    return Starlette(routes=[Mount("/api", endpoint)], middleware=middleware)


def in_fastapi(endpoint: Any) -> Any:
    app = FastAPI()
    app.mount("/api", endpoint)
    return app


def in_litestar(endpoint: Any) -> Any:
    pytest.importorskip("litestar", reason="litestar is not installed: pip install litestar")
    from litestar import Litestar, asgi

    return Litestar([asgi("/api", is_mount=True, copy_scope=True)(endpoint.__call__)])


def beside_django(endpoint: Any) -> Any:
    """Starlette's Mount around Django: everything that is not ours is Django's."""
    return Starlette(routes=[Mount("/api", endpoint), Mount("/", _django())])


def in_channels(endpoint: Any) -> Any:
    pytest.importorskip("channels", reason="Django and Channels are not installed: pip install channels")
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import re_path

    routes = URLRouter([re_path(r"^sessions/", endpoint), re_path(r"", _django())])
    return ProtocolTypeRouter({"http": routes, "lifespan": endpoint})


def _django() -> Any:
    pytest.importorskip("django", reason="Django is not installed: pip install django")
    from django.conf import settings
    from django.core.asgi import get_asgi_application

    if not settings.configured:
        settings.configure(ROOT_URLCONF=(), ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="s")
    return get_asgi_application()


Mounting = tuple[Callable[[Any], Any], str]

MOUNTS: list[Mounting] = [
    (by_itself, ""),
    (in_starlette, "/api"),
    (at_the_root_of_starlette, ""),
    (nested_in_starlette, "/api/v1"),
    (below_middleware, "/api"),
    (in_fastapi, "/api"),
    (in_litestar, "/api"),
    (beside_django, "/api"),
    (in_channels, ""),
]


def ids(value: Any) -> str:
    return str((value[0] if isinstance(value, tuple) else value).__name__)


@pytest.mark.parametrize(("mounting", "serve_app"), pairs(MOUNTS, SERVERS, ids))
async def test_commands_are_taken(mounting: Mounting, serve_app: Serve) -> None:
    mount, prefix = mounting
    world = World()
    endpoint = commands_endpoint(world.hub)
    async with serve_app(mount(endpoint)) as address:
        base = address.replace("ws:", "http:") + prefix
        async with httpx2.AsyncClient(timeout=PATIENCE) as http:
            for path in ("/sessions/s/commands/Say", "/sessions/a%2Fb%20%C3%BC/commands/Say?x=1"):
                answer = await http.post(base + path, json={"prompt": "hello"})
                assert (answer.status_code, answer.json()) == (200, {})
            refused = await http.post(base + "/sessions/s/commands/Nonsense", json={})
            assert code(refused) == (404, "unknown_command")
            assert code(await http.get(base + "/sessions/s/commands/Say")) == (405, "method_not_allowed")
            assert (await http.post(base + "/x/sessions/s/commands/Say", json={})).status_code == 404
    assert world.ran == [("s", "hello"), ("a/b ü", "hello")]


@pytest.mark.parametrize(("mounting", "serve_app"), pairs(MOUNTS, SERVERS, ids))
async def test_events_are_streamed_until_the_client_leaves(mounting: Mounting, serve_app: Serve) -> None:
    mount, prefix = mounting
    hub = notes.application()
    endpoint = sse_endpoint(hub)
    async with serve_app(mount(endpoint)) as address:
        base = address.replace("ws:", "http:") + prefix
        async with (
            httpx2.AsyncClient(base_url=base, timeout=PATIENCE) as http,
            watching(http, "a%2Fb") as source,
        ):
            assert notes_of(await source.snapshot()) == {}
            for number in (1, 2):
                await notes.publish(hub, "a/b", tell=["x"])
                assert await source.told() == (number, "x")
            assert endpoint.streams == 1
        await until(lambda: endpoint.streams == 0)
    await hub.shutdown()


async def test_a_root_path_of_the_server() -> None:
    """As with ``uvicorn --root-path`` behind a proxy that removes the prefix."""
    world = World()
    async with client(commands_endpoint(world.hub), root_path="/behind") as http:
        answer = await http.post("/sessions/a%2Fb/commands/Say", json={"prompt": "hello"})
        assert (answer.status_code, world.ran) == (200, [("a/b", "hello")])


def fastapi_with_a_route(endpoint: Any) -> Any:
    """As the reference says: the mount does not serve the path without a slash behind it."""
    app = FastAPI()
    app.add_route("/api", endpoint)
    app.mount("/api", endpoint)
    return app


@pytest.mark.parametrize(
    ("mount", "places"),
    [
        (by_itself, ["/"]),
        (fastapi_with_a_route, ["/api", "/api/"]),
        (in_litestar, ["/api", "/api/"]),
        (beside_django, ["/api/"]),
    ],
)
async def test_chats_are_served(mount: Callable[[Any], Any], places: list[str]) -> None:
    world = test_chat.World()
    world.go_on.set()
    endpoint = ai_sdk_endpoint(world.hub, test_chat.MAPPING)
    async with client(mount(endpoint)) as http:
        for number, place in enumerate(places):
            answer = await http.post(place, json=test_chat.asking("hi", f"u{number}"))
            assert (answer.status_code, '"type":"finish"' in answer.text) == (200, True)
        below = places[-1].rstrip("/")
        assert len((await http.get(f"{below}/s/messages")).json()) == 2 * len(places)
        assert (await http.get(f"{below}/s/stream")).status_code == 204
        await endpoint.shutdown()
    await world.hub.shutdown()
