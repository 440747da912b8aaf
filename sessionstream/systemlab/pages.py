"""Renders the lab's pages from the templates of the package."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from sessionstream import doc
from sessionstream.serving.files import HEADERS
from sessionstream.systemlab import rendering
from sessionstream.systemlab.lab import Lab
from sessionstream.systemlab.prose import Prose, render
from sessionstream.systemlab.responses import answer
from sessionstream.systemlab.search import search

if TYPE_CHECKING:
    from starlette.requests import Request


class Pages:
    """The endpoints that answer with HTML, of one lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def front(self, _request: Request) -> Response:
        """``/``: the phases, and the results of their checks."""
        status = await self._lab.status()
        return self._page("front.html", here="lab", status=status)

    async def phase(self, request: Request) -> Response:
        """``/phases/N``."""
        number = request.path_params["number"]
        phase = self._lab.phase(number)
        script = f"phase{number}.js"
        return self._page(
            "phase.html",
            here=f"phase-{number}",
            phase=phase,
            actions=phase.actions(),
            chapter=_chapter(number),
            script=script if script in rendering.NAMES else "",
        )

    async def inspector(self, _request: Request) -> Response:
        """``/inspector``."""
        return self._page("inspector.html", here="inspector")

    async def docs(self, _request: Request) -> Response:
        """``/docs/``: the entries of the embedded help."""
        sections = [(name, list(entries)) for name, entries in groupby(doc.entries(), lambda entry: entry.section)]
        return self._page("docs.html", here="docs", sections=sections)

    async def entry(self, request: Request) -> Response:
        """``/docs/SLUG``: one entry, rendered."""
        entry = _entry(request)
        return self._page("entry.html", here="docs", entry=entry, prose=_rendered(entry.slug))

    async def search(self, request: Request) -> Response:
        """``/api/docs/search?q=``: the sections of the help that have all words, or words that are like them."""
        return answer(asdict(await asyncio.to_thread(search, request.query_params.get("q", "")[:200])))

    async def raw(self, request: Request) -> Response:
        """``/docs/SLUG.md``: the Markdown source of one entry."""
        entry = _entry(request)
        text = (doc.files() / entry.section / f"{entry.slug}.md").read_text(encoding="utf-8")
        return PlainTextResponse(text, headers=HEADERS, media_type="text/markdown")

    async def chapters(self, _request: Request) -> Response:
        """``/chapters/``: the list of the phases' texts."""
        return self._page("chapters.html", here="chapters")

    async def chapter(self, request: Request) -> Response:
        """``/chapters/N``: the text of one phase."""
        phase = self._lab.phase(request.path_params["number"])
        return self._page("chapter.html", here="chapters", phase=phase, chapter=_chapter(phase.number))

    def problem(self, status: int, words: str) -> Response:
        """Return the page for a request that cannot be answered."""
        return self._page("problem.html", status, here="", words=words, status=status)

    def _page(self, template: str, status_code: int = 200, **context: Any) -> Response:
        return rendering.page(template, status_code, phases=self._phases(), **context)

    def _phases(self) -> Sequence[tuple[int, str, str]]:
        return [(phase.number, phase.title, phase.lead) for phase in self._lab.phases]


def _entry(request: Request) -> doc.Entry:
    try:
        return doc.get(request.path_params["slug"])
    except doc.UnknownEntryError as error:
        raise HTTPException(404, str(error)) from None


@cache
def _rendered(slug: str) -> Prose:
    return render(doc.get(slug).body)


@cache
def _chapter(number: int) -> Prose:
    text = (rendering.PACKAGE / "chapters" / f"phase{number}.md").read_text(encoding="utf-8")
    return render(text, below=1)
