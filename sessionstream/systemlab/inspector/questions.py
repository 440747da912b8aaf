"""Reads the parameters of a request, or refuses them with a message that names the parameter and the valid values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from sessionstream import MAX_ORDINAL
from sessionstream.hydration.stored import StoredSession
from sessionstream.serving.bodies import Refused
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.inspector.sources import Source

T = TypeVar("T")

MOST: Final = 500
"""The most rows of one answer."""


_FAR: Final = 2**53
"""More rows than any answer counts."""


class Question:
    """The parameters of one request.

    Args:
        parameters: texts by name.
        takes: the allowed names.
        sources: the available sources.

    Raises:
        BadRequest: there is a parameter of another name.
    """

    def __init__(self, parameters: Mapping[str, object], takes: Iterable[str], sources: Iterable[Source]) -> None:
        names = sorted(takes)
        if unknown := sorted(set(parameters) - {*names}):
            raise BadRequest(f"{', '.join(unknown)} is no parameter here; there are: {', '.join(names) or 'none'}")
        self._parameters = parameters
        self._sources = {source.id: source for source in sources}

    def source(self) -> Source:
        """Return the requested source.

        Raises:
            BadRequest: none is named.
            Refused: there is none of that name, 404.
        """
        name = self._text("source", f"the id of a source: {', '.join(self._sources)}")
        if name not in self._sources:
            raise Refused(404, f"there is no source {name!r}; there are {', '.join(self._sources) or 'none'}")
        return self._sources[name]

    def has(self, name: str) -> bool:
        """Whether a parameter is given and not empty."""
        return bool(self._parameters.get(name))

    def session_id(self) -> str:
        """Return the id of the requested session.

        Raises:
            BadRequest: none is named.
        """
        return self._text("session", "the id of a session")

    async def session(self, source: Source) -> StoredSession:
        """Return where the requested session stands.

        Raises:
            BadRequest: none is named.
            Refused: the source has none of that id, 404.
        """
        return self.known(source, await source.session(self.session_id()))

    def known(self, source: Source, found: T | None) -> T:
        """Return what was found of the requested session.

        Raises:
            Refused: nothing, because the source has none of that id, 404.
        """
        if found is None:
            raise Refused(404, f"{source.title} has no session {self.session_id()!r}")
        return found

    def ordinal(self, name: str) -> int | None:
        """Return an ordinal, None if it is not given.

        Raises:
            BadRequest: it is none.
        """
        return self._number(name, 0, MAX_ORDINAL) if self.has(name) else None

    def number(self, name: str) -> int | None:
        """Return a number of rows or of a position, None if it is not given.

        Raises:
            BadRequest: it is none.
        """
        return self._number(name, 0, _FAR) if self.has(name) else None

    def flag(self, name: str) -> bool:
        """Whether a parameter says ``true``; False if it is not given.

        Raises:
            BadRequest: it says something else.
        """
        value = self._parameters.get(name) or "false"
        if value not in ("true", "false"):
            raise BadRequest(f"{name} is true or false, not {str(value)[:60]!r}")
        return value == "true"

    def limit(self) -> int:
        """Return the requested number of rows.

        Raises:
            BadRequest: it is no such number.
        """
        return self._number("limit", 1, MOST) if self.has("limit") else 100

    def text(self, name: str) -> str:
        """Return a text; empty if it is not given."""
        return self._text(name, "a text") if self.has(name) else ""

    def _number(self, name: str, least: int, most: int) -> int:
        value = self._parameters[name]
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
            number = int(value)
            if least <= number <= most:
                return number
        raise BadRequest(f"{name} is a whole number from {least} to {most}, not {str(value)[:60]!r}")

    def _text(self, name: str, what: str) -> str:
        value = self._parameters.get(name)
        if not isinstance(value, str) or not value:
            raise BadRequest(f"{name} is {what}; it is missing" if not value else f"{name} is {what}, as text")
        return value
