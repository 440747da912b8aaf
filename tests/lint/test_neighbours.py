"""Which files are looked into because a file imports from them."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

from sessionstream_lint import engine
from sessionstream_lint.program.resolve import MAX_BYTES, Project
from sessionstream_lint.registering import neighbours

REGISTRY = "from sessionstream import SchemaRegistry\nregistry = SchemaRegistry()\n"
ADD = REGISTRY + "def add(name, message):\n    registry.register_event(name, message)\n"
CALL = "from google.protobuf.struct_pb2 import Struct\n{}\nadd('A', Struct)\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    write(root / "__init__.py", "")
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def found(app: Path, source: str) -> list[str]:
    path = app / "x.py"
    path.write_text(source)
    return [one.code for one in engine.check(source, str(path))]


def names(app: Path, source: str) -> list[str]:
    write(app / "x.py", source)
    project, file = Project.around(str(app / "x.py"))
    return [module.name for module in neighbours.find(project, file, source, ast.parse(source))]


@pytest.mark.parametrize(
    "way",
    [
        "from app.wrappers import add",
        "from .wrappers import *",
        "from app import wrappers\nadd = wrappers.add",
        "import app.wrappers\nadd = app.wrappers.add",
        "if True:\n    try:\n        from .wrappers import add\n    except ImportError:\n        pass",
        "def add(name, message):\n    from .wrappers import add\n    add(name, message)",
    ],
)
def test_however_it_is_imported(app: Path, way: str) -> None:
    write(app / "wrappers.py", ADD)
    assert found(app, CALL.format(way)) == ["SST001"]
    assert found(app, CALL.format(way).replace("('A', Struct)", "('A', Struct.Delta)")) == []


def test_only_files_that_register_and_those_on_the_way_are_taken_in(app: Path) -> None:
    write(app / "wrappers.py", ADD)
    write(app / "other.py", "import json\n")
    write(app / "sub" / "__init__.py", "from ..wrappers import add as put\nfrom ..other import json\n")
    assert names(app, "from .sub import put\nfrom .other import json\nimport json\n") == ["app.wrappers", "app.sub"]
    assert names(app, "from .other import json\nfrom . import missing\n") == []


def test_files_that_import_each_other(app: Path) -> None:
    write(app / "one.py", "import sessionstream\nfrom .two import add\n")
    write(app / "two.py", "import app.x\nfrom .one import sessionstream\n" + ADD)
    assert found(app, CALL.format("from .one import add")) == ["SST001"]


@pytest.mark.parametrize(
    "text", ["def add(:\n", "x = '\0'\n", ADD + "#" * MAX_BYTES], ids=["no Python", "no text", "too large"]
)
def test_a_file_that_cannot_be_read_has_nothing_to_offer(app: Path, text: str) -> None:
    write(app / "wrappers.py", "# register_event\n" + text)
    assert found(app, CALL.format("from .wrappers import add")) == []


def test_a_file_that_registers_nothing_and_does_not_compile_is_for_others_to_report(app: Path) -> None:
    write(app / "wrappers.py", ADD)
    assert found(app, "from .wrappers import add_pb2\nadd(:\n") == []
    assert found(app, "from .wrappers import add\nadd.register_event(:\n") == ["SST900"]


def test_as_many_files_are_looked_at_as_are_bearable(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write(app / f"w{number}.py", f"import sessionstream\nfrom .w{number + 1} import add\n")
    write(app / "w5.py", ADD)
    source = CALL.format("from .w0 import add")
    assert found(app, source) == ["SST001"]
    monkeypatch.setattr(neighbours, "MAX_FILES", 3)
    assert names(app, source) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from .wrappers import add", ["app.wrappers"]),
        ("from .wrappers import twice", ["app.wrappers"]),
        ("from .wrappers import Adds", ["app.wrappers"]),
        ("from .wrappers import late", ["app.wrappers"]),
        ("from .wrappers import *", ["app.wrappers"]),
        ("from . import wrappers\nwrappers.twice('A', 1)", ["app.wrappers"]),
        ("from .wrappers import registry, other", []),
        ("from . import wrappers\nwrappers.other()", []),
        ("def add(): ...\nfrom . import wrappers\nadd()", []),
    ],
)
def test_what_has_nothing_to_do_with_registering_is_not_followed(app: Path, source: str, expected: list[str]) -> None:
    text = """
        def twice(name, message): add(name, message); add(name, message)
        class Adds:
            def __call__(self, *args): return twice(*args)
        if registry:
            late = Adds()
        def other(): return registry
    """
    write(app / "wrappers.py", ADD + textwrap.dedent(text))
    assert names(app, source) == expected
