"""What people write around a registration, and whether the linter takes it as they mean it."""

from __future__ import annotations

import textwrap
from pathlib import Path

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


EITHER = "m if isinstance(m, type) else type(m)"


@pytest.mark.parametrize(
    ("of", "payload"),
    [(EITHER, "Struct"), (EITHER, "Struct()"), ("type(m)", "Struct()"), ("m.__class__", "Struct()")],
)
def test_a_guard_of_the_class_holds_for_objects_and_beside_annotations(of: str, payload: str) -> None:
    test = f"def add(m: type[Message] | Message):\n    if issubclass({of}, Struct)"
    assert lines(f"{test}: return\n    r.register_event('A', m)\nadd({payload})\n") == []
    assert len(lines(f"{test}:\n        r.register_event('A', m)\nadd({payload})\n")) == 1


@pytest.mark.parametrize(
    "test",
    ["m.DESCRIPTOR.full_name == 'google.protobuf.Struct'", "m.DESCRIPTOR is Struct.DESCRIPTOR", "is_open(m)"],
)
def test_behind_the_opposite_guard_it_is_found(test: str) -> None:
    source = f"{HELPERS}def add(m):\n    if {test}:\n        r.register_event('A', m)\nadd(Struct)\n"
    assert len(lines(source)) == 1


# Annotations that say less ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        """
        from typing import Protocol
        class Registers(Protocol):
            def register_event(self, name: str, message: object) -> None: ...
        def put(target: Registers):
            target.register_event("A", Struct)  # here
        put(r)
        """,
        """
        from typing import Protocol
        class Registers(Protocol):
            def register_event(self, name: str, message: object) -> None: ...
        def made() -> Registers:
            return SchemaRegistry()
        made().register_event("A", Struct)  # here
        """,
        """
        from abc import ABC
        class Base(ABC): ...
        class Mine(Base, SchemaRegistry): ...
        def put(target: Base):
            target.register_event("A", Struct)  # here
        put(Mine())
        """,
        """
        from typing import cast
        r.register_event("A", cast("type[Message]", Struct))  # here
        r.register_event("A", cast("type", Struct))  # here
        r.register_event("A", cast(type[Message], StringValue))
        cast("object", r).register_event("A", Struct)  # here
        """,
        """
        payload: type[Message] = Struct
        r.register_event("A", payload)  # here
        def made() -> type[Message]:
            return Struct
        r.register_event("A", made())  # here
        """,
    ],
    ids=["parameter", "result", "base class", "cast", "variable"],
)
def test_an_annotation_that_says_less_hides_nothing(source: str) -> None:
    assert lines(source) == expected(source)


# The library's own objects ------------------------------------------------------------------------------------


def test_the_registry_of_a_hub_or_store_that_is_entered() -> None:
    source = """
    async def main():
        async with Hub(SchemaRegistry()) as hub:
            hub.schemas.register_event("A", Struct)  # here
        async with SQLiteStore.open("x.db", SchemaRegistry()) as store:
            store.registry.register_event("B", Struct)  # here
        other = await SQLiteStore.open("x.db", SchemaRegistry())
        other.registry.register_event("C", Struct)  # here
        MemoryStore(r).registry.register_event("D", Struct)  # here
        hub.schemas.register_event("E", StringValue)
    """
    assert lines(source) == expected(source)


# Tests, parsed JSON, stubs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        """
        import pytest
        @pytest.fixture
        def schemas():
            return SchemaRegistry()
        def test_it(schemas):
            schemas.register_event("A", Struct)  # here
            schemas.register_event("B", StringValue)
        """,
        """
        import pytest
        @pytest.fixture(name="schemas")
        def made():
            yield SchemaRegistry()
        @pytest.fixture(params=[StringValue, Struct])
        def payload(request):
            return request.param
        def test_it(schemas, payload):
            schemas.register_event("A", payload)  # here
        """,
        """
        import pytest
        @pytest.mark.parametrize("payload", [StringValue, Struct])
        def test_it(payload):
            r.register_event("A", payload)  # here
        @pytest.mark.parametrize(("name", "payload"), [("a", StringValue), pytest.param("b", Struct, id="x")])
        def test_both(name, payload):
            r.register_event(name, payload)  # here
        @pytest.mark.parametrize("name, payload", [("a", StringValue)])
        def test_neither(name, payload):
            r.register_event(name, payload)
        """,
        """
        from google.protobuf.json_format import Parse, ParseDict
        r.register_event("A", ParseDict({}, Struct()))  # here
        r.register_event("B", Parse("{}", message=Struct()))  # here
        r.register_event("C", ParseDict({}, StringValue()))
        """,
    ],
    ids=["fixture", "params", "parametrize", "json_format"],
)
def test_what_tests_pass_and_what_is_parsed(source: str) -> None:
    assert lines(source) == expected(source)


def test_a_stub_beside_a_module_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "chat_pb2.py").write_text("# generated\n_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR)\n")
    (tmp_path / "chat_pb2.pyi").write_text(
        "from google.protobuf import message as _message, struct_pb2 as _struct_pb2\n"
        "class Envelope(_message.Message):\n    body: _struct_pb2.Struct\n    text: str\n"
    )
    (tmp_path / "loading.py").write_text("def load():\n    return _native()\n")
    (tmp_path / "loading.pyi").write_text("from google.protobuf.struct_pb2 import Struct\ndef load() -> Struct: ...\n")
    source = """
    from chat_pb2 import Envelope
    import loading
    r.register_event("A", Envelope().body)  # here
    r.register_event("B", Envelope)
    r.register_event("C", loading.load())  # here
    """
    path = tmp_path / "x.py"
    path.write_text(HEAD + textwrap.dedent(source))
    assert lines(source, str(path)) == expected(source)


# Names ----------------------------------------------------------------------------------------------------------


def test_identifiers_that_normalise_to_one_name_are_one() -> None:
    source = """
    \N{BLACK-LETTER CAPITAL H} = Struct
    r.register_event("A", H)  # here
    \N{LATIN SMALL LIGATURE FI}n = r
    fin.register_event("B", Struct)  # here
    r.\N{FULLWIDTH LATIN SMALL LETTER R}egister_event("C", \N{MATHEMATICAL BOLD CAPITAL S}truct)  # here
    """
    assert lines(source) == expected(source)


# Tables -----------------------------------------------------------------------------------------------------------

TABLES = {
    "pairs": """
        for n, m in [
            ("a", StringValue),
            ("b", Struct),  # here
            ("c", Struct),  # here
        ]:
            r.register_event(n, m)
        """,
    "a name": """
        TABLE = (
            ("a", Struct),  # here
            ("b", StringValue),
            ("c", Struct()),  # here
        )
        def install():
            for row in TABLE:
                r.register_event(*row)
        """,
    "dict": """
        TABLE = {
            "a": Struct,  # here
            "b": StringValue,
        }
        for name, message in TABLE.items():
            r.register_event(name, message)
        """,
    "classes": """
        from dataclasses import dataclass
        @dataclass
        class Row:
            name: str
            message: type
        ROWS = [
            Row("a", StringValue),
            Row("b", Struct),  # here
            Row(
                name="c",
                message=Struct,  # here
            ),
        ]
        for row in ROWS:
            r.register_event(row.name, row.message)
        """,
    "enum": """
        import enum
        class Kind(enum.Enum):
            A = Struct  # here
            B = StringValue
        for kind in Kind:
            r.register_event(kind.name, kind.value)
        """,
    "columns": """
        NAMES = ["a", "b"]
        TYPES = [
            StringValue,
            Struct,  # here
        ]
        for name, message in zip(NAMES, TYPES):
            r.register_event(name, message)
        """,
    "comprehension": """
        TABLE = {
            "a": Struct,  # here
        }
        [r.register_event(n, m) for n, m in TABLE.items()]
        """,
    "wrapper": """
        def install(table):
            for n, m in table:
                r.register_event(n, m)
        install([
            ("a", Struct),  # here
            ("b", StringValue),
        ])
        """,
    "wrapper of rows": """
        def put(n, m):
            r.register_event(n, m)
        TABLE = [
            ("a", Struct),  # here
        ]
        for n, m in TABLE:
            put(n, m)
        """,
}


@pytest.mark.parametrize("source", TABLES.values(), ids=TABLES)
def test_a_finding_stands_at_the_row(source: str) -> None:
    assert lines(source) == expected(source)


def test_a_table_in_another_file_is_named_at_the_loop(tmp_path: Path) -> None:
    (tmp_path / "tables.py").write_text(
        "from google.protobuf.struct_pb2 import Struct\nTABLE = [\n    ('a', Struct),\n    ('b', Struct),\n]\n"
    )
    source = HEAD + "from tables import TABLE\nfor n, m in TABLE:\n    r.register_event(n, m)\n"
    path = tmp_path / "x.py"
    path.write_text(source)
    [found] = engine.check(source, str(path))
    assert found.line == source.count("\n")
    assert "tables.py:3" in found.message
    assert "tables.py:4" in found.message
