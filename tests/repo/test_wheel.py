"""What users install: the wheel alone, on the lowest protobuf, and beside somebody else's flake8."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

from sessionstream.systemlab.phases import PHASES

from ..doc.pages import HELP, blocks, links
from ..doc.run_blocks import named, write
from .conftest import ROOT, Environment

FLOOR = "protobuf==5.29.1"
CLIENT = "sessionstream/transport/ws/static"
TUTORIAL = HELP / "tutorials" / "sessionstream-getting-started.md"


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel and the lowest protobuf; then flake8, without libcst."""
    environment = Environment(tmp_path_factory.mktemp("bare") / "venv")
    environment.install(wheel, FLOOR)
    return environment


def test_the_wheel_has_what_it_promises(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        client = {name: archive.read(name) for name in names if name.startswith(f"{CLIENT}/")}
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {"sessionstream/py.typed", "sessionstream_lint/py.typed"} <= names
    assert "sessionstream/v1/transport_pb2.pyi" in names
    assert {f"sessionstream/transport/ws/conformance/{name}" for name in ("README.md", "client.json")} <= names
    npm = ROOT / "js"
    shared = {"package.json", *json.loads((npm / "package.json").read_text("utf-8"))["files"]}
    assert client == {f"{CLIENT}/{name}": (npm / name).read_bytes() for name in shared}
    page = "sessionstream/examples/chatdemo/serve/static"
    assert {f"{page}/{name}" for name in ("index.html", "chat.css", "chat.js", "icon.svg")} <= names
    assert "sessionstream/doc/tutorials/sessionstream-getting-started.md" in names
    lab = {path for path in (ROOT / "sessionstream" / "systemlab").rglob("*") if path.is_file()}
    assert {path.relative_to(ROOT).as_posix() for path in lab if path.suffix != ".pyc"} <= names
    assert {f"sessionstream/systemlab/chapters/phase{phase}.md" for phase in range(len(PHASES))} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sessionstream", "sessionstream_lint"}
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert required == ["Requires-Dist: protobuf<8,>=5.29.1"]
    extras = set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.MULTILINE))
    assert extras == {"lint", "testing", "ws", "http", "lab", "postgres", "redis", "otel"}


def test_its_description_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    headers, _, description = metadata.partition("\n\n")
    assert "Description-Content-Type: text/markdown" in headers.splitlines()
    assert description.startswith("# sessionstream\n")
    assert "## The linter" in description
    assert [target for target in links(description) if not target.startswith("https://")] == []
    assert "![" not in description


def test_the_wheel_alone_runs_the_first_steps_of_the_tutorial_on_the_lowest_protobuf(
    bare: Environment, tmp_path: Path
) -> None:
    freeze = bare.pip("list", "--format", "freeze")
    installed = {line.split("==")[0] for line in freeze.split() if "==" in line} - {"pip", "setuptools"}
    assert installed == {"protobuf", "sessionstream"}
    assert FLOOR in freeze
    steps = list(blocks(TUTORIAL.read_text("utf-8")))
    for block in steps:
        if named(block.text) == "conversation.py":
            write(str(tmp_path / "conversation.py"), block.text)
    number = next(number for number, block in enumerate(steps) if block.info == "text output")
    app = tmp_path / "app.py"
    app.write_text(steps[number - 1].text, "utf-8")
    done = bare.script(app)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == steps[number].text


def test_the_chat_runs_from_the_wheel_alone(bare: Environment, tmp_path: Path) -> None:
    store = tmp_path / "chat.db"
    printed = bare.run("sessionstream.examples.chatdemo", "chat", "--store", str(store), "Explain ordinals", status=0)
    assert "Answer: Explain ordinals" in printed


def test_the_page_without_its_extra_says_what_to_install(bare: Environment) -> None:
    printed = bare.run("sessionstream.examples.chatdemo", "serve", status=2)
    assert "starlette and uvicorn and websockets are not installed" in printed
    assert "pip install 'sessionstream[lab]'" in printed


def test_the_command_without_its_extra_says_what_to_install(bare: Environment, tmp_path: Path) -> None:
    printed = bare.run("sessionstream_lint", str(tmp_path), status=2)
    assert "pip install 'sessionstream[lint]'" in printed


def test_the_lab_without_its_extra_says_what_to_install(bare: Environment) -> None:
    assert bare.run("sessionstream.systemlab", "--version", status=0).startswith("sessionstream-systemlab ")
    for arguments in (["serve"], ["help"]):
        printed = bare.run("sessionstream.systemlab", *arguments, status=2)
        assert printed.endswith("not installed:\n  pip install 'sessionstream[lab]'\n")
        assert "Traceback" not in printed


def test_flake8_without_libcst_goes_on_working(bare: Environment, tmp_path: Path) -> None:
    bare.install("flake8")
    (tmp_path / "unrelated.py").write_text("import os\n", "utf-8")
    (tmp_path / "registers.py").write_text(
        "from google.protobuf.struct_pb2 import Struct\n"
        "from sessionstream import SchemaRegistry\n"
        "SchemaRegistry().register_event('Moved', Struct)\n",
        "utf-8",
    )
    printed = bare.run("flake8", "--isolated", "--select", "F,SST", ".", cwd=tmp_path)
    assert "Traceback" not in printed
    unrelated, *about = printed.splitlines()
    assert unrelated.endswith("F401 'os' imported but unused") or "F401" in printed
    assert any("registers.py" in line and "SST" in line for line in [unrelated, *about])
    assert "pip install 'sessionstream[lint]'" in printed


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        ("from sessionstream import PostgresStore", "postgres"),
        ("from sessionstream.redis_hints import RedisHints", "redis"),
    ],
)
def test_what_needs_an_extra_says_what_to_install(bare: Environment, tmp_path: Path, line: str, extra: str) -> None:
    app = tmp_path / "app.py"
    app.write_text(f"{line}\n", "utf-8")
    done = bare.script(app)
    assert done.returncode == 1
    assert f"pip install 'sessionstream[{extra}]'" in done.stderr
