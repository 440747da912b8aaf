"""What pytest passes: fixtures of the same file, their ``params``, and ``parametrize``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import libcst as cst

from sessionstream_lint.inference import containers
from sessionstream_lint.inference.arguments import strings
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import External, Literal, Many, Routine, Sequence, Value, Values, union
from sessionstream_lint.program.scopes import Argument, Defined, Scope, Site, arguments
from sessionstream_lint.reading.syntax import Parameter, called, last_name

FIXTURES = (External("pytest.fixture"), External("pytest_asyncio.fixture"))
PARAMETRIZE = External("pytest.mark.parametrize")
Arguments: TypeAlias = tuple[Argument, ...]
PARAM = "param"  # the kind of the sequence that ``pytest.param`` returns


def passed(ev: Ask, scope: Scope, param: Parameter) -> Values:
    """Return what pytest passes for a parameter of a test or a fixture; of any other function nothing."""
    made = list(_decorations(ev, scope, *FIXTURES))
    if made and param.name == "request":
        return (Sequence("namespace", (union(*(_params(ev, given, site) for given, site in made)),), ("param",)),)
    if not made and not scope.name.startswith("test"):
        return ()
    given = [_parametrized(ev, given, site, param.name) for given, site in _decorations(ev, scope, PARAMETRIZE)]
    return union(*given) or union(*(_result(ev, one) for one in _named(ev, scope, param.name)))


def _decorations(ev: Ask, scope: Scope, *wanted: Value) -> Iterator[tuple[Arguments, Site]]:
    """Yield the arguments of those decorators of a function that are one of those wanted."""
    for at in scope.decorated:
        func = called(at.func)
        is_known = last_name(func) in ("fixture", "parametrize")
        if is_known and any(one in wanted for one in ev.evaluate(func, at.site)):
            yield arguments(at.func.args) if isinstance(at.func, cst.Call) else (), at.site


def _argument(ev: Ask, given: Arguments, site: Site, keyword: str, position: int) -> Values:
    plain = [argument for argument in given if argument.keyword is None and not argument.star]
    named = [argument for argument in given if argument.keyword == keyword]
    found = named or plain[position : position + 1]
    return ev.evaluate(found[0].value, site) if found else ()


def _params(ev: Ask, given: Arguments, site: Site) -> Values:
    return _single(containers.elements(ev, _argument(ev, given, site, "params", 99)))


def _parametrized(ev: Ask, given: Arguments, site: Site, name: str) -> Values:
    """Return what ``parametrize`` passes for one of its names."""
    rows = containers.elements(ev, _argument(ev, given, site, "argvalues", 1))
    for value in _argument(ev, given, site, "argnames", 0):
        names = [part.strip() for text in _texts(value) for part in text.split(",")]
        if name in names:
            return _single(rows) if len(names) == 1 else containers.unpack(ev, rows, names.index(name), starred=False)
    return ()


def _texts(value: Value) -> list[str]:
    return strings(union(*value.items) if isinstance(value, Sequence) else (value,))


def _single(rows: Values) -> Values:
    """Return the values of rows, where ``pytest.param`` may be around one."""
    return union(*(row.items[0] if isinstance(row, Sequence) and row.kind == PARAM else (row,) for row in rows))


def _named(ev: Ask, scope: Scope, name: str) -> Iterator[Scope]:
    """Yield the fixtures of a file that have a name."""
    for key, bindings in scope.module.scope.bindings.items():
        source = bindings[-1].source
        if isinstance(source, Defined) and source.scope.decorated and source.scope is not scope:
            for given, site in _decorations(ev, source.scope, *FIXTURES):
                said = _argument(ev, given, site, "name", 99)
                if (said or (Literal(key),)) == (Literal(name),):
                    yield source.scope


def _result(ev: Ask, scope: Scope) -> Values:
    """Return what a fixture returns or yields, awaited if need be."""
    found = ev.call((Routine(scope),), (), scope.block.here())
    return union(*(value.element if isinstance(value, Many) and value.kind in KINDS else (value,) for value in found))


KINDS = ("iterator", "awaitable")
