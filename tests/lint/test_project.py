"""Names that lead into other files of the project."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from sessionstream_lint import engine
from sessionstream_lint.options import Options

FILES = {
    "app/__init__.py": """
        from .registry import registry as shared
        from .payloads import *
    """,
    "app/registry.py": """
        from sessionstream import SchemaRegistry
        registry = SchemaRegistry()
    """,
    "app/payloads.py": """
        from google.protobuf.struct_pb2 import Struct as Blob
        PAYLOADS = {"A": Blob}
        class Own: ...
    """,
    "app/cycle.py": """
        from .cycle2 import registry
        from .registry import registry as real
        registry = registry or real
    """,
    "app/cycle2.py": "from .cycle import registry",
    "app/broken.py": "def registry(:",
    "app/boom.py": "raise SystemExit('this file must never be run')",
    "app/base.py": """
        from sessionstream import SchemaRegistry
        class Base:
            def __init__(self, registry: SchemaRegistry):
                self.registry = registry
    """,
    "app/sub/__init__.py": "",
}
USES = [
    ("app/x.py", "from app.registry import registry", "from app.payloads import Blob", "registry.{}Blob)", 1),
    ("app/x.py", "from .registry import registry", "from .payloads import Blob", "registry.{}Blob)", 1),
    ("app/x.py", "from . import shared as registry", "from . import Blob", "registry.{}Blob)", 1),
    ("app/x.py", "import app.registry", "import app.payloads as p", "app.registry.registry.{}p.Blob)", 1),
    ("app/sub/x.py", "from ..registry import registry", "from .. import payloads", "registry.{}payloads.Blob)", 1),
    ("app/x.py", "from .registry import registry", "from .payloads import PAYLOADS as P", "registry.{}P['A'])", 1),
    ("app/x.py", "from .base import Base", "from .payloads import Blob", "Base(None).registry.{}Blob)", 1),
    ("app/x.py", "from .cycle import registry", "from .payloads import Blob", "registry.{}Blob)", 1),
    ("app/x.py", "from .registry import registry", "from .payloads import Own", "registry.{}Own)", 0),
    ("app/x.py", "from .broken import registry", "from .payloads import Blob", "registry.{}Blob)", 0),
    ("app/x.py", "from .boom import registry", "from .payloads import Blob", "registry.{}Blob)", 0),
    ("app/x.py", "from .missing import registry", "from .payloads import Blob", "registry.{}Blob)", 0),
    ("app/x.py", "from .....too.far import registry", "from .payloads import Blob", "registry.{}Blob)", 0),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path


@pytest.mark.parametrize(("name", "first", "second", "call", "expected"), USES)
def test_imports_are_followed(project: Path, name: str, first: str, second: str, call: str, expected: int) -> None:
    path = project / name
    source = f"{first}\n{second}\n" + call.format("register_event('A', ") + "\n"
    path.write_text(source)
    found = engine.check(source, str(path), options=Options(select=("SST001",)))
    assert [one.code for one in found] == ["SST001"] * expected
    assert "app" not in sys.modules


def test_source_roots_are_followed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere") / "script.py"
    source = "from app.registry import registry\nfrom app.payloads import Blob\nregistry.register_event('A', Blob)\n"
    other.write_text(source)
    assert engine.check(source, str(other)) == []
    assert [
        one.code for one in engine.check(source, str(other), options=Options(select=("SST",), src_roots=(project,)))
    ] == ["SST001"]


def test_the_directory_it_is_started_in_does_not_matter(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = project / "app" / "x.py"
    source = "from .registry import registry\nfrom .payloads import Blob\nregistry.register_event('A', Blob)\n"
    path.write_text(source)
    monkeypatch.chdir(project / "app")
    here = engine.check(source, "x.py")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert here == engine.check(source, str(path))
    assert len(here) == 1
