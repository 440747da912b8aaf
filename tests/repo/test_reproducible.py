"""Two builds of the same sources give the same bytes, whatever the clones differ in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from .conftest import ROOT

MADE = ("*.pyc", "__pycache__", "node_modules", "dist", "build", "site", "htmlcov", "results")
"""What .gitignore names, beside what begins with a dot."""


def clone(directory: Path, *, mask: int, modified: int) -> Path:
    """Copy the repository, as a clone with another umask at another time would have it."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        return shutil.ignore_patterns(*MADE)(folder, names) | {
            name for name in names if name.startswith(".") and name != ".gitignore"
        }

    shutil.copytree(ROOT, directory, symlinks=True, ignore=ignored)
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~mask)
        os.utime(path, (modified, modified), follow_symlinks=False)
    return directory


FOR_PEOPLE = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs/pictures/chat.png")


def digests(source: Path, output: Path) -> dict[str, str]:
    """Build as ``make build`` does; return the digest of each file."""
    command = [sys.executable, "-m", "build", "--outdir", str(output), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return {each.name: sha256(each.read_bytes()).hexdigest() for each in output.iterdir()}


def test_two_clones_build_the_same_bytes(tmp_path: Path) -> None:
    first = clone(tmp_path / "clone", mask=0o022, modified=1_000_000_000)
    second = clone(tmp_path / "another" / "place", mask=0o077, modified=1_700_000_001)
    with ThreadPoolExecutor() as builds:
        one, other = builds.map(digests, (first, second), (tmp_path / "dist", tmp_path / "other"))
    assert sorted(Path(name).suffix for name in one) == [".gz", ".whl"]
    assert one == other
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert {f"{sdist.name.removesuffix('.tar.gz')}/{name}" for name in FOR_PEOPLE} <= set(archive.getnames())
