"""What the server was told about a session, as a client sees it: a table, as that of the server in states.py.

Whether anybody watches the session is not in it. What the server was told and what is wanted differ now and then; the
difference is what is still to be said, see outstanding.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where a subscription stands on the present connection."""

    ABSENT = auto()
    """The server knows nothing of it."""
    ASKED = auto()
    """The server was asked for a snapshot."""
    LIVE = auto()
    """The snapshot was given, and what comes is given."""
    RENEWING = auto()
    """As LIVE, and the server was asked for another snapshot."""
    LEAVING = auto()
    """The server was told to end it. Until it has answered, what comes belongs to the past."""


class Input(Enum):
    """What can happen to a subscription."""

    ASK = auto()
    """It is its turn to be asked for."""
    LEAVE = auto()
    """It is its turn to be left."""
    LOST = auto()
    """The connection is gone."""
    SNAPSHOT = auto()
    EVENT = auto()
    UNSUBSCRIBED = auto()
    SNAPSHOT_FAILED = auto()
    """An error that passes: no snapshot for now."""
    TOO_MANY = auto()
    """An error that passes as soon as the server knows of another session that is left."""
    ENDED = auto()
    """An error that does not pass."""


class Action(Enum):
    """What is done about it."""

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
"""By state and input: the action, and the state afterwards. What is not listed changes nothing."""

ASKING: Final = frozenset({State.ASKED, State.RENEWING})
"""The server owes a snapshot."""

UNANSWERED: Final = ASKING | {State.LEAVING}
"""The server was told something and has not answered yet."""
