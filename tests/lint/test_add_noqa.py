"""``--add-noqa`` writes comments that silence what was found, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sessionstream_lint.command.cli import main

HEAD = "from google.protobuf.struct_pb2 import Struct\nfrom sessionstream import SchemaRegistry\nr = SchemaRegistry()\n"
CASES = {
    "one line": (
        "r.register_event('A', Struct)\n",
        "r.register_event('A', Struct)  # noqa: SST001\n",
    ),
    "the payload's line": (
        "r.register_event(\n    'A',\n    Struct,\n)\n",
        "r.register_event(\n    'A',\n    Struct,  # noqa: SST001\n)\n",
    ),
    "a comment": (
        "r.register_event('A', Struct)  # why\n",
        "r.register_event('A', Struct)  # why  # noqa: SST001\n",
    ),
    "other codes": (
        "r.register_event('A', Struct)  # noqa: E501\n",
        "r.register_event('A', Struct)  # noqa: E501,SST001\n",
    ),
    "other codes and words": (
        "r.register_event('A', Struct)  # noqa: E501, F401 because\n",
        "r.register_event('A', Struct)  # noqa: E501, F401,SST001 because\n",
    ),
    "a continued line": (
        "r.register_event('A', Struct, \\\n  )\n",
        "r.register_event('A', Struct, \\\n  )  # noqa: SST001\n",
    ),
    "a long string": (
        "r.register_event('''a\n''', Struct)\n",
        "r.register_event('''a\n''', Struct)  # noqa: SST001\n",
    ),
    "a row": (
        "for n, m in [\n    ('a', Struct),\n    ('b', Struct),\n]:\n    r.register_event(n, m)\n",
        "for n, m in [\n    ('a', Struct),  # noqa: SST001\n    ('b', Struct),  # noqa: SST001\n]:\n"
        "    r.register_event(n, m)\n",
    ),
    "two codes": (
        "r.register_event('', Struct)\n",
        "r.register_event('', Struct)  # noqa: SST001,SST004\n",
    ),
    "line ends and no last one": (
        "r.register_event('A', Struct)\r\nx = 1\r\nr.register_event('B', Struct)",
        "r.register_event('A', Struct)  # noqa: SST001\r\nx = 1\r\nr.register_event('B', Struct)  # noqa: SST001",
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_comments_are_added_and_nothing_else(before: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes((HEAD + before).encode())
    assert main([str(path), "--add-noqa"]) == 0
    assert path.read_bytes() == (HEAD + after).encode()
    assert main([str(path)]) == 0


def test_flake8_honours_them(tmp_path: Path, python: str) -> None:
    for number, (_, after) in enumerate(CASES.values()):
        (tmp_path / f"x{number}.py").write_bytes((HEAD + after).encode())
    command = [python, "-m", "flake8", "--isolated", "--select=SST001,SST004", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.py"
    path.write_text(HEAD + "r.register_event('A', Struct)\n")
    assert main([str(tmp_path), "--add-noqa", "--reason", "legacy, see #7"]) == 0
    assert path.read_text().endswith("Struct)  # noqa: SST001 - legacy, see #7\n")
    assert capsys.readouterr().out == f"{path}: 1 comment\n"
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--add-noqa", "--reason", "two\nlines"]) == 2


@pytest.mark.parametrize("options", [["--reason", "x"], ["-", "--add-noqa"]])
def test_where_it_makes_no_sense_it_is_refused(tmp_path: Path, options: list[str]) -> None:
    assert main([*options]) == 2


def test_the_encoding_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(b"# coding: latin-1\n" + HEAD.encode() + b"r.register_event('\xe9', Struct)\n")
    assert main([str(path), "--add-noqa"]) == 0
    assert path.read_bytes().endswith(b"r.register_event('\xe9', Struct)  # noqa: SST001\n")
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode() + b"r.register_event('A', Struct)\n")
    assert main([str(path), "--add-noqa"]) == 0
    assert path.read_bytes().startswith(b"\xef\xbb\xbffrom")


def test_a_file_that_does_not_parse_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(HEAD + "r.register_event('A', (\n")
    before = path.read_text()
    assert main([str(path), "--add-noqa"]) == 2
    assert path.read_text() == before
