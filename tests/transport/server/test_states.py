"""The table of a subscription's states: nothing in it is dead, and the code does what it says."""

from __future__ import annotations

from sessionstream.subscription import TABLE, Action, Input, State
from sessionstream.transport.ws.server.conversation import Conversation
from sessionstream.transport.ws.server.frames import Batch
from sessionstream.transport.ws.server.limits import Limits

from ..world import Wire


def test_every_state_can_be_reached_and_left_for_absent() -> None:
    reached = {State.ABSENT}
    while more := {after for state in reached for _, after in TABLE[state].values()} - reached:
        reached |= more
    assert reached == set(State) == set(TABLE)
    assert all(row[Input.UNSUBSCRIBE] == (Action.UNSUBSCRIBE, State.ABSENT) for row in TABLE.values())


def test_the_right_can_be_revoked_in_every_state() -> None:
    rows = {state: row.get(Input.REVOKED) for state, row in TABLE.items()}
    assert rows == {state: (None if state is State.ABSENT else (Action.DENY, State.ABSENT)) for state in State}


def test_every_input_and_every_action_occurs_and_can_be_done() -> None:
    assert {what for row in TABLE.values() for what in row} == set(Input)
    assert {action for row in TABLE.values() for action, _ in row.values()} == set(Action)
    assert set(Conversation._ACTIONS) == set(Action)


def test_only_a_snapshot_makes_a_subscription_live() -> None:
    ways = {(state, what) for state, row in TABLE.items() for what, (_, after) in row.items() if after is State.LIVE}
    assert ways == {(State.LOADING, Input.LOADED), (State.RESYNCING, Input.LOADED), (State.LIVE, Input.EVENTS)}


def test_the_shorter_way_of_live_events_is_the_table_s() -> None:
    """Conversation.events passes by the table where a subscription is live."""
    batch = Batch("s", 3, ())
    outcomes = []
    for shortcut in (True, False):
        wire = Wire({}, Limits())
        wire.say('{"subscribe":{"sessionId":"s"}}')
        conversation = wire.conversation
        subscription = conversation._subscriptions["s"]
        subscription.state = State.LIVE
        if shortcut:
            effects = list(conversation.events(batch))
        else:
            conversation._enter(subscription, Input.EVENTS, batch)
            effects = list(conversation._done())
        outcomes.append((effects, subscription.floor, subscription.state))
    assert outcomes[0] == outcomes[1] == ([batch], 3, State.LIVE)
