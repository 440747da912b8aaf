"""SST003: a name is stored with the data, so it should be written out."""

from __future__ import annotations

from collections.abc import Iterator

from sessionstream_lint.inference import constants
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import Computed, External, Klass, Literal, Routine
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import reaching
from sessionstream_lint.program.scopes import Site
from sessionstream_lint.reading import shapes as s
from sessionstream_lint.registering.registrations import Finding, Registrations
from sessionstream_lint.registering.written import Written

CODE = "SST003"
SUMMARY = "a name is put together when the program runs"
CLASS_NAMES = ("__name__", "__qualname__")
# Calls that give back an argument, and which.
TRANSPARENT = {"typing.cast": 1, "sys.intern": 0}
MAX_STEPS = 10


def check(registrations: Registrations) -> Iterator[Finding]:
    """Yield a finding for every name that is computed."""
    for name in registrations.names():
        how = _how(registrations.ev, name)
        if how is not None:
            text = (
                f"{_article(name.family)} is registered under a name that {how} puts together; names are stored with "
                "the data: write it out, as a literal or a constant of the module"
            )
            yield Finding(CODE, name.node, text)


def _article(family: str) -> str:
    return f"an {family}" if family == "event" else f"a {family}"


def _how(ev: Ask, name: Written) -> str | None:
    found = next((value.how for value in name.values if isinstance(value, Computed)), None)
    return found or _written(ev, name.node, name.site, MAX_STEPS)


def _written(ev: Ask, node: s.Node, site: Site, steps: int) -> str | None:
    """Say how an expression is put together, as far as its spelling and that of what it was assigned show."""
    if not steps:
        return None
    shape = s.view(node)
    match shape:
        case s.Formatted():
            return "an f-string"
        case s.Binary("+" | "%"):
            return "a concatenation" if shape.op == "+" else "the operator %"
        case s.Attribute(_, attr) if attr in CLASS_NAMES:
            return f"the {attr} of a class or function"
        case s.Conditional(_, body, orelse):
            return _written(ev, body, site, steps - 1) or _written(ev, orelse, site, steps - 1)
        case s.Boolean(_, operands):
            return next(filter(None, (_written(ev, one, site, steps - 1) for one in operands[:MAX_STEPS])), None)
        case s.Walrus(_, value) | s.Await(value):
            return _written(ev, value, site, steps - 1)
        case s.Call():
            return _called(ev, node, shape, site, steps)
        case s.Name() | s.Attribute():
            return _assigned(ev, node, site, steps)
        case s.Subscript(value) if isinstance(s.view(value), s.Call):
            return _taken(ev, node, value, site, steps)
        case _:
            return None


def _called(ev: Ask, node: s.Node, shape: s.Call, site: Site, steps: int) -> str | None:
    if any(isinstance(value, Literal) for value in ev.evaluate(node, site)):
        return None
    for callee in ev.evaluate(shape.func, site):
        if (
            isinstance(callee, Routine)
            and callee.scope.returns
            and all(
                one is not None and constants.text(ev, one, where) is not None for one, where in callee.scope.returns
            )
        ):
            return None
        if isinstance(callee, External) and callee.name in TRANSPARENT:
            index = TRANSPARENT[callee.name]
            return _written(ev, shape.args[index].value, site, steps - 1) if index < len(shape.args) else None
    return "a call"


def _taken(ev: Ask, node: s.Node, whole: s.Node, site: Site, steps: int) -> str | None:
    """Say how something is put together that is an item or attribute of ``whole``: of a project's object it is not."""
    if any(isinstance(value, Literal) for value in ev.evaluate(node, site)):
        return None
    shape = s.view(whole)
    made = ev.evaluate(shape.func, site) if isinstance(shape, s.Call) else ()
    return None if any(isinstance(value, Klass) for value in made) else _written(ev, whole, site, steps - 1)


def _assigned(ev: Ask, node: s.Node, site: Site, steps: int) -> str | None:
    key = s.dotted(node)
    if key is None:
        shape = s.view(node)
        return _taken(ev, node, shape.value, site, steps) if isinstance(shape, s.Attribute) else None
    for reached in reaching(*ev.origin(key, site)):
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
