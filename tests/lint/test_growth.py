"""Work is bounded by the size of a file: twice as much of the same costs about twice as much."""

from __future__ import annotations

import pytest

from sessionstream_lint import engine

from .steps import Steps

HEAD = """\
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from sessionstream import SchemaRegistry
class Catalog:
    def __init__(self): self.r = SchemaRegistry()
    def add(self, n, m): self.r.register_event(n, m)
schemas = Catalog()
r = SchemaRegistry()
def add(n, m): r.register_event(n, m)
TABLE = []
"""
SOURCES = {
    "a wrapper called add": lambda n: "".join(f"schemas.add('a{i}', StringValue)\n" for i in range(n)),
    "a function called add": lambda n: "".join(f"add('a{i}', StringValue)\n" for i in range(n)),
    "rebinding in one function": lambda n: "def f():\n" + "".join(
        f"    m = {('StringValue', 'Struct')[i % 2]}\n    r.register_event('a{i}', m)\n" for i in range(n)
    ),
    "rebinding to itself": lambda n: "def f(x):\n    x = StringValue\n" + "".join(
        f"    x = x or StringValue\n    r.register_event('a{i}', x)\n" for i in range(n)
    ),
    "rebinding the registry": lambda n: "def f(x):\n" + "".join(
        f"    x = SchemaRegistry()\n    x.register_event('a{i}', StringValue)\n" for i in range(n)
    ),
    "appending": lambda n: "".join(f"TABLE.append(('a{i}', StringValue))\n" for i in range(n))
    + "for n, m in TABLE: r.register_event(n, m)\n",
    "one name again and again": lambda n: "r.register_event('a', StringValue)\n" * n,
    "closures": lambda n: "def f():\n"
    + "".join(f"    m = StringValue\n    def g{i}(): r.register_event('a{i}', m)\n" for i in range(n)),
    "branches": lambda n: "".join(f"if x == {i}: p = StringValue\n" for i in range(n)) + "r.register_event('a', p)\n",
    "a long table": lambda n: "for n, m in [" + "".join(f"('a{i}', Struct),\n" for i in range(n))
    + "]: r.register_event(n, m)\n",
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_twice_the_size_is_about_twice_the_work(source: object) -> None:
    assert callable(source)
    taken = []
    for size in (150, 300):
        with Steps() as steps:
            engine.check(HEAD + source(size), "x.py")
        taken.append(steps.count)
    assert taken[1] < 2.25 * taken[0]
