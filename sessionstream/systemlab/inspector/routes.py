"""The inspector over HTTP: ``GET /api/inspector/…``, and one POST that retries a held session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sessionstream import HistoryPruned, documents
from sessionstream.hydration.stores import Location
from sessionstream.serving.bodies import json_object
from sessionstream.serving.files import HEADERS
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.inspector import answers
from sessionstream.systemlab.inspector.diff import diff
from sessionstream.systemlab.inspector.questions import Question
from sessionstream.systemlab.inspector.running import running
from sessionstream.systemlab.inspector.seen import SeenTimeline
from sessionstream.systemlab.inspector.sources import ReadOnly, Source
from sessionstream.systemlab.inspector.stored import StoreSource
from sessionstream.systemlab.lab import Lab

if TYPE_CHECKING:
    from starlette.requests import Request

BASE: Final = "/api/inspector"


def inspector_routes(lab: Lab, store: Location | None = None) -> list[BaseRoute]:
    """Return the routes of the inspector.

    What is wrong with a request is raised: BadRequest and Refused, which are the application's to answer.

    Args:
        lab: the lab whose phases are sources.
        store: where a store is that is a further source; None: none.
    """
    inspector = _Inspector(lab, store)
    return [
        Route(f"{BASE}/sources", inspector.sources),
        Route(f"{BASE}/sessions", inspector.sessions),
        Route(f"{BASE}/session", inspector.session),
        Route(f"{BASE}/diff", inspector.diff),
        Route(f"{BASE}/events", inspector.events),
        Route(f"{BASE}/errors", inspector.errors),
        Route(f"{BASE}/connections", inspector.connections),
        Route(f"{BASE}/retry", inspector.retry, methods=["POST"]),
    ]


class _Inspector:
    """The endpoints."""

    def __init__(self, lab: Lab, store: Location | None) -> None:
        self._lab = lab
        self._store = [] if store is None else [StoreSource(store)]

    async def sources(self, request: Request) -> Response:
        """``GET sources``: the sources of sessions."""
        self._question(request)
        return _answer({"sources": [answers.source(each) for each in self._sources()]})

    async def sessions(self, request: Request) -> Response:
        """``GET sessions?source=&after=&limit=``: the sessions by id, with their cursors."""
        asked = self._question(request, "source", "after", "limit")
        limit = asked.limit()
        found = await asked.source().sessions(asked.text("after"), limit + 1)
        return _answer(
            {
                "sessions": [documents.session(each.id, each.cursors) for each in found[:limit]],
                "more": len(found) > limit,
            }
        )

    async def session(self, request: Request) -> Response:
        """``GET session?source=&session=&as_of=``: the cursors of a session, and its timeline, now or at an ordinal."""
        asked = self._question(request, "source", "session", "as_of")
        source = asked.source()
        found = await asked.session(source)
        timeline = await _timeline(source, found.id, "as_of", asked.ordinal("as_of"))
        return _answer({**documents.session(found.id, found.cursors), **answers.timeline(timeline)})

    async def diff(self, request: Request) -> Response:
        """``GET diff?source=&session=&from=&to=``: the changes of the entities; from the floor on, up to now."""
        asked = self._question(request, "source", "session", "from", "to")
        source = asked.source()
        found = await asked.session(source)
        first = asked.ordinal("from")
        before = await _timeline(source, found.id, "from", found.cursors.floor if first is None else first)
        after = await _timeline(source, found.id, "to", asked.ordinal("to"))
        return _answer({"from": str(before.ordinal), "to": str(after.ordinal), **answers.diff(diff(before, after))})

    async def events(self, request: Request) -> Response:
        """``GET events?source=&session=&after=&limit=``: logged events, in order."""
        asked = self._question(request, "source", "session", "after", "limit")
        source, limit = asked.source(), asked.limit()
        found = await asked.session(source)
        events = await source.events(found.id, asked.ordinal("after") or 0, limit + 1)
        cursor = found.cursors.timeline
        shown = [documents.event(each, each.payload, cursor=cursor) for each in events[:limit]]
        return _answer({"events": shown, "more": len(events) > limit})

    async def errors(self, request: Request) -> Response:
        """``GET errors?source=&session=&limit=``: the last error records, of one session or of all."""
        asked = self._question(request, "source", "session", "limit")
        source = asked.source()
        session_id = (await asked.session(source)).id if asked.has("session") else None
        records = await source.errors(session_id, asked.limit())
        return _answer({"errors": [documents.error(each) for each in records]})

    async def connections(self, request: Request) -> Response:
        """``GET connections?source=``: the connections of one source or of all, with their waiting frames."""
        asked = self._question(request, "source")
        sources = [asked.source()] if asked.has("source") else self._sources()
        found = [answers.connection(each, source) for source in sources for each in source.connections()]
        return _answer({"connections": found})

    async def retry(self, request: Request) -> Response:
        """``POST retry`` with ``{"source": …, "session": …}``: resume a held session; 409 if it cannot go on."""
        asked = Question(await json_object(request, "a retry"), ("source", "session"), self._sources())
        source = asked.source()
        try:
            if source.kind == "hub":
                await asked.session(source)
            return _answer(answers.replay(await source.retry(asked.session_id())))
        except ReadOnly as error:
            raise BadRequest(str(error)) from error

    def _sources(self) -> Sequence[Source]:
        return [*running(self._lab.phases), *self._store]

    def _question(self, request: Request, *takes: str) -> Question:
        return Question(request.query_params, takes, self._sources())


async def _timeline(source: Source, session_id: str, name: str, as_of: int | None) -> SeenTimeline:
    try:
        return await source.timeline(session_id, as_of)
    except HistoryPruned as error:
        raise BadRequest(f"{name} is an ordinal that is not pruned: {error}") from error


def _answer(document: dict[str, Any]) -> Response:
    return JSONResponse(document, headers=HEADERS)
