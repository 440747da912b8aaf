"""Phase 4: the chat, shown in all its layers: events, transport, timeline and browser."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast
from uuid import uuid4

from sessionstream import Event, Hub, HydrationStore, SessionstreamError, Snapshot, SQLiteStore
from sessionstream.examples.chatdemo import Chat, chat_schemas, project_ui, schemas
from sessionstream.examples.chatdemo.messages import ASSISTANT, STOPPED, STREAMING
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent
from sessionstream.systemlab import answers, journal
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field
from sessionstream.systemlab.breaks import NOTHING, Break, Press
from sessionstream.systemlab.checks import Json
from sessionstream.systemlab.folds import converged
from sessionstream.systemlab.front import Front, breach_field
from sessionstream.systemlab.journal import Journal
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.sabotage.breaches import BREACHES, breaks_of_chat
from sessionstream.systemlab.session_ids import chosen, session_action, shortened
from sessionstream.transport.ws import WebSocketServer

SESSION: Final = "chat"
"""The session of the page at first."""

PROMPTS: Final = 40
"""The maximum number of prompts in a session."""

SHOWN: Final = 60
"""The maximum number of backend events that are shown; the latest are shown."""

STRAGGLER: Final = "straggler"
STRANGER: Final = "stranger"
KEYLESS: Final = "keyless"

OWN_BREACHES: Final[Mapping[str, Break]] = MappingProxyType(
    {
        STRAGGLER: Break(
            "A straggler publishes another piece after each stop",
            "stop-stops",
            (Press("stream", {"sentences": 4}), Press("stop")),
        ),
        STRANGER: Break("Somebody else publishes a piece into each answer", "pieces-add-up", (Press("send"),)),
        KEYLESS: Break("Prompts are sent without an idempotency key", "one-answer", (Press("send", {"twice": True}),)),
    }
)
"""Faults of an application, in addition to those between it and the browser."""

BREAKS: Final[Mapping[str, Break]] = MappingProxyType(breaks_of_chat() | dict(OWN_BREACHES))
"""All breaks of this phase, by their names in requests."""

_SENTENCE: Final = "Streams are events in order, and a reader may join at any time. "


class ChatPhase:
    """The chat example behind a WebSocket server whose frames are recorded.

    Args:
        directory: for the file of its store.
        delay: seconds between two pieces of an answer.
    """

    number = 4
    title = "Chat"
    lead = (
        "A prompt becomes events, events become live messages and a timeline. "
        "The state that this page folds from live events must equal that of the store."
    )

    def __init__(self, directory: Path, delay: float = 0.1) -> None:
        self._directory = directory
        self._delay = delay
        self._journal = Journal()
        self._session = SESSION
        self._prompts: defaultdict[str, list[str]] = defaultdict(list)
        self._sending = False
        self._breach = NOTHING
        self._front = Front(project_ui, self._journal)
        self._stack = AsyncExitStack()
        self._live: tuple[Chat, SQLiteStore] | None = None

    @property
    def server(self) -> WebSocketServer | None:
        """The current WebSocket server."""
        return self._front.server

    @property
    def hub(self) -> Hub:
        """The hub."""
        return self._running[0].hub

    @property
    def store(self) -> HydrationStore:
        """The store of the hub."""
        return self._running[1]

    @property
    def _running(self) -> tuple[Chat, SQLiteStore]:
        if self._live is None:
            raise SessionstreamError("this phase is not started")
        return self._live

    def actions(self) -> Sequence[Action]:
        """Return the actions."""
        return (
            Action(
                "send",
                "Send",
                self._send,
                (
                    Field("prompt", "Prompt", "Explain ordinals", longest=500),
                    Field("twice", "Twice, as an impatient finger does", False, hint="Both under one idempotency key."),
                ),
                help="An answer that is still running is stopped first.",
            ),
            Action(
                "stream",
                "Stream a long answer",
                self._stream,
                (Field("sentences", "Sentences", 4, minimum=1, maximum=7),),
                help="It is long enough to stop it, or to disconnect meanwhile.",
            ),
            session_action(self._session, self._use),
            Action("stop", "Stop the answer", self._stop, help="It ends with its text so far."),
            Action(
                "drop", "Drop all connections", self._drop, help="The answer continues, and clients reconnect to it."
            ),
            Action("break", "Break a promise", self._break, (breach_field(BREAKS, self._breach),), harm=True),
            self._front.folds.action(),
        )

    def breaks(self) -> Mapping[str, Break]:
        """Return the breaks by name."""
        return BREAKS

    # -- lifecycle ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open store, chat and server."""
        async with AsyncExitStack() as stack:
            path = self._directory / "chat.db"
            store = await stack.enter_async_context(SQLiteStore.open(path, chat_schemas()))
            stack.push_async_callback(
                self._front.close
            )  # after the chat: whoever watches hears that answers are stopped
            chat = Chat(
                store=store,
                fanout=self._front.ledger,
                delay=self._delay,
                tracing=True,
                error_observer=self._journal.errors.append,
            )
            chat.hub.register_ui_projection(self._front.hasty.project)
            self._live = await stack.enter_async_context(chat), store
            await self._front.open(chat.hub)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Stop the running answers, tell clients to reconnect, and close everything."""
        await self._stack.aclose()

    # -- actions -----------------------------------------------------------------------------------------------

    async def _send(self, arguments: Arguments) -> None:
        prompt = arguments.text("prompt")
        if not prompt.strip():
            raise BadRequest("a prompt needs some text")
        await self._start(prompt, times=2 if arguments.flag("twice") else 1)

    async def _stream(self, arguments: Arguments) -> None:
        await self._start((_SENTENCE * arguments.number("sentences")).rstrip(), times=1)

    async def _start(self, prompt: str, times: int) -> None:
        if len(self._prompts[self._session]) >= PROMPTS:
            raise BadRequest(f"{PROMPTS} prompts are the maximum: reset this phase")
        self._sending = True
        try:
            self._prompts[self._session].append(prompt)
            key = None if self._breach == KEYLESS else uuid4().hex
            for _ in range(times):
                await self._running[0].start(self._session, prompt, idempotency_key=key)
        finally:
            self._sending = False
        if self._breach == STRANGER:
            await self._say(STREAMING, " (from somebody else)")

    async def _stop(self, _: Arguments) -> None:
        await self._running[0].stop(self._session)
        if self._breach == STRAGGLER:
            await self._say(STOPPED, " and another thing")

    async def _say(self, status: str, chunk: str) -> None:
        """Publish a piece of the latest answer with this status, which only its engine should do."""
        of_status = [
            message for message in messages(await self.hub.snapshot(self._session)) if message.status == status
        ]
        if of_status:
            delta = TokensDeltaEvent(
                message_id=of_status[-1].message_id, role=ASSISTANT, chunk=chunk, status=STREAMING, streaming=True
            )
            await self.hub.publish(Event(schemas.TOKENS_DELTA, delta, self._session))

    async def _use(self, arguments: Arguments) -> None:
        self._session = chosen(arguments)

    async def _drop(self, _: Arguments) -> None:
        await self._front.connect()

    async def _break(self, arguments: Arguments) -> None:
        self._breach = arguments.text("breach")
        await self._front.connect(self._breach if self._breach in BREACHES else NOTHING)

    # -- state -------------------------------------------------------------------------------------------------

    async def state(self) -> State:
        """Return the checks and their data."""
        front, folds, sending = self._front, self._front.held(self._session), self._sending
        truths = {ordinal: await self._at(ordinal) for ordinal in {fold.ordinal for fold in folds}}
        prompts = list(self._prompts[self._session])
        events = await self.store.events(self._session)
        last = events[-1].ordinal if events else 0
        snapshot = await self.hub.snapshot(self._session, as_of=last)  # of the same moment as the log
        timeline = messages(snapshot)
        return State(
            checks=(
                answers.one_answer(prompts, events, sending=sending or self._sending),
                answers.pieces_add_up(events, timeline),
                answers.stop_stops(events, timeline),
                converged(
                    "matches",
                    "The timeline matches the UI: the state that a page folds equals that of the store.",
                    folds,
                    truths,
                    epoch=snapshot.epoch,
                    told=front.ledger.told(self._session),
                    clients=1,
                ),
                *front.checks(self._session),
            ),
            panels=(
                journal.event_table("log", "Backend events", events[-SHOWN:], "Nothing yet. Send a prompt.").latest(
                    SHOWN, of=len(events)
                ),
                journal.entity_table("timeline", "Timeline in the store", snapshot.entities, "No message yet."),
                *front.evidence(self._session, folds),
            ),
            facts=(
                ("Session", shortened(self._session)),
                ("Timeline at", snapshot.snapshot_ordinal),
                ("Messages", len(timeline)),
                ("Streaming", "yes" if any(message.status == STREAMING for message in timeline) else "no"),
                ("Connections", front.connections),
            ),
            latest=journal.latest(events),
            watched=(self._session,),
            broken=BREAKS.get(self._breach),
        )

    async def _at(self, ordinal: int) -> list[Json]:
        return items(await self.hub.snapshot(self._session, as_of=ordinal))


def messages(snapshot: Snapshot) -> list[ChatMessageEntity]:
    """Return the messages of a snapshot."""
    return [cast("ChatMessageEntity", e.payload) for e in snapshot.entities if e.kind == schemas.CHAT_MESSAGE]


def items(snapshot: Snapshot) -> list[Json]:
    """Return the messages in the form in which the page reports them: id, role, status, text."""
    return [[message.message_id, message.role, message.status, message.text] for message in messages(snapshot)]
