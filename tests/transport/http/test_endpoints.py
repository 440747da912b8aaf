"""Several endpoints at one place."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from sessionstream.transport.http import Endpoints, commands_endpoint, sse_endpoint

from ..running import PATIENCE
from .events import watching
from .support import World, client, code


async def test_each_request_goes_to_the_endpoint_whose_path_it_has() -> None:
    world = World()
    commands, events = commands_endpoint(world.hub), sse_endpoint(world.hub)
    app = Starlette(routes=[Mount("/api", Endpoints(commands, events))])
    async with client(app) as http:
        assert (await http.post("/api/sessions/s/commands/Say", json={"prompt": "hello"})).status_code == 200
        assert code(await http.get("/api/sessions/s/commands/Say")) == (405, "method_not_allowed")
        assert code(await http.get("/api/sessions/%FF/events")) == (400, "invalid_id")
        assert code(await http.get("/api/sessions/s")) == (404, "not_found")
        http.base_url = http.base_url.join("/api")
        async with watching(http) as source:
            assert (await source.snapshot())["snapshotOrdinal"] == "1"


@pytest.mark.parametrize("by", ["itself", "its lifespan"])
async def test_a_shutdown_is_one_of_all(by: str) -> None:
    world = World()
    _, end = world.waits("hello")
    commands, events = commands_endpoint(world.hub, wait_seconds=0.05), sse_endpoint(world.hub)
    both = Endpoints(commands, events)
    async with client(both) as http:
        assert (await http.post("/sessions/s/commands/Say", json={"prompt": "hello"})).status_code == 202
        async with watching(http) as source:
            await source.snapshot()
            end.set()
            if by == "itself":
                await asyncio.wait_for(both.shutdown(), PATIENCE)
                assert (commands.running, events.streams) == (0, 0)
                while await source.hear() is not None:
                    pass
    assert (commands.running, events.streams) == (0, 0)
    assert await world.hub.event_cursor("s") == 1


async def test_what_is_no_endpoint() -> None:
    with pytest.raises(TypeError, match="at least one"):
        Endpoints()
    with pytest.raises(TypeError, match="sse_endpoint"):
        Endpoints(World().hub)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'mqtt'"):
        await Endpoints(sse_endpoint(World().hub))({"type": "mqtt"}, None, None)  # type: ignore[arg-type]
