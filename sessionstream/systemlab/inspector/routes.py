"""The inspector over HTTP: ``GET /api/inspector/…``, and one POST that retries a held session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from starlette.routing import BaseRoute, Route

from sessionstream import HistoryPruned, ProjectionError, documents
from sessionstream.errors import error_text
from sessionstream.serving.bodies import Refused, json_object
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.inspector import answers
from sessionstream.systemlab.inspector.diff import diff
from sessionstream.systemlab.inspector.questions import Question
from sessionstream.systemlab.inspector.seen import Position, SeenTimeline
from sessionstream.systemlab.inspector.sources import ReadOnly, Source
from sessionstream.systemlab.responses import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

BASE: Final = "/api/inspector"


def inspector_routes(sources: Callable[[], Sequence[Source]]) -> list[BaseRoute]:
    """Return the routes of the inspector.

    What is wrong with a request is raised: BadRequest and Refused, which are the application's to answer.

    Args:
        sources: returns the present sources of sessions.
    """
    inspector = _Inspector(sources)
    return [
        Route(f"{BASE}/sources", inspector.sources),
        Route(f"{BASE}/sessions", inspector.sessions),
        Route(f"{BASE}/session", inspector.session),
        Route(f"{BASE}/timeline", inspector.timeline),
        Route(f"{BASE}/diff", inspector.diff),
        Route(f"{BASE}/events", inspector.events),
        Route(f"{BASE}/errors", inspector.errors),
        Route(f"{BASE}/connections", inspector.connections),
        Route(f"{BASE}/retry", inspector.retry, methods=["POST"]),
    ]


class _Inspector:
    """The endpoints."""

    def __init__(self, sources: Callable[[], Sequence[Source]]) -> None:
        self._sources = sources

    async def sources(self, request: Request) -> Response:
        """``GET sources``: the sources of sessions."""
        self._question(request)
        return answer({"sources": [answers.source(each) for each in self._sources()]})

    async def sessions(self, request: Request) -> Response:
        """``GET sessions?source=&search=&held=&offset=&limit=``: the sessions by id, and how many match."""
        asked = self._question(request, "source", "search", "held", "offset", "limit")
        wanted = asked.text("search"), asked.flag("held"), asked.number("offset") or 0, asked.limit()
        found = await asked.source().sessions(*wanted)
        return answer({"sessions": [answers.session(each) for each in found.sessions], "total": found.total})

    async def session(self, request: Request) -> Response:
        """``GET session?source=&session=``: where a session stands, and the command that retries it elsewhere."""
        asked = self._question(request, "source", "session")
        source = asked.source()
        found = await asked.session(source)
        return answer({**answers.session(found), "retryCommand": source.retry_command(found.id)})

    async def timeline(self, request: Request) -> Response:
        """``GET timeline?source=&session=&as_of=``: the timeline of a session, now or right after an ordinal."""
        asked = self._question(request, "source", "session", "as_of")
        source = asked.source()
        found = await asked.session(source)
        return answer(answers.timeline(await _timeline(source, found.id, "as_of", asked.ordinal("as_of"))))

    async def diff(self, request: Request) -> Response:
        """``GET diff?source=&session=&from=&to=``: the changes of the entities, by default those of the last event.

        ``from_index=`` and ``to_index=`` name positions among the session's events in place of ordinals.
        """
        asked = self._question(request, "source", "session", "from", "from_index", "to", "to_index")
        source = asked.source()
        found = await asked.session(source)
        last = await _position(asked, source, found.id, "to")
        if asked.has("from") or asked.has("from_index"):
            first = await _position(asked, source, found.id, "from")
        else:
            first = await source.position(found.id, index=max(0, last.index - 1))
        before = await _timeline(source, found.id, "from", first.ordinal)
        after = await _timeline(source, found.id, "to", last.ordinal)
        places = {"from": answers.position(first), "to": answers.position(last)}
        found_diff = await asyncio.to_thread(diff, before, after)  # which may take long, and only reads the two
        return answer({**places, **answers.diff(found_diff)})

    async def events(self, request: Request) -> Response:
        """``GET events?source=&session=&below=&after=&limit=``: logged events, the newest first, and the session."""
        asked = self._question(request, "source", "session", "below", "after", "limit")
        source = asked.source()
        wanted = asked.session_id(), asked.ordinal("after"), asked.ordinal("below"), asked.limit()
        page = asked.known(source, await source.events(*wanted))
        cursor = page.session.cursors.timeline
        shown = [documents.event(each, each.payload, cursor=cursor) for each in page.events]
        counts = {"total": page.total, "newer": page.newer}
        return answer({"events": shown, **counts, "session": answers.session(page.session)})

    async def errors(self, request: Request) -> Response:
        """``GET errors?source=&session=&limit=``: the last error records, of one session or of all."""
        asked = self._question(request, "source", "session", "limit")
        source = asked.source()
        session_id = (await asked.session(source)).id if asked.has("session") else None
        records = await source.errors(session_id, asked.limit())
        return answer({"errors": [documents.error(each) for each in records]})

    async def connections(self, request: Request) -> Response:
        """``GET connections?source=``: the connections of one source or of all, with their waiting frames."""
        asked = self._question(request, "source")
        sources = [asked.source()] if asked.has("source") else self._sources()
        found = [answers.connection(each, source) for source in sources for each in source.connections()]
        return answer({"connections": found})

    async def retry(self, request: Request) -> Response:
        """``POST retry`` with ``{"source": …, "session": …}``: resume a held session; 409 if it cannot go on."""
        asked = Question(await json_object(request, "a retry"), ("source", "session"), self._sources())
        source = asked.source()
        try:
            if source.kind == "hub":
                await asked.session(source)
            return answer(answers.replay(await source.retry(asked.session_id())))
        except ReadOnly as error:
            raise BadRequest(str(error)) from error
        except ProjectionError as error:
            raise Refused(409, _still_held(error)) from error

    def _question(self, request: Request, *takes: str) -> Question:
        return Question(request.query_params, takes, self._sources())


def _still_held(error: ProjectionError) -> str:
    cause = error.__cause__
    why = "" if cause is None else f": {error_text(cause)}"
    at = "" if error.where in ("", error.projector) else f" at {error.where}"
    event = f"event {error.event.ordinal}, {error.event.name}"
    return f"{error.projector} failed{at} on {event}{why}. Fix the projection, and press Retry again"


async def _position(asked: Question, source: Source, session_id: str, name: str) -> Position:
    index, ordinal = asked.number(f"{name}_index"), asked.ordinal(name)
    if index is not None and ordinal is not None:
        raise BadRequest(f"{name} and {name}_index name the same place: leave one out")
    found = await source.position(session_id, index=index, ordinal=ordinal)
    if ordinal is not None and ordinal < found.ordinal:
        raise BadRequest(f"{name} is an ordinal that is not pruned: the session's history begins at {found.ordinal}")
    return found


async def _timeline(source: Source, session_id: str, name: str, as_of: int | None) -> SeenTimeline:
    try:
        return await source.timeline(session_id, as_of)
    except HistoryPruned as error:
        raise BadRequest(f"{name} is an ordinal that is not pruned: {error}") from error
