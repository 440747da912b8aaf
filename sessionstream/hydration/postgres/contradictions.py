"""What of the tables is missing, and which of their rows contradict each other, over all sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionstream.digests import LENGTHS
from sessionstream.hydration.contradictions import COUNTS, contradictions, missing
from sessionstream.hydration.postgres import schema
from sessionstream.hydration.stored import Problem

if TYPE_CHECKING:
    from sessionstream.hydration.postgres.connections import Link

_SESSIONS: Final = "SELECT sid, session_id, timeline FROM {s}.sessions ORDER BY session_id"
_DISCARDED: Final = "SELECT what, number FROM {s}.discarded"
_COUNTS: Final = COUNTS.replace("{s}", "{s}.")
_DIGESTED: Final = f"""SELECT sid, ordinal, payload IS NULL FROM {{s}}.events
    WHERE digest IS NOT NULL AND (payload IS NOT NULL OR octet_length(digest) NOT IN {LENGTHS})
    ORDER BY sid, ordinal"""  # noqa: S608 - our own numbers


async def found(link: Link, version: int) -> list[Problem]:
    """Return what is wrong with the tables of that schema version, and between them."""
    problems, readable = missing(schema.parts_of(version, link.schema), await schema.parts(link))
    if not readable:
        return problems
    sessions, discarded, counts, digested = [
        [tuple(row) for row in await link.fetch(sql)] for sql in (_SESSIONS, _DISCARDED, _COUNTS, _DIGESTED)
    ]
    return problems + contradictions(sessions, discarded, counts, digested)
