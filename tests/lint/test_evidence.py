"""What people write around a registration, and whether the linter takes it as they mean it."""

from __future__ import annotations

import textwrap

import pytest

from sessionstream_lint import engine
from sessionstream_lint.options import Options

HEAD = """\
from google.protobuf import struct_pb2
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from sessionstream import Hub, MemoryStore, SchemaRegistry, SQLiteStore
r = SchemaRegistry()
"""


def lines(source: str, path: str = "x.py") -> list[int]:
    """The lines of SST001, counted in what comes after the head."""
    found = engine.check(HEAD + textwrap.dedent(source), path, options=Options(select=("SST001",)))
    return [one.line - HEAD.count("\n") for one in found]


def expected(source: str) -> list[int]:
    return [number for number, line in enumerate(textwrap.dedent(source).split("\n"), 1) if line.endswith("# here")]


# Guards of a class or an instance ---------------------------------------------------------------------------

TESTS = {
    "class, then subclass": "if isinstance(m, type) and issubclass(m, Struct): return",
    "subclass of a class": "if isinstance(m, type):\n        if issubclass(m, Struct): return",
    "its class": "cls = m if isinstance(m, type) else type(m)\n    if cls is Struct: return",
    "its class, turned round": "c = type(m) if not isinstance(m, type) else m\n    if issubclass(c, Struct): return",
    "its class, in place": "if (m if isinstance(m, type) else type(m)) is Struct: return",
    "full name": "if m.DESCRIPTOR.full_name == 'google.protobuf.Struct': return",
    "full name on the left": "if 'google.protobuf.Struct' == m.DESCRIPTOR.full_name: return",
    "one of the full names": "if m.DESCRIPTOR.full_name in ('google.protobuf.Struct', 'a.B'): return",
    "descriptor": "if m.DESCRIPTOR is Struct.DESCRIPTOR: return",
    "descriptor, kept": "d = m.DESCRIPTOR\n    if d.full_name == 'google.protobuf.Struct': return",
    "kept outcome": "ok = m is not Struct\n    if not ok: return",
    "kept outcome, the other way": "bad = m is Struct\n    if bad: return",
    "helper": "if is_open(m): return",
    "helper, negated": "if not is_closed(m): return",
    "helper with branches": "if branches(m): return",
}
HELPERS = """
def is_open(x):
    return x is Struct
def is_closed(x):
    return not (isinstance(x, type) and issubclass(x, Struct))
def branches(x):
    if x is Struct:
        return True
    return False
"""


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)
def test_a_guard_lets_no_struct_through(test: str) -> None:
    source = f"{HELPERS}def add(m):\n    {test}\n    r.register_event('A', m)\nadd(Struct)\nadd(StringValue)\n"
    assert lines(source) == []
    other = source.replace("return\n    r.reg", "pass\n    r.reg")
    assert len(lines(other)) == 1, "without the guard it is found"


@pytest.mark.parametrize(
    "test",
    ["m.DESCRIPTOR.full_name == 'google.protobuf.Struct'", "m.DESCRIPTOR is Struct.DESCRIPTOR", "is_open(m)"],
)
def test_behind_the_opposite_guard_it_is_found(test: str) -> None:
    source = f"{HELPERS}def add(m):\n    if {test}:\n        r.register_event('A', m)\nadd(Struct)\n"
    assert len(lines(source)) == 1
