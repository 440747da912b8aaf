"""The patterns of ``match``: what they say of their subject, and what they bind."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from sessionstream_lint.reading.syntax import Node, Nodes, identifier


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is known of a ``case``: the classes it names, the names it binds, what it catches.

    ``exact`` says that the subject matches whenever it is an instance of one of ``classes`` (with none: always).
    ``constants`` are what the subject has to equal one of, where that is all. ``name`` is bound to the subject itself,
    ``captures`` to parts of it: objects of a class if that is known. ``values`` are the expressions in it.
    """

    classes: Nodes = ()
    exact: bool = False
    name: str | None = None
    captures: dict[str, Node | None] = field(default_factory=dict)
    values: Nodes = ()
    constants: Nodes = ()


def pattern(node: cst.MatchPattern) -> Pattern:
    """Return what is known of a pattern."""
    name = None
    if isinstance(node, cst.MatchAs):
        name = identifier(node.name) if node.name else None
        if node.pattern is None:
            return Pattern(exact=True, name=name)
        node = node.pattern
    options = [option.pattern for option in node.patterns] if isinstance(node, cst.MatchOr) else [node]
    classes = [option for option in options if isinstance(option, cst.MatchClass)]
    values: list[Node] = []
    captures: dict[str, Node | None] = {}
    _gather(node, values, captures)
    if len(classes) != len(options):
        equal = tuple(option.value for option in options if isinstance(option, cst.MatchValue))
        constants = equal if len(equal) == len(options) else ()
        return Pattern((), False, name, captures, tuple(values), constants)
    bare = all(not (option.patterns or option.kwds) for option in classes)
    return Pattern(tuple(option.cls for option in classes), bare, name, captures, tuple(values))


def _gather(node: Node, values: list[Node], captures: dict[str, Node | None]) -> None:
    """Note the expressions in a pattern, in the order of the source, and the names that it binds."""
    inner: list[Node] = []
    match node:
        case cst.MatchAs(pattern=part, name=name):
            inner = [part] if part else []
            if name:
                captures[identifier(name)] = part.cls if isinstance(part, cst.MatchClass) else None
        case cst.MatchStar(name=cst.Name() as name):
            captures[identifier(name)] = None
        case cst.MatchOr() | cst.MatchList() | cst.MatchTuple():
            inner = [getattr(one, "pattern", one) for one in node.patterns]
        case cst.MatchClass():
            values.append(node.cls)
            inner = [*(one.value for one in node.patterns), *(one.pattern for one in node.kwds)]
        case cst.MatchSequenceElement():
            inner = [node.value]
        case cst.MatchMapping():
            captures |= {identifier(node.rest): None} if node.rest else {}
            values += [one.key for one in node.elements]
            inner = [one.pattern for one in node.elements]
        case cst.MatchValue():
            values.append(node.value)
        case _:
            pass
    for one in inner:
        _gather(one, values, captures)
