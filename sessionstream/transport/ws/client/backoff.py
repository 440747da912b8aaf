"""How long a client waits before it comes back. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sessionstream.transport.ws.wire.codes import CLOSE_CODES, FORBIDDEN, NOT_SIGNED_IN, Reconnect

LONGEST_TOLD: Final = 3_600.0
"""Seconds; a server that names more is not waited for longer."""

_CREDENTIALS: Final = frozenset({401, 403})
_STATUSES: Final = {NOT_SIGNED_IN.code: 401, FORBIDDEN.code: 403}
_TOLD: Final = "retry-after="
_BY_CODE: Final[dict[int, Reconnect]] = {code.code: code.reconnect for code in CLOSE_CODES}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow with every attempt that failed, and are drawn by lot. (Reference: WebSocket client.)

    The n-th attempt in a row, n from 0, waits between ``floor_seconds`` and ``first_seconds * 2**n``, at most
    ``ceiling_seconds``; evenly spread, so that many clients do not come back in one moment.

    Raises:
        ValueError: they do not rise from above 0.
    """

    floor_seconds: float = 0.5
    first_seconds: float = 2.0
    ceiling_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.floor_seconds <= self.first_seconds <= self.ceiling_seconds < math.inf:
            raise ValueError(f"0 < floor_seconds <= first_seconds <= ceiling_seconds, but {self!r}")

    def wait(self, attempt: int, draw: float, told: float = 0.0) -> float:
        """Return the seconds to wait.

        Args:
            attempt: how many failed before, since the last that did not.
            draw: from 0 to 1, by lot.
            told: the seconds that the server named; they come on top.
        """
        longest = min(self.ceiling_seconds, self.first_seconds * 2.0 ** min(attempt, 60))
        return min(told, LONGEST_TOLD) + self.floor_seconds + draw * (longest - self.floor_seconds)


def after_close(code: int) -> Reconnect:
    """Return what a close code advises. Codes without a meaning of ours are met on the way: come back."""
    return _BY_CODE.get(code, "with back-off")


def status_of(code: int) -> int | None:
    """Return the HTTP status of a refused handshake that a close code stands for, if it does: browsers hide those."""
    return _STATUSES.get(code)


def after_refusal(status: int, attempt: int = 1, *, asks_anew: bool = False) -> bool:
    """Whether a refused handshake may be answered otherwise the next time.

    Args:
        status: the HTTP status. All pass, as those that an ingress answers in a deploy do, but for 401 and 403.
        attempt: how many refusals there were in a row; of no importance.
        asks_anew: whether there may be other credentials the next time; then those two pass as well.
    """
    return asks_anew or status not in _CREDENTIALS


def told_in(reason: str) -> float:
    """Return the seconds that the reason of a close names; 0 if it names none."""
    return told_seconds(reason.removeprefix(_TOLD)) if reason.startswith(_TOLD) else 0.0


def told_seconds(text: str) -> float:
    """Return a number of seconds; 0 if the text is none."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < math.inf else 0.0
