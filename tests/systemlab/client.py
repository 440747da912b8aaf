"""A lab on a real server, and requests to it as a browser makes them."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sessionstream.systemlab.app import lab_app
from sessionstream.systemlab.lab import Lab

from ..transport.running import served

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Asks one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._host = urlsplit(url).netloc

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, document: object) -> Answer:
        return await self.ask("POST", path, json.dumps(document), JSON)

    async def ask(self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Make a request; redirects are not followed."""
        return await asyncio.to_thread(self._ask, method, path, body, dict(headers or {}))

    def _ask(self, method: str, path: str, body: str, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self._host, timeout=20)
        try:
            connection.request(method, path, body.encode(), headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())
        finally:
            connection.close()


@asynccontextmanager
async def serving(lab: Lab) -> AsyncIterator[Client]:
    """Serve an open lab to this machine; ends with the lab closed."""
    async with served(lab_app(lab, frozenset({"127.0.0.1", "localhost"}))) as url:
        try:
            yield Client(url.replace("ws:", "http:"))
        finally:
            await lab.close()
