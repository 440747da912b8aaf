"""Fields take what they say, and what they do not take is refused in words that say what they do."""

from __future__ import annotations

from typing import Any

import pytest

from sessionstream.systemlab.actions import MAX_TEXT, Action, Arguments, BadRequest, Field, Value

TEXT = Field("prompt", "Prompt", "hello")
NUMBER = Field("burst", "Events", 10, minimum=1, maximum=50)
CHOICE = Field("ids", "Stream ids", "derived", choices=(("derived", "Derived"), ("missing", "Missing")))
FLAG = Field("twice", "Twice", False)


async def nothing(_arguments: Arguments) -> None: ...


def action(*fields: Field) -> Action:
    return Action("go", "Go", nothing, fields)


@pytest.mark.parametrize(
    ("field", "kind"), [(TEXT, "text"), (NUMBER, "number"), (CHOICE, "choice"), (FLAG, "flag")], ids=str
)
def test_a_default_or_the_choices_say_what_kind_a_field_is(field: Field, kind: str) -> None:
    assert field.kind == kind


@pytest.mark.parametrize(
    ("field", "value"),
    [(TEXT, ""), (TEXT, "x" * MAX_TEXT), (NUMBER, 1), (NUMBER, 50), (CHOICE, "missing"), (FLAG, True), (FLAG, False)],
    ids=str,
)
def test_what_a_field_takes_is_what_the_action_gets(field: Field, value: Value) -> None:
    arguments = action(field).arguments({field.name: value})
    got = {"text": arguments.text, "number": arguments.number, "choice": arguments.text, "flag": arguments.flag}
    assert got[field.kind](field.name) == value


@pytest.mark.parametrize(
    ("field", "value", "takes"),
    [
        (TEXT, 1, "a text of at most 10000 characters, not 1"),
        (TEXT, "x" * (MAX_TEXT + 1), "a text of at most 10000 characters"),
        (Field("word", "Word", "", longest=3), "four", "a text of at most 3 characters"),
        (NUMBER, 0, "a whole number from 1 to 50, not 0"),
        (NUMBER, 51, "a whole number from 1 to 50"),
        (NUMBER, 1.0, "a whole number from 1 to 50"),
        (NUMBER, True, "a whole number from 1 to 50, not True"),
        (NUMBER, None, "a whole number from 1 to 50, not None"),
        (CHOICE, "other", "one of derived, missing, not 'other'"),
        (CHOICE, ["derived"], "one of derived, missing"),
        (FLAG, 1, "true or false, not 1"),
        (FLAG, "true", "true or false"),
    ],
)
def test_what_a_field_does_not_take_is_refused(field: Field, value: Any, takes: str) -> None:
    with pytest.raises(BadRequest) as refused:
        action(field).arguments({field.name: value})
    assert str(refused.value).startswith(f"{field.label} ({field.name}) is {takes}")
    assert len(str(refused.value)) < 200


def test_fields_that_are_not_given_have_their_defaults() -> None:
    arguments = action(TEXT, NUMBER).arguments({})
    assert (arguments.text("prompt"), arguments.number("burst")) == ("hello", 10)


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"^go has no field a, b; its fields: burst, prompt$"):
        action(TEXT, NUMBER).arguments({"b": 1, "a": 2})
    with pytest.raises(BadRequest, match=r"its fields: none$"):
        action().arguments({"a": 2})
