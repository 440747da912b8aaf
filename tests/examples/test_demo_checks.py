"""Every check of the demo, with data that passes and with data that does not."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest

from sessionstream.examples.chatdemo.demo import checks, linting
from sessionstream.examples.chatdemo.demo.checks import CheckFailed
from sessionstream.examples.chatdemo.demo.linting import LintRun
from sessionstream.examples.chatdemo.demo.records import LiveUpdate, StoredEntity, StoredSnapshot, from_line, to_line
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate


def update(ordinal: int, message_id: str, text: str, status: str, *, payload_ordinal: int | None = None) -> LiveUpdate:
    message = ChatMessageUpdate(message_id=message_id, text=text, status=status)
    message.ordinal = str(ordinal if payload_ordinal is None else payload_ordinal)
    return LiveUpdate(ordinal, "ChatMessageAppended", b64encode(message.SerializeToString()).decode())


def entity(message_id: str, text: str, status: str, created: int = 1, last: int = 1) -> StoredEntity:
    message = ChatMessageEntity(message_id=message_id, text=text, status=status)
    return StoredEntity("ChatMessage", message_id, created, last, b64encode(message.SerializeToString()).decode())


UPDATES = [
    update(1, "chat-msg-1-user", "hi", ""),
    update(2, "chat-msg-1", "", "streaming"),
    update(3, "chat-msg-1", "Answer: hi", "finished"),
]
ANSWER = entity("chat-msg-1", "Answer: hi", "finished", 2, 3)
SNAPSHOT = StoredSnapshot(3, 77, (entity("chat-msg-1-user", "hi", ""), ANSWER))
FOUND = LintRun("a.py", 1, "a.py:8:44: SST001 something")


def test_records_survive_their_line() -> None:
    for record in (UPDATES[0], SNAPSHOT):
        assert from_line(to_line(record)) == record


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"record": "LiveUpdate"}', '{"record": "Other"}'])
def test_what_is_no_record_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the decoder's own words
        from_line(line)


def test_the_planted_mistake_is_where_we_say() -> None:
    line, column = linting.planted_place()
    assert linting.SAMPLE.splitlines()[line - 1][column - 1 :] == "struct_pb2.Struct)"


def test_found_planted() -> None:
    assert "a.py:8:44" in checks.found_planted(FOUND, 8, 44)


@pytest.mark.parametrize(
    "run",
    [
        replace(FOUND, status=0),
        replace(FOUND, status=0, output=""),
        replace(FOUND, output=""),
        replace(FOUND, output="a.py:8:1: SST001 something"),
        replace(FOUND, output="a.py:7:44: SST001 something"),
        replace(FOUND, output="a.py:8:44: E999 something"),
        replace(FOUND, output=f"{FOUND.output}\n{FOUND.output}"),
        replace(FOUND, output="/usr/bin/python: No module named flake8"),
    ],
)
def test_found_planted_fails(run: LintRun) -> None:
    with pytest.raises(CheckFailed, match="flake8 should have"):
        checks.found_planted(run, 8, 44)


def test_found_nothing() -> None:
    assert checks.found_nothing(LintRun("a.py", 0, "")) == "flake8 passes a.py"


@pytest.mark.parametrize("run", [FOUND, replace(FOUND, output=""), replace(FOUND, status=0)])
def test_found_nothing_fails(run: LintRun) -> None:
    with pytest.raises(CheckFailed, match="flake8 should have passed"):
        checks.found_nothing(run)


def test_live_in_order() -> None:
    assert checks.live_in_order(UPDATES, 0).endswith("1 to 3")
    assert checks.live_in_order(UPDATES[1:], 1).endswith("2 to 3")


@pytest.mark.parametrize(
    ("updates", "after", "words"),
    [
        ([], 0, "no live UI event"),
        (UPDATES, 1, "should have the ordinals"),
        ([UPDATES[0], UPDATES[2]], 0, "should have the ordinals"),
        ([UPDATES[1], UPDATES[0]], 0, "should have the ordinals"),
        ([UPDATES[0], UPDATES[0]], 0, "should have the ordinals"),
        ([update(1, "m", "", "", payload_ordinal=2)], 0, "another ordinal in its payload"),
    ],
)
def test_live_in_order_fails(updates: list[LiveUpdate], after: int, words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        checks.live_in_order(updates, after)


def test_stored_as_streamed() -> None:
    assert "ordinal 3" in checks.stored_as_streamed("hi", UPDATES, SNAPSHOT)
    stopped = [*UPDATES[:2], update(3, "chat-msg-1", "Answ", "stopped")]
    checks.stored_as_streamed(
        "hi", stopped, replace(SNAPSHOT, entities=(SNAPSHOT.entities[0], entity("chat-msg-1", "Answ", "stopped")))
    )


@pytest.mark.parametrize(
    ("prompt", "last", "snapshot", "words"),
    [
        ("hi", UPDATES[2], replace(SNAPSHOT, ordinal=4), "snapshot is at ordinal 4"),
        ("hi", UPDATES[2], replace(SNAPSHOT, entities=SNAPSHOT.entities[:1]), "is stored as None"),
        ("hi", UPDATES[2], replace(SNAPSHOT, entities=SNAPSHOT.entities[1:]), "is stored as None"),
        ("hi", update(3, "chat-msg-1", "Answer: ho", "finished"), SNAPSHOT, "live readers saw"),
        ("hi", update(3, "chat-msg-1", "Answer: hi", "stopped"), SNAPSHOT, "live readers saw"),
        ("ho", UPDATES[2], SNAPSHOT, "it should be 'Answer: ho'"),
    ],
)
def test_stored_as_streamed_fails(prompt: str, last: LiveUpdate, snapshot: StoredSnapshot, words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        checks.stored_as_streamed(prompt, [*UPDATES[:2], last], snapshot)


@pytest.mark.parametrize("text", ["", "Question"])
def test_a_stopped_answer_has_to_be_a_beginning(text: str) -> None:
    snapshot = replace(SNAPSHOT, entities=(SNAPSHOT.entities[0], entity("chat-msg-1", text, "stopped")))
    with pytest.raises(CheckFailed, match="it should be"):
        checks.stored_as_streamed("hi", [*UPDATES[:2], update(3, "chat-msg-1", text, "stopped")], snapshot)


def test_killed() -> None:
    assert "-9" in checks.killed(-9, -9, 4096)


@pytest.mark.parametrize(
    ("status", "leftover", "words"),
    [(0, 4096, "should have been killed"), (-15, 4096, "should have been killed"), (-9, 0, "closed its file")],
)
def test_killed_fails(status: int, leftover: int, words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        checks.killed(status, -9, leftover)


def test_identical() -> None:
    assert "2 entities" in checks.identical(SNAPSHOT, replace(SNAPSHOT))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(SNAPSHOT, ordinal=2), "the snapshot's ordinal changed"),
        (replace(SNAPSHOT, epoch=78), "epoch changed"),
        (replace(SNAPSHOT, entities=SNAPSHOT.entities[:1]), "the entities changed"),
        (replace(SNAPSHOT, entities=SNAPSHOT.entities[::-1]), "the entities changed"),
        *(
            (replace(SNAPSHOT, entities=(SNAPSHOT.entities[0], other)), words)
            for other, words in (
                (replace(ANSWER, kind="Other"), "the kind of chat-msg-1 changed"),
                (replace(ANSWER, created_ordinal=1), "created ordinal of chat-msg-1 changed"),
                (replace(ANSWER, last_event_ordinal=2), "last event ordinal of chat-msg-1 changed"),
                (replace(ANSWER, payload=""), "payload of chat-msg-1 changed"),
            )
        ),
    ],
)
def test_identical_fails(changed: StoredSnapshot, words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        checks.identical(SNAPSHOT, changed)


def test_goes_on() -> None:
    assert "ordinal 4, the next after 3" in checks.goes_on(SNAPSHOT, [update(4, "chat-msg-2-user", "", "")])


@pytest.mark.parametrize("updates", [[], UPDATES, UPDATES[2:], [update(5, "chat-msg-2-user", "", "")]])
def test_goes_on_fails(updates: list[LiveUpdate]) -> None:
    with pytest.raises(CheckFailed, match="should go on with ordinal 4"):
        checks.goes_on(SNAPSHOT, updates)


def test_fresh_ids() -> None:
    new = [update(4, "chat-msg-2-user", "", ""), update(5, "chat-msg-2", "", ""), update(6, "chat-msg-2", "", "")]
    assert checks.fresh_ids(SNAPSHOT, new).endswith(": chat-msg-2-user, chat-msg-2")
    with pytest.raises(CheckFailed, match=r"ids of old ones: chat-msg-1$"):
        checks.fresh_ids(SNAPSHOT, [*new, update(7, "chat-msg-1", "", "")])


def test_kept() -> None:
    more = replace(SNAPSHOT, ordinal=9, entities=(*SNAPSHOT.entities, entity("chat-msg-2", "", "")))
    checks.kept(SNAPSHOT, more)
    for entities in (more.entities[1:], (replace(SNAPSHOT.entities[0], last_event_ordinal=4), *more.entities[1:])):
        with pytest.raises(CheckFailed, match="changed or are gone: chat-msg-1-user"):
            checks.kept(SNAPSHOT, replace(more, entities=entities))


def test_closed_cleanly() -> None:
    checks.closed_cleanly(0)
    with pytest.raises(CheckFailed, match="ended with -9"):
        checks.closed_cleanly(-9)
