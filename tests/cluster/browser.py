"""Browsers: each watches sessions and checks that every event comes once and nothing is missing.

A ``ClientBrowser`` is the Python client. A ``ChromiumBrowser`` is Chromium, with the page of the chat for each session.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sessionstream import Snapshot, TimelineEntity
from sessionstream.examples.chatdemo.schemas import TOKENS_DELTA, UI_EVENTS, chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate
from sessionstream.transport.ws import Backoff, LiveEvent, Updates, connect

from .balancer import Balancer

if TYPE_CHECKING:
    from playwright.async_api import Browser as Chromium
    from playwright.async_api import Page, WebSocket

APPENDED = UI_EVENTS[TOKENS_DELTA]

Texts: TypeAlias = dict[str, tuple[str, str]]
"""The text and the status of each message of a session, by its id."""

_SHOWS = """want => {
    const rows = [...document.querySelectorAll("#messages > li")].map((item) =>
        [item.dataset.id, item.querySelector("p").textContent, item.dataset.status]);
    return JSON.stringify(rows.sort()) === JSON.stringify(want.sort());
}"""
"""Whether the page of the chat shows these rows: id, text and status of each message."""


@dataclass(slots=True)
class Watched:
    """What a browser has received of one session.

    Attributes:
        ordinal: the highest ordinal that it has seen.
        live: the ids of the messages whose words came as events, one for each event.
        snapshots: how many snapshots came.
        faults: what must not happen: an event that came twice, or after a hole.
    """

    session_id: str
    ordinal: int = -1
    texts: Texts = field(default_factory=dict)
    live: list[str] = field(default_factory=list)
    snapshots: int = 0
    faults: list[str] = field(default_factory=list)

    def replace(self, ordinal: int, texts: Texts) -> None:
        """Take a snapshot."""
        if ordinal < self.ordinal:
            self.faults.append(f"{self.session_id}: a snapshot at {ordinal} after {self.ordinal}")
        self.ordinal = ordinal
        self.snapshots += 1
        self.texts = texts

    def apply(self, ordinal: int, name: str, message: ChatMessageUpdate) -> None:
        """Take an event."""
        if ordinal <= self.ordinal:
            self.faults.append(f"{self.session_id}: event {ordinal} came after {self.ordinal}")
        self.ordinal = ordinal
        before, _ = self.texts.get(message.message_id, ("", ""))
        if name == APPENDED:
            self.live.append(message.message_id)
            if before + message.chunk != message.text:
                self.faults.append(f"{self.session_id}: a word is missing before event {ordinal}")
        self.texts[message.message_id] = message.text, message.status


def texts_of(entities: Iterable[TimelineEntity]) -> Texts:
    """Return the text and the status of each message, by its id."""
    texts = {}
    for entity in entities:
        assert isinstance(entity.payload, ChatMessageEntity)
        texts[entity.id] = entity.payload.text, entity.payload.status
    return texts


class Browser(ABC):
    """Watches sessions until it is closed.

    Attributes:
        name: for people.
        sessions: what it has received, by session.
    """

    def __init__(self, name: str, session_ids: Sequence[str]) -> None:
        self.name = name
        self.sessions = {session_id: Watched(session_id) for session_id in session_ids}
        self._changed = asyncio.Event()

    @property
    def faults(self) -> list[str]:
        """What must not have happened, in any session."""
        return [fault for watched in self.sessions.values() for fault in watched.faults]

    async def until(self, session_id: str, words: int) -> None:
        """Wait until so many words of a session have come as events."""
        while len(self.sessions[session_id].live) < words:
            self._changed.clear()
            await self._changed.wait()

    async def agrees(self, texts: dict[str, Texts]) -> None:
        """Wait until it shows these texts, by session."""
        while {each.session_id: each.texts for each in self.sessions.values() if each.snapshots} != texts:
            self._changed.clear()
            await self._changed.wait()

    def node_of(self, session_id: str, balancer: Balancer) -> str:
        """Return the name of the node from which it hears of a session."""
        return balancer.node_of_browser(self.label(session_id))

    def label(self, session_id: str) -> str:
        """Return what it calls itself where it watches a session."""
        return self.name

    @abstractmethod
    async def close(self) -> None:
        """End it.

        Raises:
            TransportError: it has ended before.
        """


class ClientBrowser(Browser):
    """The Python client, with one connection for all sessions."""

    def __init__(self, name: str, port: int, session_ids: Sequence[str]) -> None:
        super().__init__(name, session_ids)
        self._url = f"ws://127.0.0.1:{port}/ws?browser={name}"
        self._watching = asyncio.create_task(self._watch(), name=f"browser {name}")

    async def close(self) -> None:
        if self._watching.done():
            self._watching.result()
        self._watching.cancel()
        await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        backoff = Backoff(floor_seconds=0.05, first_seconds=0.1, ceiling_seconds=1.0)
        async with (
            connect(
                self._url, schemas=chat_schemas(), backoff=backoff, heartbeat_seconds=1.0, patience_seconds=1.0
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            for watched in self.sessions.values():
                group.create_task(self._read(client.subscribe(watched.session_id), watched))

    async def _read(self, updates: Updates, watched: Watched) -> None:
        async for update in updates:
            if isinstance(update, Snapshot):
                watched.replace(update.snapshot_ordinal, texts_of(update.entities))
            elif isinstance(update, LiveEvent):
                assert isinstance(update.payload, ChatMessageUpdate)
                watched.apply(update.ordinal, update.name, update.payload)
            self._changed.set()


class ChromiumBrowser(Browser):
    """Chromium, with a window for each session, in which the page of the chat is open.

    What it has received is read from the frames of the page's WebSocket, and what it shows from the page.
    """

    def __init__(self, name: str, session_ids: Sequence[str]) -> None:
        super().__init__(name, session_ids)
        self._pages: dict[str, Page] = {}

    async def open(self, chromium: Chromium, port: int) -> None:
        """Open the pages, from whichever nodes are next."""
        url = f"http://127.0.0.1:{port}/"
        for session_id, watched in self.sessions.items():
            context = await chromium.new_context()
            await context.add_cookies([{"name": "browser", "value": self.label(session_id), "url": url}])
            self._pages[session_id] = page = await context.new_page()
            self._listen(page, watched)
            await page.goto(f"{url}#{session_id}")

    def label(self, session_id: str) -> str:
        return f"{self.name}-{session_id}"

    async def agrees(self, texts: dict[str, Texts]) -> None:
        await super().agrees(texts)
        for session_id, page in self._pages.items():
            rows = [[message_id, *shown] for message_id, shown in texts[session_id].items()]
            await page.wait_for_function(_SHOWS, arg=rows, timeout=0)

    async def close(self) -> None:
        for page in self._pages.values():
            await page.context.close()

    def _listen(self, page: Page, watched: Watched) -> None:
        def opened(socket: WebSocket) -> None:
            socket.on("framereceived", lambda frame: self._receive(json.loads(frame), watched))

        page.on("websocket", opened)
        page.on("pageerror", lambda error: watched.faults.append(f"the page: {error}"))

    def _receive(self, frame: dict[str, Any], watched: Watched) -> None:
        match frame:
            case {"snapshot": snapshot}:
                texts = dict(watched.texts) if int(snapshot.get("since", 0)) else {}
                for entity in snapshot.get("entities", ()):
                    payload = entity["payload"]
                    texts[entity["id"]] = payload.get("text", ""), payload.get("status", "")
                watched.replace(int(snapshot.get("snapshotOrdinal", 0)), texts)
            case {"uiEvent": event}:
                payload = event["payload"]
                names = {"message_id": "messageId", "chunk": "chunk", "text": "text", "status": "status"}
                message = ChatMessageUpdate(**{ours: payload.get(theirs, "") for ours, theirs in names.items()})
                watched.apply(int(event["eventOrdinal"]), event["name"], message)
            case _:
                return
        self._changed.set()
