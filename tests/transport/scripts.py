"""Reads the conformance scripts, for the runners of both sides."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any, TypeAlias

from sessionstream.transport.ws.conformance import Name, load

Step: TypeAlias = dict[str, Any]
Script: TypeAlias = dict[str, Any]


def scripts(name: Name) -> list[Script]:
    found: list[Script] = load(name)["scripts"]
    return found


class Variables:
    """Values that a script calls by a name: ``"$name"``."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def filled(self, value: Any) -> Any:
        """Return a message with names replaced by their values."""
        match value:
            case dict():
                return {key: self.filled(item) for key, item in value.items()}
            case list():
                return [self.filled(item) for item in value]
            case str() if value in self._values:
                return self._values[value]
            case _:
                return value

    def check(self, came: Any, expected: Any) -> None:
        """Compare; a name that has no value yet takes the one that came."""
        wanted = self._wanted(came, expected)
        assert came == wanted

    def _wanted(self, came: Any, expected: Any) -> Any:
        match expected:
            case dict() if isinstance(came, dict):
                return {key: self._wanted(came.get(key), item) for key, item in expected.items()}
            case list() if isinstance(came, list) and len(came) == len(expected):
                return [self._wanted(one, item) for one, item in zip(came, expected, strict=True)]
            case "*" if isinstance(came, str) and came:
                return came
            case str() if expected.startswith("$"):
                if isinstance(came, str) and came:
                    self._values.setdefault(expected, came)
                return self._values.get(expected, expected)
            case _:
                return expected


class Pending:
    """The effects of the tested side that no step has expected yet, by kind."""

    def __init__(self) -> None:
        self._kinds: dict[str, deque[Any]] = defaultdict(deque)

    def add(self, kind: str, value: Any) -> None:
        self._kinds[kind].append(value)

    def take(self, kind: str) -> Any:
        assert self._kinds[kind], f"expected {kind!r}, but there is {self.left or 'nothing'}"
        return self._kinds[kind].popleft()

    def take_one(self, kind: str, value: Any) -> None:
        """Take a value whose place among its kind does not matter."""
        assert value in self._kinds[kind], f"expected {kind!r} {value}, but there is {self.left or 'nothing'}"
        self._kinds[kind].remove(value)

    @property
    def left(self) -> dict[str, list[Any]]:
        return {kind: list(values) for kind, values in self._kinds.items() if values}
