"""The states of a subscription as a client sees it: a table, as that of the server in states.py."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where a subscription stands."""

    GONE = auto()
    """The user does not want it, and the server knows."""
    IDLE = auto()
    """It is wanted; there is no connection to ask on."""
    ASKED = auto()
    """The server was asked for a snapshot."""
    LIVE = auto()
    """The snapshot was given, and what comes is given."""
    REFUSED = auto()
    """The server could not make a snapshot; it is asked again in a while."""
    LEAVING = auto()
    """It is not wanted any more; until the server has said so, what comes belongs to the past."""
    RETURNING = auto()
    """As LEAVING, but it is wanted anew by now."""


class Input(Enum):
    """What can happen to a subscription."""

    SUBSCRIBE = auto()
    UNSUBSCRIBE = auto()
    READY = auto()
    """The server said hello."""
    LOST = auto()
    """The connection is gone."""
    SNAPSHOT = auto()
    EVENT = auto()
    UNSUBSCRIBED = auto()
    SORRY = auto()
    """An error that passes: no snapshot for now."""
    ENDED = auto()
    """An error that does not pass."""
    UNREADABLE = auto()
    """What came cannot be given out."""
    AGAIN = auto()
    """The time has come to say again what has no answer."""


class Action(Enum):
    """What is done about it."""

    NOTHING = auto()
    ASK = auto()
    LEAVE = auto()
    FORGET = auto()
    HYDRATE = auto()
    PASS_ON = auto()
    WAIT = auto()
    END = auto()
    GIVE_UP = auto()


TABLE: Final[Mapping[State, Mapping[Input, tuple[Action, State]]]] = {
    State.GONE: {
        Input.SUBSCRIBE: (Action.NOTHING, State.IDLE),
    },
    State.IDLE: {
        Input.UNSUBSCRIBE: (Action.FORGET, State.GONE),
        Input.READY: (Action.ASK, State.ASKED),
    },
    State.ASKED: {
        Input.UNSUBSCRIBE: (Action.LEAVE, State.LEAVING),
        Input.LOST: (Action.NOTHING, State.IDLE),
        Input.SNAPSHOT: (Action.HYDRATE, State.LIVE),
        Input.SORRY: (Action.WAIT, State.REFUSED),
        Input.ENDED: (Action.END, State.GONE),
        Input.AGAIN: (Action.ASK, State.ASKED),
    },
    State.LIVE: {
        Input.UNSUBSCRIBE: (Action.LEAVE, State.LEAVING),
        Input.LOST: (Action.NOTHING, State.IDLE),
        Input.SNAPSHOT: (Action.HYDRATE, State.LIVE),
        Input.EVENT: (Action.PASS_ON, State.LIVE),
        Input.UNSUBSCRIBED: (Action.END, State.GONE),
        Input.SORRY: (Action.WAIT, State.REFUSED),
        Input.ENDED: (Action.END, State.GONE),
        Input.UNREADABLE: (Action.GIVE_UP, State.LEAVING),
    },
    State.REFUSED: {
        Input.UNSUBSCRIBE: (Action.FORGET, State.GONE),
        Input.LOST: (Action.NOTHING, State.IDLE),
        Input.ENDED: (Action.END, State.GONE),
        Input.AGAIN: (Action.ASK, State.ASKED),
    },
    State.LEAVING: {
        Input.SUBSCRIBE: (Action.NOTHING, State.RETURNING),
        Input.LOST: (Action.FORGET, State.GONE),
        Input.UNSUBSCRIBED: (Action.FORGET, State.GONE),
        Input.AGAIN: (Action.LEAVE, State.LEAVING),
    },
    State.RETURNING: {
        Input.UNSUBSCRIBE: (Action.NOTHING, State.LEAVING),
        Input.LOST: (Action.NOTHING, State.IDLE),
        Input.UNSUBSCRIBED: (Action.ASK, State.ASKED),
        Input.AGAIN: (Action.LEAVE, State.RETURNING),
    },
}
"""By state and input: the action, and the state afterwards. What is not listed changes nothing."""

UNANSWERED: Final = frozenset({State.ASKED, State.LEAVING, State.RETURNING})
"""The server was told something and has not answered yet."""

WANTED: Final = frozenset({State.IDLE, State.ASKED, State.LIVE, State.REFUSED, State.RETURNING})
"""There is a user who waits for updates."""
