"""fast_init: it behaves like the ``__init__`` of ``dataclass``."""

from __future__ import annotations

import copy
import pickle
import typing
from dataclasses import FrozenInstanceError, dataclass, field, replace
from inspect import signature

import pytest

from sessionstream.fast_init import fast_init


@dataclass(frozen=True, slots=True)
class Plain:
    name: str
    number: int = 7
    note: str = field(default="none", compare=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a name is needed")


@fast_init()
@dataclass(frozen=True, slots=True)
class Fast:
    name: str
    number: int = 7
    note: str = field(default="none", compare=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a name is needed")


def test_signature_and_annotations_are_those_of_the_dataclass() -> None:
    assert signature(Fast) == signature(Plain)
    assert typing.get_type_hints(Fast.__init__) == typing.get_type_hints(Plain.__init__)
    assert Fast.__init__.__qualname__ == "Fast.__init__"
    assert Fast.__init__.__module__ == __name__


@pytest.mark.parametrize("cls", [Plain, Fast])
def test_it_is_made_compared_copied_and_refused_alike(cls: type[Plain] | type[Fast]) -> None:
    made = cls("a", note="x")
    assert (made.name, made.number, made.note) == ("a", 7, "x")
    assert made == cls("a", 7) != cls("a", 8)
    assert hash(made) == hash(cls("a"))
    assert replace(made, number=9) == cls(name="a", number=9)
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(FrozenInstanceError):
        made.name = "b"  # type: ignore[misc]
    with pytest.raises(ValueError, match="a name is needed"):
        cls("")
    with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument: 'name'"):
        cls()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'nmae'"):
        cls(nmae="a")  # type: ignore[call-arg]


@fast_init(check_if="number < 0")
@dataclass(frozen=True, slots=True)
class CheckedSometimes:
    number: int

    def __post_init__(self) -> None:
        raise ValueError("never negative")


def test_a_check_is_made_where_it_is_needed() -> None:
    assert CheckedSometimes(1).number == 1
    with pytest.raises(ValueError, match="never negative"):
        CheckedSometimes(-1)
    assert replace(CheckedSometimes(1), number=2) == CheckedSometimes(2)
