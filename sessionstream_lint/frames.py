"""A call being looked into: which arguments its parameters got."""

from __future__ import annotations

from dataclasses import dataclass

from sessionstream_lint.scopes import Scope, Site
from sessionstream_lint.syntax import Argument, Parameter
from sessionstream_lint.values import Given, Value


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A call of ``scope``; ``receiver`` is what the first parameter of a method got.

    Frames are compared by identity, for they hold each other: `Evaluator.frame` hands out one for equal calls.
    """

    scope: Scope
    given: tuple[Given, ...]
    receiver: Value | None
    outer: Frame | None
    depth: int


def frame_of(site: Site, scope: Scope) -> Frame | None:
    """Return the innermost call of that function on the way to the site."""
    frame = site.frame
    while frame is not None and frame.scope is not scope:
        frame = frame.outer
    return frame


def parameters(scope: Scope, *, bound: bool) -> tuple[Parameter, ...]:
    """The parameters that a caller fills: without ``self`` for a bound method."""
    return scope.params[1:] if bound else scope.params


def argument_for(params: tuple[Parameter, ...], given: tuple[Given, ...], name: str) -> Given | None:
    """Return the plain argument that the parameter called ``name`` gets, if one is written out."""
    positions = [param.name for param in params if param.kind != "keyword" and not param.star]
    index = 0
    for item in given:
        argument: Argument = item.argument
        if argument.star:
            return None
        if argument.keyword is not None:
            if argument.keyword == name:
                return item
        elif index < len(positions):
            if positions[index] == name:
                return item
            index += 1
    return None
