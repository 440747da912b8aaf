"""How does a test come out in one row of a table, or in one call? Only constants decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream_lint import constants, containers
from sessionstream_lint import syntax as s
from sessionstream_lint.scopes import Guard, Site
from sessionstream_lint.values import Literal, Sequence, Table, Values

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_NESTING = 10
MAX_PARTS = 100
METHODS = {"startswith", "endswith"}


def refuses(ev: Evaluator, guard: Guard, site: Site) -> bool:
    """Say whether a test certainly comes out otherwise in the rows and the call that a site is looked at in.

    What comes out so whatever these are is code that never runs, which is read like any other.
    """
    if not site.rows and site.frame is None:
        return False
    outcome = _outcome(ev, guard, guard.site.seen_from(site))
    return outcome is False and _outcome(ev, guard, guard.site) is None


def _outcome(ev: Evaluator, guard: Guard, site: Site) -> bool | None:
    if guard.pattern is None:
        found = holds(ev, guard.test, site)
    elif guard.pattern.constants:
        found = _any([_equal(ev, guard.test, one, site) for one in guard.pattern.constants])
    else:
        return None
    return None if found is None else found is guard.positive


def holds(ev: Evaluator, test: s.Node, site: Site, depth: int = 0) -> bool | None:
    """Return whether a test is true, if that is certain."""
    if depth > MAX_NESTING:
        return None
    shape = s.view(test)
    match shape:
        case s.Not(operand):
            found = holds(ev, operand, site, depth + 1)
            return None if found is None else not found
        case s.Boolean(op, operands):
            parts = [holds(ev, one, site, depth + 1) for one in operands[:MAX_PARTS]]
            parts += [None] * (len(operands) > MAX_PARTS)
            return _any(parts) if op == "or" else _all(parts)
        case s.Comparison(op, left, right):
            same = op in ("is", "==", "in")
            found = _within(ev, left, right, site) if op in ("in", "not in") else _equal(ev, left, right, site)
            return None if found is None else found is same
        case s.Call(func, args):
            return _called(ev, func, args, site)
        case _:
            value = constants.exact(ev, test, site)
            return None if value is None else bool(value.value)


def _any(parts: list[bool | None]) -> bool | None:
    return True if True in parts else None if None in parts else False


def _all(parts: list[bool | None]) -> bool | None:
    return False if False in parts else None if None in parts else True


def _equal(ev: Evaluator, left: s.Node, right: s.Node, site: Site) -> bool | None:
    one = constants.exact(ev, left, site)
    two = constants.exact(ev, right, site) if one is not None else None
    return None if one is None or two is None else one == two


def _within(ev: Evaluator, left: s.Node, right: s.Node, site: Site) -> bool | None:
    """Say whether a constant is in a container, or a text, that is written out."""
    one = constants.exact(ev, left, site)
    if one is None:
        return None
    whole = constants.text(ev, right, site)
    if whole is not None:
        return isinstance(one.value, str) and one.value in whole
    held = _held(ev.evaluate(right, site))
    return _any([one == item[0] if len(item) == 1 and isinstance(item[0], Literal) else None for item in held or [()]])


def _held(values: Values) -> list[Values] | None:
    """Return what is in a container, or the keys of a dict, of which all is known."""
    match values:
        case (Sequence(items=items, certain=True),) if len(items) < containers.MAX_ITEMS:
            return list(items)
        case (Table(pairs, True),) if len(pairs) < containers.MAX_ITEMS:
            return [key for key, _ in pairs]
        case _:
            return None


def _called(ev: Evaluator, func: s.Node, args: tuple[s.Argument, ...], site: Site) -> bool | None:
    """Say what a method of a text comes to that asks how it begins or ends."""
    shape = s.view(func)
    if not isinstance(shape, s.Attribute) or shape.attr not in METHODS or len(args) != 1:
        return None
    text, part = constants.text(ev, shape.value, site), constants.text(ev, args[0].value, site)
    if text is None or part is None:
        return None
    return text.startswith(part) if shape.attr == "startswith" else text.endswith(part)
