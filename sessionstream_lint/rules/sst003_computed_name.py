"""SST003: a name is stored with the data, so it should be written out."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import External, Literal, Routine
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import reaching
from sessionstream_lint.reading.syntax import Node, dotted, is_formatted, last_name, operands
from sessionstream_lint.registering import certain
from sessionstream_lint.registering.registrations import Finding, Registrations

CODE = "SST003"
SUMMARY = "a name is put together when the program runs"
CLASS_NAMES = ("__name__", "__qualname__")
# Calls that give back an argument, and which.
TRANSPARENT = {"typing.cast": 1, "sys.intern": 0}
MAX_STEPS = 10


def check(registrations: Registrations) -> Iterator[Finding]:
    """Yield a finding for every name that is computed."""
    for name in registrations.names:
        how = _written(registrations.ev, name.node, name.site, MAX_STEPS)
        if how is not None:
            text = (
                f"{name.kind} is registered under a name that {how} puts together; names are stored with the data: "
                "write it out, as a literal or a constant of the module"
            )
            yield Finding(CODE, name.node, text)


def _written(ev: Ask, node: Node, site: sc.Site, steps: int) -> str | None:
    """Say how an expression is put together, as far as its spelling and that of what it was assigned show."""
    if not steps:
        return None
    if is_formatted(node):
        return "an f-string"
    match node:
        case cst.BinaryOperation(operator=cst.Add()):
            return "a concatenation"
        case cst.BinaryOperation(operator=cst.Modulo()):
            return "the operator %"
        case cst.Attribute() if last_name(node) in CLASS_NAMES:
            return f"the {last_name(node)} of a class or function"
        case cst.IfExp() | cst.BooleanOperation():
            parts = (node.body, node.orelse) if isinstance(node, cst.IfExp) else operands(node)
            return next(filter(None, (_written(ev, part, site, steps - 1) for part in parts)), None)
        case cst.Call():
            return _called(ev, node, site, steps)
        case cst.Name() | cst.Attribute() if (key := dotted(node)) is not None:
            return _assigned(ev, key, site, steps)
        case _:
            return None


def _called(ev: Ask, node: cst.Call, site: sc.Site, steps: int) -> str | None:
    if any(isinstance(value, Literal) for value in ev.evaluate(node, site)):
        return None
    for callee in ev.evaluate(node.func, site):
        returns = callee.scope.returns if isinstance(callee, Routine) else []
        if returns and all(one is not None and certain.text(ev, one, where) is not None for one, where in returns):
            return None
        if isinstance(callee, External) and callee.name in TRANSPARENT:
            position = TRANSPARENT[callee.name]
            return _written(ev, node.args[position].value, site, steps - 1) if position < len(node.args) else None
    return "a call"


def _assigned(ev: Ask, key: str, site: sc.Site, steps: int) -> str | None:
    for reached in reaching(key, site):
        binding = reached.binding
        match None if binding is None else binding.source:
            case sc.Augmented():
                return "a concatenation"
            case sc.Assigned(value) | sc.Declared(_, value) if value is not None and binding is not None:
                how = _written(ev, value, binding.site, steps - 1)
                if how is not None:
                    return how
            case _:
                pass
    return None
