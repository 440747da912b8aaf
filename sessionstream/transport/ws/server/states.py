"""The states of a subscription as a table: what may happen in each, what is done about it, where it leads."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where a subscription stands."""

    ABSENT = auto()
    AUTHORIZING = auto()
    """The application is asked whether the client may see the session."""
    LOADING = auto()
    """It is told of events; the snapshot that the client asked for is being loaded."""
    LIVE = auto()
    """The client has a snapshot and every event after it."""
    RESYNCING = auto()
    """As LOADING, but it was the server that wants the client to have a new snapshot."""


class Input(Enum):
    """What can happen to a subscription."""

    SUBSCRIBE = auto()
    UNSUBSCRIBE = auto()
    ALLOWED = auto()
    REFUSED = auto()
    REVOKED = auto()
    """The application has taken the client's right to see the session away."""
    LOADED = auto()
    TOO_OLD = auto()
    """A snapshot was loaded that is older than what was sent or dropped already."""
    LOAD_FAILED = auto()
    EVENTS = auto()
    RESYNC = auto()


class Action(Enum):
    """What is done about it."""

    AUTHORIZE = auto()
    UNSUBSCRIBE = auto()
    DENY = auto()
    LOAD = auto()
    RELOAD = auto()
    HYDRATE = auto()
    REFRESH = auto()
    TRY_AGAIN = auto()
    REPORT_FAILURE = auto()
    GIVE_UP = auto()
    SKIP = auto()
    KEEP = auto()
    PASS_ON = auto()


TABLE: Final[Mapping[State, Mapping[Input, tuple[Action, State]]]] = {
    State.ABSENT: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
    },
    State.AUTHORIZING: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.ALLOWED: (Action.LOAD, State.LOADING),
        Input.REFUSED: (Action.DENY, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.LOAD_FAILED: (Action.REPORT_FAILURE, State.ABSENT),  # the application has no answer
        Input.EVENTS: (Action.SKIP, State.AUTHORIZING),
    },
    State.LOADING: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.LOADED: (Action.HYDRATE, State.LIVE),
        Input.TOO_OLD: (Action.TRY_AGAIN, State.LOADING),
        Input.LOAD_FAILED: (Action.REPORT_FAILURE, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.EVENTS: (Action.KEEP, State.LOADING),
        Input.RESYNC: (Action.RELOAD, State.LOADING),
    },
    State.LIVE: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.EVENTS: (Action.PASS_ON, State.LIVE),
        Input.RESYNC: (Action.RELOAD, State.RESYNCING),
    },
    State.RESYNCING: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.LOADED: (Action.REFRESH, State.LIVE),
        Input.TOO_OLD: (Action.TRY_AGAIN, State.RESYNCING),
        Input.LOAD_FAILED: (Action.GIVE_UP, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.EVENTS: (Action.KEEP, State.RESYNCING),
        Input.RESYNC: (Action.RELOAD, State.RESYNCING),
    },
}
"""By state and input: the action, and the state afterwards. What is not listed changes nothing."""
