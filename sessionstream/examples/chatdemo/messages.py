"""Messages as plain values: their ids, their states, and how an answer is split into pieces. No I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

PIECE: Final = 10
"""Characters (Unicode code points) in one piece of an answer; the last one may be shorter."""

USER: Final = "user"
ASSISTANT: Final = "assistant"

STREAMING: Final = "streaming"
FINISHED: Final = "finished"
STOPPED: Final = "stopped"

_ID: Final = re.compile(r"chat-msg-([0-9]+)(?:-user)?")


def answer_to(prompt: str) -> str:
    """Return the whole answer that will be streamed for a prompt."""
    return f"Answer: {prompt}"


def pieces(answer: str) -> Iterator[str]:
    """Cut an answer into pieces of ten characters; a character is never split.

    >>> list(pieces("Answer: Explain ordinals"))
    ['Answer: Ex', 'plain ordi', 'nals']
    """
    for start in range(0, len(answer), PIECE):
        yield answer[start : start + PIECE]


def answer_id(number: int) -> str:
    """Return the id of a session's ``number``-th answer."""
    return f"chat-msg-{number}"


def prompt_id(number: int) -> str:
    """Return the id of the user's message that the answer of the same number replies to."""
    return f"chat-msg-{number}-user"


def next_number(message_ids: Iterable[str]) -> int:
    """Return the number of a session's next run, given the ids of its messages so far.

    Counting from what the timeline holds, rather than from a counter in memory, keeps ids from colliding after
    a restart.

    >>> next_number(["chat-msg-1-user", "chat-msg-1", "chat-msg-2-user"])
    3
    """
    numbers = (int(found[1]) for found in map(_ID.fullmatch, message_ids) if found is not None)
    return max(numbers, default=0) + 1
