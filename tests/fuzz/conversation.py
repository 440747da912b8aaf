"""One connection as bytes dictate it: what its client says, and what becomes of everything that it asks for.

Whoever fuzzes gives bytes, each of them a choice, so that a small change of the bytes is a small change of the story.
The rules of a connection are checked after every step.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import UIEvent
from sessionstream.transport.ws.server import frames
from sessionstream.transport.ws.server.conversation import Conversation
from sessionstream.transport.ws.server.effects import (
    Authorize,
    Close,
    Effects,
    Hydration,
    Join,
    Leave,
    Load,
    Note,
    Send,
)
from sessionstream.transport.ws.server.frames import Batch
from sessionstream.transport.ws.server.limits import Limits
from sessionstream.v1.transport_pb2 import ServerFrame

from ..transport.snapshots import snapshot_frame

LIMITS = Limits(
    frame_bytes=600,
    frames_per_second=20.0,
    frames_burst=40,
    subscriptions_per_connection=3,
    buffered_frames=4,
    buffered_bytes=600,
    heartbeat_seconds=30.0,
    pong_timeout_seconds=10.0,
)
SESSIONS = ("a", "b", "c", "d", "\U0001f600", "")
NAMES = (
    "sessionId", "session_id", "sinceSnapshotOrdinal", "since_snapshot_ordinal", "delta", "epoch", "nonce",
    "subscribe", "unsubscribe", "ping", "pong", "hello", "@type", "[a.b]", "",
)  # fmt: skip
VALUES = (
    None, True, False, 0, 1, -1, 2**64 - 1, 2**64, 1.5, 1e400, "0", "7", "18446744073709551615", "1e3", "-0", "\ud800",
    "a" * 200, "\0",
)  # fmt: skip
RAW = ("{", "}", "[", "]", '"', ":", ",", "null", "1e999", "\\u0000", "\\ud800", "/**/", " ", '{"subscribe":', "NaN")

T = TypeVar("T")


class Choices:
    """Bytes that are taken one after the other; when there are none left, every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def number(self, below: int) -> int:
        if not self.left:
            return 0
        self._at += 1
        return self._data[self._at - 1] % below

    def pick(self, options: Sequence[T]) -> T:
        return options[self.number(len(options))]

    def rest(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken


def _value(choices: Choices, depth: int = 0) -> Any:
    kind = choices.number(8 if depth < 4 else 5)
    if kind < 3:
        return choices.pick(VALUES)
    if kind < 5:
        return choices.pick(SESSIONS)
    if kind == 5:
        return [_value(choices, depth + 1) for _ in range(choices.number(3))]
    return {choices.pick(NAMES): _value(choices, depth + 1) for _ in range(choices.number(4))}


def _message(choices: Choices) -> str:
    """A message of a client, which is usually almost valid."""
    match choices.number(10):
        case 0 | 1 | 2:
            request: dict[str, Any] = {"sessionId": choices.pick(SESSIONS)}
            if choices.number(2):
                request |= {"delta": True, "epoch": str(choices.number(3)), "sinceSnapshotOrdinal": choices.number(5)}
            return json.dumps({"subscribe": request})
        case 3:
            return json.dumps({"unsubscribe": {"session_id": choices.pick(SESSIONS)}})
        case 4:
            return json.dumps({choices.pick(("ping", "pong")): {"nonce": choices.pick(SESSIONS)}})
        case 5 | 6:
            return json.dumps({choices.pick(NAMES): _value(choices) for _ in range(choices.number(3))})
        case 7:
            return "".join(choices.pick(RAW) for _ in range(choices.number(24)))
        case 8:
            return choices.pick(("[", '{"a":', '{"subscribe":')) * (choices.number(256) + 1)
        case _:
            return choices.rest(choices.number(64)).decode("utf-8", choices.pick(("replace", "surrogateescape")))


class Story:
    """A conversation and its surroundings: the application, the store, the sessions' events.

    Attributes:
        happened: how often each kind of step was taken, and each kind of frame was sent.
    """

    def __init__(self, data: bytes) -> None:
        self.choices = Choices(data)
        self.happened: Counter[str] = Counter()
        self._now = 0.0
        self._conversation = Conversation("c", LIMITS, 0.0, observed=True)
        self._questions: list[Authorize] = []
        self._asked: list[Load] = []
        self._loading: list[tuple[Load, int]] = []
        self._joined: set[str] = set()
        self._ordinals: Counter[str] = Counter()
        self._floors: dict[str, int] = {}
        self._closed = False

    def run(self) -> None:
        """Take every step that the bytes dictate, until the connection is closed.

        Raises:
            AssertionError: a rule of connections is broken.
        """
        self._take(self._conversation.open())
        while self.choices.left and not self._closed:
            name = self.choices.pick(
                ("say", "say", "say", "answer", "answer", "begin", "load", "load", "events", "events", "more")
            )
            getattr(self, f"_{name}")()
            self._check()

    # -- steps -------------------------------------------------------------------------------------------------

    def _say(self) -> None:
        text = _message(self.choices)
        size = len(text.encode("utf-8", "replace"))
        self._take(self._conversation.text(text, self._now))
        self.happened["say"] += 1
        if size > LIMITS.frame_bytes:
            assert self._closed, "a frame that is too long"

    def _answer(self) -> None:
        if self._questions:
            question = self._questions.pop(self.choices.number(len(self._questions)))
            allowed = self.choices.number(5) > 0
            self.happened["allowed" if allowed else "refused"] += 1
            self._take(self._conversation.authorized(question.session_id, question.token, allowed))

    def _begin(self) -> None:
        if self._asked:
            load = self._asked.pop(self.choices.number(len(self._asked)))
            self.happened["began"] += 1
            self._conversation.load_began(load.session_id, load.token)
            self._loading.append((load, self._ordinals[load.session_id]))

    def _load(self) -> None:
        if not self._loading:
            self._begin()
        if self._loading:
            load, ordinal = self._loading.pop(self.choices.number(len(self._loading)))
            if self.choices.number(6) == 0:
                self.happened["failed"] += 1
                self._take(self._conversation.load_failed(load.session_id, load.token, "no"))
                return
            self.happened["loaded"] += 1
            delta = load.basis is not None and load.basis.ordinal <= ordinal and load.basis.epoch == 1
            since = load.basis.ordinal if load.basis is not None and delta else 0
            frame = snapshot_frame(load.session_id, ordinal, epoch=1 if load.epochs else 0, since=since)
            self._take(self._conversation.loaded(load.session_id, load.token, Hydration(frame, ordinal, 1, 0, delta)))

    def _events(self) -> None:
        session_id = self.choices.pick(SESSIONS[:4])
        self._ordinals[session_id] += 1
        ordinal, count, size = self._ordinals[session_id], self.choices.number(3), self.choices.pick((1, 1, 300))
        if session_id in self._joined:
            self.happened["events"] += 1
            event = UIEvent("Told", StringValue(value="x" * size))
            written = tuple(frames.ui_event(session_id, ordinal, event)[0] for _ in range(count))
            self._take(self._conversation.events(Batch(session_id, ordinal, written)))

    def _more(self) -> None:
        match self.choices.number(4):
            case 0:
                self.happened["binary"] += 1
                self._take(self._conversation.binary(self.choices.number(256) * 4, self._now))
            case 1:
                self.happened["resync"] += 1
                ordinal, epoch = self.choices.pick(((None, None), (2, 1), (2, 2), (0, 1)))
                self._take(self._conversation.resync(self.choices.pick(SESSIONS[:4]), ordinal, epoch))
            case _:
                self.happened["tick"] += 1
                self._now += self.choices.number(16)
                self._take(self._conversation.tick(self._now))

    # -- rules -------------------------------------------------------------------------------------------------

    def _take(self, effects: Effects) -> None:
        for effect in effects:
            assert isinstance(effect, Note) or not self._closed, "something after the close"
            match effect:
                case Batch(frames=sent) | Send(sent):
                    for frame in sent:
                        self._sent(frame)
                case Authorize():
                    self._questions.append(effect)
                case Join(session_id):
                    assert session_id not in self._joined
                    self._joined.add(session_id)
                case Leave(session_id):
                    self._joined.discard(session_id)
                    self._floors.pop(session_id, None)
                case Load(session_id):
                    assert session_id in self._joined, "a load of what nobody is told of"
                    self._asked.append(effect)
                case Close(code):
                    self.happened[f"closed {code.code}"] += 1
                    self._closed = True

    def _sent(self, frame: frames.Frame) -> None:
        """Every frame is one of the contract, and no event comes before its snapshot, twice, or out of order."""
        assert frame.size == len(frame.text.encode())
        server_frame = ServerFrame()
        member = next(iter(json.loads(frame.text)))
        self.happened[member] += 1
        if member == "uiEvent":
            body = json.loads(frame.text)["uiEvent"]
            session_id, ordinal = body["sessionId"], int(body["eventOrdinal"])
            assert ordinal >= self._floors[session_id], "an event that is old, or came before the snapshot"
            self._floors[session_id] = ordinal
        else:
            json_format.Parse(frame.text, server_frame)
        if member == "snapshot":
            snapshot = server_frame.snapshot
            assert snapshot.snapshot_ordinal >= self._floors.get(snapshot.session_id, 0), "a snapshot that is too old"
            self._floors[snapshot.session_id] = snapshot.snapshot_ordinal
        if member == "error":
            self.happened[server_frame.error.code] += 1

    def _check(self) -> None:
        subscriptions = self._conversation.subscriptions
        assert len(subscriptions) <= LIMITS.subscriptions_per_connection
        if not self._closed:
            assert self._joined <= set(subscriptions), "told of what it does not watch"
        for subscription in self._conversation._subscriptions.values():
            kept = [frame for batch in subscription._kept for frame in batch.frames]
            assert len(kept) <= LIMITS.buffered_frames
            assert sum(frame.size for frame in kept) <= LIMITS.buffered_bytes


def one_input(data: bytes) -> Counter[str]:
    """Run the story that the bytes encode; return its counts."""
    story = Story(data)
    story.run()
    return story.happened
