"""The state machine of a subscription as a table: state and input to action and next state."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """The states of a subscription."""

    ABSENT = auto()
    AUTHORIZING = auto()
    """``authorize`` was called and has not answered."""
    LOADING = auto()
    """It receives events; the snapshot that the client requested is loading."""
    LIVE = auto()
    """The client has a snapshot and every event after it."""
    RESYNCING = auto()
    """Like LOADING, but the snapshot was requested by the server."""


class Input(Enum):
    """The inputs of a subscription."""

    SUBSCRIBE = auto()
    UNSUBSCRIBE = auto()
    ALLOWED = auto()
    REFUSED = auto()
    REVOKED = auto()
    """The application has revoked the client's right to watch the session."""
    LOADED = auto()
    TOO_OLD = auto()
    """A snapshot was loaded that is below the floor."""
    LOAD_FAILED = auto()
    EVENTS = auto()
    RESYNC = auto()


class Action(Enum):
    """What the conversation does on an input."""

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
        Input.LOAD_FAILED: (Action.REPORT_FAILURE, State.ABSENT),  # authorize timed out
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
"""By state and input: the action and the next state. Inputs that are not listed are ignored."""
