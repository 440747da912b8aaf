"""Breaks: what is wrong from now on, what to press to see it, and which check then fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sessionstream.systemlab.actions import Field, Value
from sessionstream.systemlab.checks import Json, Verdict

NOTHING: Final = "none"
"""What is broken, by its name in requests, while nothing is."""


@dataclass(frozen=True, slots=True)
class Press:
    """A button to press.

    Attributes:
        what: the name of an action, or the label of a button that the page's own script makes.
        fields: the values that the action needs; its other fields may have any. The page asks for those that differ.
    """

    what: str
    fields: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Break:
    """A guarantee that is broken on purpose.

    Attributes:
        label: what goes wrong, in words.
        check: the id of the check that fails once ``presses`` were pressed; empty if none fails.
        turns: the verdict of that check then.
        presses: the buttons to press after the break, in order; none if the break alone makes the check fail.
    """

    label: str
    check: str = ""
    presses: tuple[Press, ...] = ()
    turns: Verdict = field(default="failed", kw_only=True)

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON for the page."""
        presses: list[Json] = [{"what": press.what, "fields": dict[str, Json](press.fields)} for press in self.presses]
        return {"label": self.label, "check": self.check, "presses": presses, "turns": self.turns}


def break_field(name: str, breaks: Mapping[str, Break], broken: str, *, first: str, hint: str = "") -> Field:
    """Return the field of an action that breaks one of these, or none.

    Args:
        name: as ``Field.name``.
        breaks: by their names in requests.
        broken: the name of what is broken now, which the page shows.
        first: the name of what it shows while nothing is.
        hint: as ``Field.hint``.
    """
    return Field(
        name,
        "What goes wrong",
        first if broken == NOTHING else broken,
        choices=((NOTHING, "Nothing: keep every guarantee"), *((each, breaks[each].label) for each in breaks)),
        hint=hint,
    )
