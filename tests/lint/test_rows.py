"""The name in a message is that of the same row of a table as the payload."""

from __future__ import annotations

import pytest

from sessionstream_lint import engine

HEAD = """
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from sessionstream import SchemaRegistry
schemas = SchemaRegistry()
"""


def message(source: str) -> str:
    (found,) = engine.check(HEAD + source, "x.py")
    return found.message.partition(" registers")[0]


@pytest.mark.parametrize(
    "source",
    [
        "for n, m in (('a', StringValue), ('b', Struct)):\n    schemas.register_event(n, m)",
        "for n, m in {'a': StringValue, 'b': Struct, 'c': Struct}.items():\n    schemas.register_event(n, m)",
        "for row in (('a', StringValue), ('b', Struct)):\n    schemas.register_event(*row)",
        "for n, m in (('a', Struct), ('b', Struct)):\n    if n != 'a':\n        schemas.register_event(n, m)",
        "[schemas.register_event(n, m) for n, m in zip(('a', 'b'), (StringValue, Struct))]",
        "def add(m, n): schemas.register_event(n, m)\nfor n, m in (('a', StringValue), ('b', Struct)):\n    add(m, n)",
        "def add(t):\n    for n, m in t: schemas.register_event(n, m)\nadd((('a', StringValue), ('b', Struct)))",
        "class A:\n    def add(self): schemas.register_event(self.n, self.m)\n"
        "class B(A): n, m = 'a', StringValue\nclass C(A): n, m = 'b', Struct\n",
    ],
    ids=["pairs", "items", "starred", "the row that is left", "zip", "wrapper", "wrapper with the loop", "subclasses"],
)
def test_the_message_names_the_row(source: str) -> None:
    assert message(source) == "event 'b'"


def test_of_a_row_whose_name_is_not_written_out_none_is_named() -> None:
    assert message("for n, m in (('a', StringValue), (f(), Struct)):\n    schemas.register_event(n, m)") == "an event"


@pytest.mark.parametrize(
    "line", ["    if f: schemas.register_event(n, m)\n", "    if n != 'n{}': schemas.register_event(n, m)\n"]
)
def test_in_a_file_of_many_rows_none_is_lost(line: str) -> None:
    """When a file has taken its questions, every row counts, as in a loop of which no row is known."""
    rows = "".join(f"('n{number}', StringValue, {number % 2 == 0}), " for number in range(39))
    loops = "".join(line.format(number) for number in range(60))
    found = engine.check(f"{HEAD}T = ({rows}('s', Struct, True))\nfor n, m, f in T:\n{loops}", "x.py")
    assert [(one.line, one.code) for one in found] == [(number, "SST001") for number in range(8, 68)]
