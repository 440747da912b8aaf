"""Whether an event or a command that comes again is the one that came before."""

from __future__ import annotations

import logging
from typing import Final

from sessionstream.digests import compare
from sessionstream.types import Command, Event

_log: Final = logging.getLogger("sessionstream")


def is_repeat(what: str, session_id: str, digest: bytes, again: Event | Command, descriptors: bytes = b"") -> bool:
    """Say whether what comes again is what the digest was made of; a doubt is logged, and settled for a repeat.

    Args:
        what: names the id or the key, for the log.
        descriptors: what the earlier one was stored with, if that is known.
    """
    verdict = compare(digest, again.name, again.payload, descriptors)
    if verdict == "undecided":
        _log.warning(
            "%s of session %r came again with %r (%s), and counts as a repeat: its digest is an old one, which may "
            "differ only because another protobuf build made it",
            what,
            session_id,
            again.name,
            again.payload.DESCRIPTOR.full_name,
        )
    return verdict != "other"
