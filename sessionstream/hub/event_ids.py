"""Event ids for events that come without one: random UUIDs, made without a system call each."""

from __future__ import annotations

import os
import random
from typing import Final

_FREE: Final = 0xFFFFFFFF_FFFF_0FFF_3FFF_FFFFFFFFFFFF
_FIXED: Final = 0x00000000_0000_4000_8000_000000000000
"""The bits that say: version 4, variant 1."""

_random: Final = random.Random()  # noqa: S311 - uniqueness is needed, not secrecy; seeded by the system

if hasattr(os, "register_at_fork"):
    # A forked child would otherwise give out the very ids its parent gives out.
    os.register_at_fork(after_in_child=_random.seed)


def new_event_id() -> str:
    """Return a random UUID (version 4) in its usual spelling."""
    digits = f"{_random.getrandbits(128) & _FREE | _FIXED:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
