"""A call being looked into: which arguments its parameters got."""

from __future__ import annotations

from dataclasses import dataclass

from sessionstream_lint.inference.values import Given, Value
from sessionstream_lint.program.scopes import Scope, Site
from sessionstream_lint.reading.syntax import Parameter


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


def around(site: Site) -> Frame | None:
    """Return the call through which a site was reached."""
    return site.frame if isinstance(site.frame, Frame) else None


def frame_of(site: Site, scope: Scope) -> Frame | None:
    """Return the innermost call of that function on the way to the site."""
    frame = around(site)
    while frame is not None and frame.scope is not scope:
        frame = frame.outer
    return frame


def parameters(scope: Scope, *, bound: bool) -> tuple[Parameter, ...]:
    """The parameters that a caller fills: without ``self`` for a bound method."""
    return scope.params[1:] if bound else scope.params


def argument_for(params: tuple[Parameter, ...], given: tuple[Given, ...], name: str) -> Given | None:
    """Return the one argument that the parameter called ``name`` gets, if it can be told."""
    return next(iter(arguments_for(params, given, name)), None)


def arguments_for(params: tuple[Parameter, ...], given: tuple[Given, ...], name: str) -> list[Given]:
    """Return all that goes into the parameter called ``name``; ``*args`` may get any number."""
    found: list[Given] = []
    positions = [param.name for param in params if param.kind != "keyword" and not param.star]
    by_keyword = {param.name for param in params if param.kind != "positional" and not param.star}
    rest = {param.star: param.name for param in params if param.star}
    index: int | None = 0
    for item in given:
        if item.opaque:
            if item.star == "*":
                index = None
            target = rest.get(item.star)
        elif item.keyword is not None:
            target = item.keyword if item.keyword in by_keyword else rest.get("**")
        elif index is None:
            target = rest.get("*")
        else:
            target = positions[index] if index < len(positions) else rest.get("*")
            index += 1
        if target == name:
            found.append(item)
    return found
