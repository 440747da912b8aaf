"""Event ids for events that come without one: random UUIDs, made without a system call each."""

from __future__ import annotations

import os
import random
from typing import Final

_random: Final = random.Random()  # noqa: S311 - uniqueness is needed, not secrecy; seeded by the system

if hasattr(os, "register_at_fork"):
    # A forked child would otherwise give out the very ids its parent gives out.
    os.register_at_fork(after_in_child=_random.seed)


def new_event_id() -> str:
    """Return a random UUID (version 4) in its usual spelling."""
    digits = f"{_random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
