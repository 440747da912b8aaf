"""Decides whether an event or a command with a known id or key is a repeat of the earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionstream.digests import compare
from sessionstream.logs import SessionLog

if TYPE_CHECKING:
    from google.protobuf.message import Message

_log: Final = SessionLog()


def is_repeat(what: str, session_id: str, digest: bytes, name: str, payload: Message, descriptors: bytes = b"") -> bool:
    """Return whether an event or a command has a stored digest. If that is undecided, log it and return True.

    Args:
        what: describes the id or the key, for the log.
        digest: the digest of the earlier event or command.
        name, payload: of the event or command that is compared.
        descriptors: the descriptors with which the earlier one was stored, if they are known.
    """
    verdict = compare(digest, name, payload, descriptors)
    if verdict == "undecided":
        _log.warning(
            "%s of session %r was used again with %r (%s), and is taken for a repeat: its digest is an old one, which "
            "may differ only because another protobuf build made it",
            what,
            session_id,
            name,
            payload.DESCRIPTOR.full_name,
            session_id=session_id,
        )
    return verdict != "other"
