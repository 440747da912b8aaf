"""How long a client waits before it reconnects, and whether it does. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sessionstream.transport.ws.wire.codes import CLOSE_CODES, FORBIDDEN, NOT_SIGNED_IN, Reconnect

LONGEST_TOLD: Final = 3_600.0
"""Longest wait that a server may ask for, in seconds; longer ones are shortened to it."""

_CREDENTIALS: Final = frozenset({401, 403})
_STATUSES: Final = {NOT_SIGNED_IN.code: 401, FORBIDDEN.code: 403}
_TOLD: Final = "retry-after="
_BY_CODE: Final[dict[int, Reconnect]] = {code.code: code.reconnect for code in CLOSE_CODES}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with random jitter. (Reference: WebSocket client.)

    The wait after n failed attempts in a row is uniformly random between ``floor_seconds`` and ``first_seconds *
    2**n``, at most ``ceiling_seconds``, so that many clients do not reconnect at the same moment.

    Raises:
        ValueError: not ``0 < floor_seconds <= first_seconds <= ceiling_seconds < inf``.
    """

    floor_seconds: float = 0.5
    first_seconds: float = 2.0
    ceiling_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.floor_seconds <= self.first_seconds <= self.ceiling_seconds < math.inf:
            raise ValueError(f"0 < floor_seconds <= first_seconds <= ceiling_seconds < inf is not true of {self!r}")

    def wait(self, attempt: int, draw: float, told: float = 0.0) -> float:
        """Return the seconds to wait.

        Args:
            attempt: failed attempts in a row before this wait.
            draw: a random number from 0 to 1.
            told: seconds that the server asked for; they are added.
        """
        longest = min(self.ceiling_seconds, self.first_seconds * 2.0 ** min(attempt, 60))
        return min(told, LONGEST_TOLD) + self.floor_seconds + draw * (longest - self.floor_seconds)


def after_close(code: int) -> Reconnect:
    """Return what to do after a close code. Other codes, as proxies send them, mean to reconnect with back-off."""
    return _BY_CODE.get(code, "with back-off")


def status_of(code: int) -> int | None:
    """Return the HTTP status that a close code stands for (4401, 4403); None for other codes."""
    return _STATUSES.get(code)


def after_refusal(status: int, attempt: int = 1, *, asks_anew: bool = False) -> bool:
    """Whether to try again after a refused handshake; the default of ``refusal`` of ``connect``.

    Args:
        status: the HTTP status. All but 401 and 403 are temporary, as those of an ingress during a deployment.
        attempt: refusals in a row; not used.
        asks_anew: whether the credentials may differ next time; then 401 and 403 are temporary too.
    """
    return asks_anew or status not in _CREDENTIALS


def told_in(reason: str) -> float:
    """Return the seconds in ``retry-after=SECONDS``, the reason of a close; 0 for other reasons."""
    return told_seconds(reason.removeprefix(_TOLD)) if reason.startswith(_TOLD) else 0.0


def told_seconds(text: str) -> float:
    """Parse a number of seconds; 0 if the text is not one."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < math.inf else 0.0
