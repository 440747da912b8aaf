"""The same findings on every supported Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import Example, examples

VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def interpreter(version: str) -> str:
    """Return a Python of that version, from the path or from pyenv."""
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [*([found] if found else []), *sorted(str(one) for one in pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in candidates:
        command = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return candidate
    pytest.skip(f"there is no Python {version} here")


def readable(version: str) -> list[Example]:
    return examples(tuple(map(int, version.split("."))))


def install(version: str, root: Path, tmp_path: Path) -> str:
    """Make an environment of another Python with the ``lint`` extra, from the working tree."""
    base = interpreter(version)
    subprocess.run([base, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{root}[lint]"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot be installed on Python {version}: {done.stderr.strip().splitlines()[-1]}")
    return python


@pytest.mark.torture
@pytest.mark.parametrize("version", VERSIONS)
def test_flake8_and_the_command_find_the_same(version: str, root: Path, tmp_path: Path) -> None:
    installed = install(version, root, tmp_path)
    all_examples = readable(version)
    for code in sorted({example.code for example in all_examples}):
        mine = [example for example in all_examples if example.code == code]
        paths = [str(example.path) for example in mine]
        expected = {(example.path.name, *place) for example in mine for place in example.expected}
        for command in (
            ["-m", "flake8", "--isolated", "-j1", f"--select={code}"],
            ["-m", "sessionstream_lint", f"--select={code}"],
        ):
            done = subprocess.run(
                [installed, *command, *paths], capture_output=True, text=True, check=False, cwd=tmp_path
            )
            assert done.stderr == ""
            lines = re.findall(r"^(.*?):(\d+):(\d+): (SST\d+) ", done.stdout, re.MULTILINE)
            assert {(Path(path).name, int(line), int(column), found) for path, line, column, found in lines} == expected
