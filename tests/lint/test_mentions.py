"""Comments and docstrings name methods and mean nothing by it; what code names may be called anywhere."""

from __future__ import annotations

import ast

import pytest

from sessionstream_lint.program.mentions import counted


@pytest.mark.parametrize(
    ("source", "times"),
    [
        ("r.register_event('A', B)", 1),
        ("# register_event, and register_command\nr.register_event('A', B)", 1),
        ("'''register_event'''\nr.register_event('A', B)", 1),
        ("def f():\n    '''Calls register_event.'''\n    r.register_event('A', B)", 1),
        ("def register_event(name): '''register_event'''", 0),
        ("async def register_event(name): ...", 0),
        ("class register_event: ...", 1),
        ("METHODS = ['register_event', 'register_command']", 2),
        ("getattr(r, 'register_event')('A', B)", 1),
        ("f = r.register_event; f('A', B)", 1),
        ("from x import register_event as on", 1),
        ("call(register_event=1)", 1),
        ("def f(register_event): global register_command", 2),
        ("f'{r.register_event}'", 1),
        ("reregister_event(1); register_events(2)", 0),
    ],
)
def test_mentions_in_code(source: str, times: int) -> None:
    beyond = counted(source, ast.parse(source))
    assert not beyond(times)
    assert times == 0 or beyond(times - 1)


def test_the_tree_is_left_as_it_is() -> None:
    source = "'''register_event'''\n'register_event'\nr.register_event('A', B)"
    tree = ast.parse(source)
    before = ast.dump(tree)
    assert not counted(source, tree)(1)
    assert ast.dump(tree) == before
