"""A browser: the Python client, which watches sessions and checks that each event comes once and nothing is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from sessionstream import Snapshot, TimelineEntity
from sessionstream.examples.chatdemo.schemas import TOKENS_DELTA, UI_EVENTS, chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate
from sessionstream.transport.ws import Backoff, LiveEvent, Updates, connect

APPENDED = UI_EVENTS[TOKENS_DELTA]


@dataclass(slots=True)
class Page:
    """What a browser shows of one session.

    Attributes:
        ordinal: the highest ordinal that it has seen.
        texts: the text of each message, by its id, and its status.
        live: the ids of the messages whose words came as events, one for each event.
        snapshots: how many snapshots came.
    """

    ordinal: int = -1
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    live: list[str] = field(default_factory=list)
    snapshots: int = 0

    def show(self, entities: Sequence[TimelineEntity]) -> None:
        self.texts = texts_of(entities)


def texts_of(entities: Sequence[TimelineEntity]) -> dict[str, tuple[str, str]]:
    """Return the text and the status of each message, by its id."""
    texts = {}
    for entity in entities:
        assert isinstance(entity.payload, ChatMessageEntity)
        texts[entity.id] = entity.payload.text, entity.payload.status
    return texts


class Browser:
    """Watches sessions until it is closed.

    Attributes:
        name: for people.
        pages: what it shows, by session.
        faults: what must not happen: an event that came twice, or after a hole.
    """

    def __init__(self, name: str, port: int, session_ids: Sequence[str]) -> None:
        self.name = name
        self.request = f"GET /ws?browser={name}"
        self.pages = {session_id: Page() for session_id in session_ids}
        self.faults: list[str] = []
        self._changed = asyncio.Event()
        self._url = f"ws://127.0.0.1:{port}/ws?browser={name}"
        self._watching = asyncio.create_task(self._watch(), name=f"browser {name}")

    async def until(self, session_id: str, words: int) -> None:
        """Wait until so many words of a session have come as events."""
        while len(self.pages[session_id].live) < words:
            self._changed.clear()
            await self._changed.wait()

    async def agrees(self, texts: dict[str, dict[str, tuple[str, str]]]) -> None:
        """Wait until it shows these texts, by session."""
        while {session_id: page.texts for session_id, page in self.pages.items() if page.snapshots} != texts:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """End it.

        Raises:
            TransportError: it has ended before.
        """
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
            for session_id in self.pages:
                group.create_task(self._read(client.subscribe(session_id), session_id))

    async def _read(self, updates: Updates, session_id: str) -> None:
        page = self.pages[session_id]
        async for update in updates:
            if isinstance(update, Snapshot):
                if update.snapshot_ordinal < page.ordinal:
                    self.faults.append(f"{session_id}: a snapshot at {update.snapshot_ordinal} after {page.ordinal}")
                page.ordinal = update.snapshot_ordinal
                page.snapshots += 1
                page.show(update.entities)
            elif isinstance(update, LiveEvent):
                self._apply(page, session_id, update)
            self._changed.set()

    def _apply(self, page: Page, session_id: str, event: LiveEvent) -> None:
        assert isinstance(event.payload, ChatMessageUpdate)
        message = event.payload
        if event.ordinal <= page.ordinal:
            self.faults.append(f"{session_id}: event {event.ordinal} came after {page.ordinal}")
        page.ordinal = event.ordinal
        before, _ = page.texts.get(message.message_id, ("", ""))
        if event.name == APPENDED:
            page.live.append(message.message_id)
            if before + message.chunk != message.text:
                self.faults.append(f"{session_id}: a word is missing before event {event.ordinal}")
        page.texts[message.message_id] = message.text, message.status
