"""Whether an event or a command that comes again is the one that came before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from sessionstream.digests import compare

if TYPE_CHECKING:
    from google.protobuf.message import Message

_log: Final = logging.getLogger("sessionstream")


def is_repeat(what: str, session_id: str, digest: bytes, name: str, payload: Message, descriptors: bytes = b"") -> bool:
    """Return whether an event or a command is the one that a digest was made of; a doubt is logged and counts as yes.

    Args:
        what: names the id or the key, for the log.
        name, payload: of what comes now.
        descriptors: what the earlier one was stored with, if that is known.
    """
    verdict = compare(digest, name, payload, descriptors)
    if verdict == "undecided":
        _log.warning(
            "%s of session %r came again with %r (%s), and counts as a repeat: its digest is an old one, which may "
            "differ only because another protobuf build made it",
            what,
            session_id,
            name,
            payload.DESCRIPTOR.full_name,
        )
    return verdict != "other"
