"""Records the frames of WebSocket connections, as the server sent and received them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import parse_qs

from sessionstream.systemlab.ledger import Ledger, Places
from sessionstream.transport.ws import ConnectionRecord, WebSocketServer

if TYPE_CHECKING:
    from sessionstream import SnapshotSource
    from sessionstream.transport.ws import ConnectionObserver

KEPT: Final = 40
"""The maximum number of conversations; the oldest ended ones are removed first."""

FRAMES: Final = 2_000
"""The maximum number of frames of a conversation; the first ones are kept."""

_NAME: Final = 32

Message: TypeAlias = MutableMapping[str, Any]
"""An ASGI message."""


class Line(Protocol):
    """The line between a server and one of its clients."""

    def carry(self, message: Message) -> Iterable[Message]:
        """Pass a message of the server; return the messages that the client receives now."""
        ...


class Cable:
    """A line that passes every message unchanged."""

    def carry(self, message: Message) -> Iterable[Message]:
        """Return the message."""
        return (message,)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a conversation. Fields that its kind does not have are empty.

    Attributes:
        place: its position among all recorded frames and batches.
        by: who sent it.
        kind: the member of the frame, as on the wire; ``close`` for the end of the connection.
        ordinal: of a live event, or of a snapshot.
        epoch: of a snapshot; of a subscribe request: the epoch the client holds.
        since: of a delta: the ordinal it starts from; of a request: the ordinal that the client holds.
        entities: the number of entities of a snapshot.
        name: of a live event; the code of an error or a close.
        told: the highest ordinal that the hub had passed to the fan-out when the frame was sent.
        asked: of a snapshot: the position at which it began to load.
    """

    place: int
    by: Literal["client", "server"]
    kind: str
    session_id: str = ""
    ordinal: int = 0
    epoch: int = 0
    since: int = 0
    entities: int = 0
    name: str = ""
    told: int = 0
    asked: int = 0


@dataclass(slots=True)
class Conversation:
    """One connection.

    Attributes:
        client: the name that the client gives as ``?client=`` in the URL.
        connection_id: the id in the hello frame.
        frames: the frames in order.
        open: whether the connection is open.
    """

    client: str
    connection_id: str = ""
    frames: list[Frame] = field(default_factory=list)
    open: bool = True


class Conversations:
    """Keeps the conversations of a server.

    Args:
        places: numbers the frames.
        ledger: the calls of the fan-out.
    """

    def __init__(self, places: Places, ledger: Ledger) -> None:
        self._places = places
        self._ledger = ledger
        self._kept: list[Conversation] = []
        self._loading: dict[tuple[str, str], int] = {}
        self._asked: dict[tuple[str, str], int] = {}

    def __iter__(self) -> Iterator[Conversation]:
        """Iterate over them in the order in which they began."""
        return iter(tuple(self._kept))

    def begin(self, client: str) -> Conversation:
        """Record a new connection."""
        conversation = Conversation(client)
        self._kept.append(conversation)
        ended = [kept for kept in self._kept if not kept.open]
        for kept in ended[: max(0, len(self._kept) - KEPT)]:
            self._kept.remove(kept)
        return conversation

    def add(self, conversation: Conversation, by: Literal["client", "server"], message: Mapping[str, Any]) -> None:
        """Record the frame of an ASGI message, if it has one."""
        kind, facts = _read(message)
        if not kind or len(conversation.frames) >= FRAMES:
            return
        if kind == "hello":
            conversation.connection_id = facts.pop("connection_id")
        session_id = facts.get("session_id", "")
        conversation.frames.append(
            Frame(
                self._places.take(),
                by,
                kind,
                told=self._ledger.told(session_id),
                asked=self._asked.get((conversation.connection_id, session_id), 0) if kind == "snapshot" else 0,
                **facts,
            )
        )

    def end(self, conversation: Conversation) -> None:
        """Record that a connection has ended."""
        conversation.open = False
        for key in [key for key in self._asked if key[0] == conversation.connection_id]:
            del self._asked[key]
            self._loading.pop(key, None)

    def observe(self, record: ConnectionRecord) -> None:
        """Record a stage; this is an observer for a server."""
        key = (record.connection_id, record.session_id)
        match record.stage:
            case "load_started" | "resync":
                self._loading[key] = self._asked[key] = self._places.take()
            case "live" | "load_failed" | "unsubscribed":
                self._loading.pop(key, None)

    def hydrating(self, conversation: Conversation, session_id: str) -> bool:
        """Whether a snapshot is being loaded for a subscription."""
        return (conversation.connection_id, session_id) in self._loading


class ListeningServer(WebSocketServer):
    """A WebSocket server that records its conversations.

    Args:
        source: as for a WebSocketServer.
        conversations: where they are recorded.
        line: makes the line between the server and a client.
        observer: as for a WebSocketServer.
    """

    def __init__(
        self,
        source: SnapshotSource,
        conversations: Conversations,
        *,
        line: Callable[[], Line] = Cable,
        observer: ConnectionObserver,
    ) -> None:
        def observe(record: ConnectionRecord) -> None:
            conversations.observe(record)
            observer(record)

        super().__init__(source, observer=observe)
        self._conversations = conversations
        self._line = line

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a connection as a WebSocketServer does, and record it."""
        if scope["type"] != "websocket":
            await super().__call__(scope, receive, send)
            return
        conversations, line = self._conversations, self._line()
        conversation = conversations.begin(_client(scope))

        async def hear() -> Message:
            message: Message = await receive()
            conversations.add(conversation, "client", message)
            return message

        async def say(message: Message) -> None:
            for carried in line.carry(message):
                conversations.add(conversation, "server", carried)
                await send(carried)

        try:
            await super().__call__(scope, hear, say)
        finally:
            conversations.end(conversation)


def _client(scope: Mapping[str, Any]) -> str:
    names = parse_qs(scope.get("query_string", b"").decode("ascii", "replace")).get("client", [])
    return names[0][:_NAME] if names else "somebody"


def _read(message: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind and the fields of a frame; an empty kind for other messages."""
    if message["type"] in ("websocket.close", "websocket.disconnect"):
        return "close", {"name": f"{message.get('code', 1000)} {message.get('reason') or ''}".rstrip()}
    text = message.get("text")
    if text is None:
        return "", {}
    try:
        [(kind, members)] = json.loads(text).items()
        return kind, _facts(kind, members)
    except (ValueError, TypeError, AttributeError):  # whatever a client sends; the server has its own answer to it
        return "unreadable", {}


def _facts(kind: str, members: Mapping[str, Any]) -> dict[str, Any]:
    session = {"session_id": str(members.get("sessionId", ""))}
    match kind:
        case "hello":
            return {"connection_id": members["connectionId"]}
        case "snapshot":
            numbers = {"ordinal": "snapshotOrdinal", "epoch": "epoch", "since": "since"}
            return session | _numbers(members, numbers) | {"entities": len(members.get("entities", ()))}
        case "uiEvent":
            return session | _numbers(members, {"ordinal": "eventOrdinal"}) | {"name": members["name"]}
        case "subscribe" | "subscribed":
            return session | _numbers(members, {"since": "sinceSnapshotOrdinal", "epoch": "epoch"})
        case "error":
            return session | {"name": str(members.get("code", ""))}
        case _:
            return session


def _numbers(members: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, int]:
    return {name: int(members.get(member, 0)) for name, member in names.items()}
