"""A client of server-sent events, which reads them as the standard says, and notes everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..running import PATIENCE

if TYPE_CHECKING:
    import httpx2


@dataclass
class Block:
    """What stood between two empty lines."""

    data: list[str] = field(default_factory=list)
    id: str | None = None
    event: str | None = None
    retry: str | None = None
    comments: list[str] = field(default_factory=list)

    @property
    def frame(self) -> dict[str, Any]:
        frame = json.loads("\n".join(self.data))
        assert isinstance(frame, dict)
        return frame


class Source:
    """One response.

    Attributes:
        last_id: the id that the client would come back with.
        retry: the last time that it was told, in milliseconds.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.last_id = ""
        self.retry = 0
        self.pings = 0
        self._lines = _lines(response.aiter_bytes())

    async def block(self) -> Block | None:
        """Return the next block, also one without data; None at the end of the stream."""
        block = Block()
        async with asyncio.timeout(PATIENCE):
            async for line in self._lines:
                if not line:
                    if block.id is not None:
                        self.last_id = block.id
                    self.pings += "ping" in block.comments
                    return block
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                match name:
                    case "data":
                        block.data.append(value)
                    case "id":
                        block.id = value
                    case "event":
                        block.event = value
                    case "retry":
                        assert value.isdecimal()
                        self.retry = int(value)
                    case "":
                        block.comments.append(value)
                    case other:
                        raise AssertionError(other)
        return None

    async def hear(self) -> tuple[str, dict[str, Any]] | None:
        """Return the next frame, as its member and what it holds; None at the end."""
        while True:
            block = await self.block()
            if block is None:
                return None
            assert block.event is None
            if block.data:
                ((member, frame),) = block.frame.items()
                return member, frame

    async def snapshot(self) -> dict[str, Any]:
        heard = await self.hear()
        assert heard is not None
        assert heard[0] == "snapshot", heard
        return heard[1]

    async def told(self) -> tuple[int, str]:
        """Return ordinal and text of the next UI event."""
        heard = await self.hear()
        assert heard is not None
        assert heard[0] == "uiEvent", heard
        return int(heard[1]["eventOrdinal"]), heard[1]["payload"]["value"]


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield the lines of a body. Only LF and CR end them, which ``aiter_lines`` does not know; there must be no CR."""
    rest = b""
    async for piece in pieces:
        assert b"\r" not in piece
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode()


@asynccontextmanager
async def watching(http: httpx2.AsyncClient, session_id: str = "s", **options: Any) -> AsyncIterator[Source]:
    """Open a stream."""
    headers = {"accept": "text/event-stream", **options.pop("headers", {})}
    path = f"/sessions/{session_id}/events"
    async with http.stream("GET", path, headers=headers, **options) as response:
        assert response.status_code == 200, (await response.aread()).decode()
        yield Source(response)


def notes_of(snapshot: dict[str, Any]) -> dict[str, str | None]:
    """Return the texts of a snapshot by id; None for a deleted one."""
    return {
        entity["id"]: None if entity.get("tombstone") else entity["payload"]["value"]
        for entity in snapshot.get("entities", ())
    }
