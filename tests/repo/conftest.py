"""The built wheel, once for all tests that install it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the working tree in an isolated environment."""
    output = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(output), str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
    )
    (built,) = output.glob("*.whl")
    return built


class Environment:
    """A virtual environment that knows nothing of this repository."""

    def __init__(self, directory: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
        self._bin = directory / ("Scripts" if sys.platform == "win32" else "bin")

    def command(self, name: str) -> str:
        """Return the path of an installed command."""
        return str(self._bin / name)

    def install(self, *requirements: str | Path) -> None:
        self.pip("install", "--quiet", *map(str, requirements))

    def pip(self, *arguments: str, status: int | None = 0) -> str:
        """Run the pip of this process on the environment, which has none; return both streams; insist on ``status``."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.command("python")]
        return self._ran([*command, *arguments], None, status)

    def run(self, module: str, *arguments: str, cwd: Path | None = None, status: int | None = None) -> str:
        """Run ``python -m module`` with warnings as errors; return both streams; insist on ``status``."""
        return self._ran([self.command("python"), "-W", "error", "-m", module, *arguments], cwd, status)

    def _ran(self, command: list[str], cwd: Path | None, status: int | None) -> str:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert status in (None, done.returncode), done.stdout
        return done.stdout

    def script(self, path: Path) -> subprocess.CompletedProcess[str]:
        """Run a Python file, warnings as errors."""
        return subprocess.run(
            [str(self._bin / "python"), "-W", "error", str(path)],
            cwd=path.parent,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> type[Environment]:
    """Makes environments: ``new_environment(directory)``."""
    return Environment
