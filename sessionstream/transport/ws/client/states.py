"""The client's state machine of a subscription as a table: what was requested from the server, and its answers.

Whether the session has watchers is not part of the state. Where the state differs from what the watchers want, a
request is due; see outstanding.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """The states of a subscription on the current connection."""

    ABSENT = auto()
    """The server does not have it."""
    ASKED = auto()
    """A subscribe was sent; no snapshot has arrived."""
    LIVE = auto()
    """A snapshot has arrived; events are passed to watchers."""
    RENEWING = auto()
    """Like LIVE, and another subscribe was sent."""
    LEAVING = auto()
    """An unsubscribe was sent; frames that arrive before its answer are ignored."""


class Input(Enum):
    """The inputs of a subscription."""

    ASK = auto()
    """A subscribe is sent."""
    LEAVE = auto()
    """An unsubscribe is sent."""
    LOST = auto()
    """The connection was lost."""
    SNAPSHOT = auto()
    EVENT = auto()
    UNSUBSCRIBED = auto()
    SNAPSHOT_FAILED = auto()
    """A temporary error: the snapshot could not be loaded."""
    TOO_MANY = auto()
    """The server has no room, until another session is left."""
    ENDED = auto()
    """A permanent error."""


class Action(Enum):
    """What is done on an input."""

    ASK = auto()
    LEAVE = auto()
    LOSE = auto()
    HYDRATE = auto()
    PASS_ON = auto()
    RETRY = auto()
    WAIT_FOR_ROOM = auto()
    MAKE_ROOM = auto()
    END = auto()


TABLE: Final[Mapping[State, Mapping[Input, tuple[Action, State]]]] = {
    State.ABSENT: {
        Input.ASK: (Action.ASK, State.ASKED),
        Input.LOST: (Action.LOSE, State.ABSENT),
    },
    State.ASKED: {
        Input.ASK: (Action.ASK, State.ASKED),
        Input.LEAVE: (Action.LEAVE, State.LEAVING),
        Input.LOST: (Action.LOSE, State.ABSENT),
        Input.SNAPSHOT: (Action.HYDRATE, State.LIVE),
        Input.SNAPSHOT_FAILED: (Action.RETRY, State.ABSENT),
        Input.TOO_MANY: (Action.WAIT_FOR_ROOM, State.ABSENT),
        Input.ENDED: (Action.END, State.ABSENT),
    },
    State.LIVE: {
        Input.ASK: (Action.ASK, State.RENEWING),
        Input.LEAVE: (Action.LEAVE, State.LEAVING),
        Input.LOST: (Action.LOSE, State.ABSENT),
        Input.SNAPSHOT: (Action.HYDRATE, State.LIVE),
        Input.EVENT: (Action.PASS_ON, State.LIVE),
        Input.UNSUBSCRIBED: (Action.END, State.ABSENT),
        Input.SNAPSHOT_FAILED: (Action.RETRY, State.ABSENT),
        Input.ENDED: (Action.END, State.ABSENT),
    },
    State.RENEWING: {
        Input.ASK: (Action.ASK, State.RENEWING),
        Input.LEAVE: (Action.LEAVE, State.LEAVING),
        Input.LOST: (Action.LOSE, State.ABSENT),
        Input.SNAPSHOT: (Action.HYDRATE, State.LIVE),
        Input.EVENT: (Action.PASS_ON, State.RENEWING),
        Input.UNSUBSCRIBED: (Action.END, State.ABSENT),
        Input.SNAPSHOT_FAILED: (Action.RETRY, State.ABSENT),
        Input.ENDED: (Action.END, State.ABSENT),
    },
    State.LEAVING: {
        Input.LEAVE: (Action.LEAVE, State.LEAVING),
        Input.LOST: (Action.LOSE, State.ABSENT),
        Input.UNSUBSCRIBED: (Action.MAKE_ROOM, State.ABSENT),
    },
}
"""By state and input: the action and the next state. Inputs that are not listed are ignored."""

ASKING: Final = frozenset({State.ASKED, State.RENEWING})
"""States in which a snapshot is expected."""

UNANSWERED: Final = ASKING | {State.LEAVING}
"""States in which an answer is expected."""
