"""What must not matter does not: names, aliases, wrapping, order, company, and any syntax at all."""

from __future__ import annotations

import ast
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from sessionstream_lint import engine
from sessionstream_lint.options import Options
from sessionstream_lint.reading import gate

from .conftest import EXAMPLES, Example
from .moves import MOVES, Moved
from .steps import Steps

EXAMPLES_IN_TORTURE = 1_500
# A smaller example says no more, and takes minutes to find.
QUICK = settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])


def found(source: str, path: str, code: str = "SST001") -> set[tuple[int, int, str]]:
    options = Options(select=(code,))
    return {(one.line, one.column + 1, one.code) for one in engine.check(source, path, options=options)}


def assert_unmoved(moved: Moved, example: Example) -> None:
    ast.parse(moved.source)
    places = found(moved.source, str(example.path), example.code)
    lines = moved.lines
    missing = [f"{line}:{column} {lines[line - 1]}" for line, column, _ in sorted(moved.expected - places)]
    unexpected = [f"{line}:{column} {lines[line - 1]}" for line, column, _ in sorted(places - moved.expected)]
    assert (missing, unexpected) == ([], [])


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
@given(data=st.data())
@settings(QUICK, max_examples=6)
def test_no_such_change_changes_the_findings(move: Any, data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(EXAMPLES))
    assert_unmoved(data.draw(move(Moved(example.source, example.expected))), example)


@given(data=st.data())
@settings(QUICK, max_examples=6)
def test_nor_do_several_at_once(data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(EXAMPLES))
    moved = Moved(example.source, example.expected)
    for move in data.draw(st.lists(st.sampled_from(MOVES), min_size=2, unique=True)):
        moved = data.draw(move(moved))
    assert_unmoved(moved, example)


@pytest.mark.torture
@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
@given(data=st.data())
@settings(QUICK, max_examples=EXAMPLES_IN_TORTURE // len(MOVES))
def test_no_such_change_changes_the_findings_at_length(move: Any, data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(EXAMPLES))
    assert_unmoved(data.draw(move(Moved(example.source, example.expected))), example)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_each_change_does_change_the_source(move: Any) -> None:
    """Otherwise the properties above would say nothing."""
    changed: set[str] = set()

    @given(data=st.data())
    @settings(max_examples=30, database=None, derandomize=True)
    def run(data: st.DataObject) -> None:
        example = data.draw(st.sampled_from(EXAMPLES))
        if data.draw(move(Moved(example.source, example.expected))).source != example.source:
            changed.add(example.path.name)

    run()
    assert len(changed) >= 3


# Any source -----------------------------------------------------------------------------------------------

PLANTED = """

def planted():
    from google.protobuf.struct_pb2 import Struct
    from sessionstream import SchemaRegistry

    SchemaRegistry().register_event("A", Struct)
"""
LIBRARY = Path(ast.__file__).parent
# What exercises most of the language, where the interpreter comes with its own tests.
GRAMMAR = [
    "argparse.py", "dataclasses.py", "enum.py", "functools.py", "inspect.py", "typing.py", "asyncio/tasks.py",
    "unittest/mock.py", "test/test_patma.py", "test/test_fstring.py", "test/test_unparse.py",
    "test/test_named_expressions.py", "test/test_type_params.py", "test/test_except_star.py", "test/test_tstring.py",
    "test/test_positional_only_arg.py", "test/test_unpack_ex.py", "test/test_coroutines.py", "test/test_generators.py",
]  # fmt: skip


def check_planted(source: str) -> None:
    """What is planted into any source that compiles is found, and nothing else is."""
    source = source.rstrip("\n") + PLANTED
    line = len(gate.split_lines(source)) - 1
    assert found(source, "x.py") == {(line, 42, "SST001")}


def compiles(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


@pytest.mark.parametrize(
    "name", [name if name.startswith("test/") else pytest.param(name, marks=pytest.mark.torture) for name in GRAMMAR]
)
def test_the_whole_language_is_read(name: str) -> None:
    path = LIBRARY / name
    if not path.is_file():
        pytest.skip("not in this interpreter")
    check_planted(path.read_text(encoding="utf-8"))


FEATURES = [
    (3, 11, "try:\n    pass\nexcept* (ValueError, OSError) as group:\n    raise\n"),
    (3, 11, "def f(*args: *Ts) -> tuple[*Ts]: return args[*x, 1]\n"),
    (3, 11, "match x:\n    case {'a': [1, *_], **rest}: pass\n    case C(a=-1j, b=[D() as d]) if d: pass\n"),
    (3, 11, "match x:\n    case (None | 'x' 'y' | a.b | E()) as e: pass\n    case [*_, {}]: pass\n"),
    (3, 11, "lambda *, a=1, **k: (yield)\nasync def g():\n    return [x async for x in y if await x]\n"),
    (3, 11, "with (open('a') as a, open('b') as (b, c)): pass\nx[1:2, ::3, ...] = y[()] = *z, = 1,\n"),
    (3, 11, "x: int = 3\na.b: str\nx: int\ndel (a), [b, c], d[0], e.f\n"),
    (3, 11, "@(lambda f: f)\nclass C(B, *bases, metaclass=M, **kw): __slots__ = ()\n"),
    (3, 11, "f'{x!r:>{w}.{p}}' rf'\\{y}' f'{{}}' f\"{a['b']}\" if b'a' rb'x' else 0x_f + 1_0j // 0o7\n"),
    (3, 11, "if x:\n\ty = 1\n\x0c\nelse:\n\ty = 2\n"),
    (3, 11, "x = 1; y = 2;\nfor x in *a, *b: break\nelse: pass\nprint(*a, c=1, *d, **b)\n"),
    (3, 11, "\U0001d518 = \xaa\xb5 = '\u017f'; nonlocal_ = __debug__\n"),
    (3, 11, "async def f(a, /, b, *, c):\n    [d := 1, (yield a)] if not a else not b\n"),
    (3, 12, "type X[T: (int, str), *Ts, **P] = dict[T, Callable[P, tuple[*Ts]]]\n"),
    (3, 12, "def f[T: SchemaRegistry](x: T) -> T: return x\nclass C[T, *Ts, **P](Base[T]): pass\n"),
    (3, 12, "f'{f'{f'{1}'}'}' f'{x[\"a\"]!r:{'>'}10}' f'''{\n# a comment\nx = }'''\n"),
    (3, 13, "type X[T = int, *Ts = *tuple[int, str], **P = [int]] = T\nclass C[T: int = bool]: pass\n"),
    (3, 14, "t'a' t'b{x!r:>{y}}'\n"),
    (3, 14, "try:\n    pass\nexcept ValueError, OSError:\n    pass\n"),
]  # fmt: skip


@pytest.mark.parametrize(("major", "minor", "source"), FEATURES)
def test_each_feature_of_the_language_is_read(major: int, minor: int, source: str) -> None:
    if sys.version_info < (major, minor):
        assert not compiles(source), "this is older than the table says"
        return
    check_planted(source)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks(end: str, mark: str) -> None:
    source = mark + PLANTED.replace("\n", end)
    assert found(source, "x.py") == {(7, 42, "SST001")}


@pytest.mark.parametrize("source", ["\0", "x = '\0'\n", "\x1a", "def f(:\n", "'" * 3, "\ud800", "if x:\n  y\n z\n"])
def test_what_does_not_compile_is_one_finding(source: str) -> None:
    assert {code for _, _, code in found(source + PLANTED, "x.py", "libcst")} == {"SST900"}


@pytest.mark.torture
def test_the_standard_library_is_read() -> None:
    paths = [path for path in sorted(LIBRARY.rglob("*.py")) if "site-packages" not in path.parts]
    read = 0
    for path in paths:
        try:
            source = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if gate.concerns(source) or not compiles(source + PLANTED):
            continue
        check_planted(source)
        read += 1
    assert read > 500


@pytest.mark.torture
@pytest.mark.parametrize("strategy", ["from_grammar", "from_node"])
def test_generated_source_is_read(strategy: str) -> None:
    import hypothesmith  # takes a second

    @given(source=getattr(hypothesmith, strategy)())
    @settings(max_examples=EXAMPLES_IN_TORTURE)
    def run(source: str) -> None:
        assume("__future__" not in source and compiles(source.rstrip("\n") + PLANTED))
        check_planted(source)

    run()


# Size -----------------------------------------------------------------------------------------------------

HEAD = """\
from google.protobuf.struct_pb2 import Struct
from sessionstream import SchemaRegistry
registry = SchemaRegistry()
def wrapper(name, message):
    registry.register_event(name, message)
"""
LONG = {
    "calls": "registry.register_event('{0}', message)\n",
    "functions": "def f{0}(r: SchemaRegistry):\n    r.register_event('{0}', message)\n",
    "bindings": "m{0} = message\nregistry.register_event('{0}', m{0})\n",
    "branches": "if flag:\n    x{0} = 1\nregistry.register_event('{0}', message)\n",
    "wrapped": "wrapper('{0}', message)\n",
}


@pytest.mark.parametrize("kind", LONG)
def test_the_work_grows_with_the_file_and_no_faster(kind: str) -> None:
    def work(count: int) -> int:
        source = HEAD + "".join(LONG[kind].format(number) for number in range(count))
        with Steps() as steps:
            assert found(source + "wrapper('A', Struct)\n", "x.py") == {(source.count("\n") + 1, 14, "SST001")}
        return steps.count

    assert work(200) < 5 * work(50)
