"""The patterns of ``match``: what they say of their subject, and what they bind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import libcst as cst

from sessionstream_lint.reading.syntax import Node, Nodes, identifier


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is known of a ``case``: the classes it names, the names it binds, what it catches.

    ``exact`` says that the subject matches whenever it is an instance of one of ``classes`` (with none: always).
    ``name`` is bound to the subject itself, ``captures`` to parts of it: objects of a class if that is known.
    """

    classes: Nodes = ()
    exact: bool = False
    name: str | None = None
    captures: dict[str, Node | None] = field(default_factory=dict)


def pattern(node: cst.MatchPattern) -> Pattern:
    """Return what is known of a pattern."""
    name = None
    if isinstance(node, cst.MatchAs):
        name = identifier(node.name) if node.name else None
        if node.pattern is None:
            return Pattern(exact=True, name=name)
        node = node.pattern
    options = [option.pattern for option in node.patterns] if isinstance(node, cst.MatchOr) else [node]
    captures = dict(_captures(node))
    classes = [option for option in options if isinstance(option, cst.MatchClass)]
    if len(classes) < len(options):
        return Pattern(name=name, captures=captures)
    bare = all(not (option.patterns or option.kwds) for option in classes)
    return Pattern(tuple(option.cls for option in classes), bare, name, captures)


def _captures(node: Node) -> Iterator[tuple[str, Node | None]]:
    """Yield the names that the parts of a pattern bind, each with the class of what it is bound to."""
    match node:
        case cst.MatchAs(pattern=part, name=cst.Name() as name):
            yield identifier(name), part.cls if isinstance(part, cst.MatchClass) else None
        case cst.MatchStar(name=cst.Name() as name) | cst.MatchMapping(rest=cst.Name() as name):
            yield identifier(name), None
        case _:
            pass
    for inner in node.children:
        yield from _captures(inner)
