"""Nothing is found in what others wrote, and all is found that is planted there. Downloads them: a long run only."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sessionstream_lint.reading import gate

from .test_properties import PLANTED, compiles, found

PACKAGES = {"django": 800, "sqlalchemy": 200, "pandas": 1_000}
"""And at least how many files each has."""

pytestmark = pytest.mark.torture


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The newest release of a package, unpacked."""
    name: str = request.param
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", "--dest", str(tmp_path), name], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"{name} cannot be downloaded: {done.stderr.strip().splitlines()[-1]}")
    [wheel] = tmp_path.glob("*.whl")
    source = tmp_path / "source"
    zipfile.ZipFile(wheel).extractall(source)
    assert sum(1 for _ in source.rglob("*.py")) >= PACKAGES[name]
    return source


def test_nothing_is_found_and_nothing_fails(package: Path) -> None:
    for command in (["sessionstream_lint", "--select", "SST"], ["flake8", "--isolated", "--select", "SST", "-j2"]):
        done = subprocess.run(
            [sys.executable, "-m", *command, str(package)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_planted_is_found(package: Path) -> None:
    read = 0
    for path in sorted(package.rglob("*.py")):
        source = path.read_text(encoding="utf-8").rstrip("\n") + PLANTED
        if gate.concerns(source.removesuffix(PLANTED)) or not compiles(source):
            continue
        line = source.count("\n")
        assert found(source, "x.py") == {(line, 42, "SST001")}, path
        read += 1
    assert read > 150
