"""The actions of a page and their fields: described once, shown as forms, and checked when a page submits them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

Value: TypeAlias = str | int | bool
FieldKind: TypeAlias = Literal["text", "number", "choice", "flag"]

MAX_TEXT = 10_000
"""The maximum length of a text, in characters, of a field without its own limit."""


class BadRequest(Exception):
    """A page sent invalid input; the message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input of an action.

    Attributes:
        name: the key in the request.
        label: the name on the page.
        default: the value that the page shows first, and that a request without the field has. Its type is the type
            of the field, unless there are choices.
        choices: the allowed values with their labels; empty allows any value.
        minimum: the lowest number.
        maximum: the highest number.
        hint: a sentence below the field.
        longest: the maximum length of a text, in characters.
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
        """The kind of input that the page shows."""
        if self.choices:
            return "choice"
        if isinstance(self.default, bool):
            return "flag"
        return "number" if isinstance(self.default, int) else "text"

    def words(self, value: str) -> str:
        """Return the label of a choice."""
        return dict(self.choices)[value]

    def read(self, value: object) -> Value:
        """Return the value from a request, if it is valid.

        Raises:
            BadRequest: it is not valid; the message names the valid values.
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
    """The arguments of an action: a value for each of its fields, of the field's kind."""

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
    """An action of a page.

    Attributes:
        name: the name in requests.
        label: the text of its button.
        run: performs it; the phase's next state has the results.
        fields: its parameters.
        help: a sentence that describes it.
        harm: whether it breaks or deletes something; the page shows such actions separately.
        hidden: whether only the page's script sends it, so that it has no form.
    """

    name: str
    label: str
    run: Run
    fields: tuple[Field, ...] = ()
    help: str = ""
    harm: bool = False
    hidden: bool = False

    def arguments(self, document: Mapping[str, object]) -> Arguments:
        """Return the arguments of a request, with defaults for missing fields.

        Raises:
            BadRequest: a field is unknown, or its value is not valid.
        """
        names = {field.name for field in self.fields}
        if unknown := sorted(set(document) - names):
            has = ", ".join(sorted(names)) or "none"
            raise BadRequest(f"{self.name} has no field {', '.join(unknown)}; its fields: {has}")
        return Arguments({field.name: field.read(document.get(field.name, field.default)) for field in self.fields})


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
