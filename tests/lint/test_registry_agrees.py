"""What the default rules report the registry refuses when the program runs; what the opt-in rules report it accepts."""

from __future__ import annotations

import pytest

from sessionstream import DuplicateSchemaError, InvalidNameError, PayloadTypeError, SchemaError, StructPayloadError
from sessionstream_lint.engine import check
from sessionstream_lint.options import OPT_IN
from sessionstream_lint.rules.catalogue import RULES

HEAD = """\
import dataclasses, enum, typing
from google.protobuf.any_pb2 import Any
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.wrappers_pb2 import StringValue
from google.protobuf import wrappers_pb2
from sessionstream import Event, SchemaRegistry

@dataclasses.dataclass
class Point:
    x: int = 0

class Row(typing.NamedTuple):
    x: int = 0

class Color(enum.Enum):
    RED = 1

def handler(command, session, publisher): ...

r = SchemaRegistry()
"""
REFUSED: list[tuple[str, str, type[SchemaError], str]] = [
    *(
        ("SST001", call, StructPayloadError, "registers google.protobuf.Struct as its payload")
        for call in (
            "r.register_command('A', Struct)",
            "r.register_event('A', Struct())",
            "r.register_ui_event('A', message=Struct)",
            "r.register_timeline_entity(kind='A', message=Struct)",
        )
    ),
    *(("SST004", f"r.register_event({name!r}, StringValue)", InvalidNameError, "name ") for name in ("", " ", "\t\n")),
    ("SST004", "r.register_timeline_entity(kind='', message=StringValue)", InvalidNameError, "timeline entity name ''"),
    (
        "SST004",
        "r.register_event('A', StringValue)\nr.register_event('A', StringValue)",
        DuplicateSchemaError,
        "event 'A' is registered already",
    ),
    *(
        ("SST005", f"r.register_event('A', {payload})", PayloadTypeError, "protobuf message")
        for payload in (
            "{}", "dict", "[]", "(StringValue,)", "'a.B'", "b''", "7", "None", "Point", "Point()", "Row", "Row()",
            "Color", "Color.RED", "handler", "lambda: 0", "wrappers_pb2", "{1}", "int", "ValueError", "Event",
            "r", "StringValue.DESCRIPTOR", "StringValue().DESCRIPTOR", "wrappers_pb2.DESCRIPTOR",
        )
    ),
]  # fmt: skip
ACCEPTED = [
    *(("SST002", f"r.register_event('A', {payload})") for payload in ("Value", "ListValue()", "Any")),
    *(("SST003", f"r.register_event({name}, StringValue)") for name in ("f'a{r}'", "'a' + 'b'", "str(1)")),
]


def test_every_rule_is_here() -> None:
    assert {code for code, *_ in (*REFUSED, *ACCEPTED)} == {rule.CODE for rule in RULES}
    assert {code for code, _ in ACCEPTED} == OPT_IN


@pytest.mark.parametrize(("code", "source", "error", "phrase"), REFUSED)
def test_what_is_reported_is_refused_in_the_same_words(
    code: str, source: str, error: type[SchemaError], phrase: str
) -> None:
    [found] = check(f"{HEAD}{source}\n", "x.py")
    assert found.code == code
    assert phrase in found.message
    with pytest.raises(error) as refused:
        exec(compile(HEAD + source, "x.py", "exec"), {"__name__": __name__})
    assert phrase in str(refused.value)


@pytest.mark.parametrize(("code", "source"), ACCEPTED)
def test_what_an_opt_in_rule_reports_works(code: str, source: str) -> None:
    assert [one.code for one in check(f"{HEAD}{source}\n", "x.py")] == [code]
    exec(compile(HEAD + source, "x.py", "exec"), {"__name__": __name__})
