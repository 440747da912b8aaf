"""The actions of a page and their fields: described once, shown as forms, and checked when a page submits them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

Value: TypeAlias = str | int | bool
FieldKind: TypeAlias = Literal["text", "number", "choice", "flag"]

MAX_TEXT = 10_000
"""The longest text that a field takes where it says nothing else, in characters."""


class BadRequest(Exception):
    """A page sent invalid input; the message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input of an action.

    Attributes:
        name: its key in the request.
        label: what it is called on the page.
        default: what the page shows first, and what is taken where a request does not name it. Its type says what
            kind of field it is, unless there are choices.
        choices: value and label of each that may be chosen; empty: anything.
        minimum: of a number.
        maximum: of a number.
        hint: a sentence below the field.
        longest: of a text, in characters.
    """

    name: str
    label: str
    default: Value
    choices: tuple[tuple[str, str], ...] = ()
    minimum: int = 0
    maximum: int = 10_000
    hint: str = ""
    longest: int = MAX_TEXT

    @property
    def kind(self) -> FieldKind:
        """What the page makes of it."""
        if self.choices:
            return "choice"
        if isinstance(self.default, bool):
            return "flag"
        return "number" if isinstance(self.default, int) else "text"

    def words(self, value: str) -> str:
        """Return the label of what may be chosen."""
        return dict(self.choices)[value]

    def read(self, value: object) -> Value:
        """Return what was sent, if it is what the field takes.

        Raises:
            BadRequest: it is not; says what the field takes.
        """
        match self.kind:
            case "flag" if isinstance(value, bool):
                return value
            case "number" if isinstance(value, int) and not isinstance(value, bool):
                if self.minimum <= value <= self.maximum:
                    return value
            case "choice" if isinstance(value, str) and any(value == choice for choice, _ in self.choices):
                return value
            case "text" if isinstance(value, str) and len(value) <= self.longest:
                return value
        raise BadRequest(f"{self.label} ({self.name}) is {self._takes}, not {_short(value)}")

    @property
    def _takes(self) -> str:
        match self.kind:
            case "flag":
                return "true or false"
            case "number":
                return f"a whole number from {self.minimum} to {self.maximum}"
            case "choice":
                return f"one of {', '.join(choice for choice, _ in self.choices)}"
            case "text":
                return f"a text of at most {self.longest} characters"


class Arguments:
    """What an action was given: a value for every field of it, of that field's kind."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """Return the value of a text or a choice."""
        return cast("str", self._values[name])

    def number(self, name: str) -> int:
        """Return the value of a number."""
        return cast("int", self._values[name])

    def flag(self, name: str) -> bool:
        """Return the value of a flag."""
        return cast("bool", self._values[name])


Run: TypeAlias = Callable[[Arguments], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do on a page.

    Attributes:
        name: what a request calls it.
        label: what its button says.
        run: does it. Whatever came of it is in the phase's next state.
        fields: what it needs to know.
        help: what it does, in a sentence.
        harm: whether it breaks or deletes something, so that the page shows it apart.
        hidden: whether the page's own script sends it, so that there is no form for it.
    """

    name: str
    label: str
    run: Run
    fields: tuple[Field, ...] = ()
    help: str = ""
    harm: bool = False
    hidden: bool = False

    def arguments(self, document: Mapping[str, object]) -> Arguments:
        """Return the arguments that a request gives, defaults filled in.

        Raises:
            BadRequest: a field is unknown, or has a value that it does not take.
        """
        names = {field.name for field in self.fields}
        if unknown := sorted(set(document) - names):
            has = ", ".join(sorted(names)) or "none"
            raise BadRequest(f"{self.name} has no field {', '.join(unknown)}; its fields: {has}")
        return Arguments({field.name: field.read(document.get(field.name, field.default)) for field in self.fields})


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
