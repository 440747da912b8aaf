"""Running the command within the test's process, and seeing what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sessionstream.admin.cli import main

from .app import write


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert (self.status, self.err) == (0, "")
        return json.loads(self.out)

    @property
    def lines(self) -> list[list[str]]:
        """The cells of the lines; cells are separated by two spaces at least."""
        assert (self.status, self.err) == (0, "")
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in self.out.splitlines()]


def web(store: str, port: int) -> None:
    """Stand for the lab, which is above this package; tests/systemlab has the real one."""
    print(f"{store} at {port}")


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("COLUMNS", raising=False)

    def ran(*argv: object) -> Ran:
        status = main([str(each) for each in argv], web=web)
        shown = capsys.readouterr()
        assert "--traceback" in argv or "Traceback" not in shown.err
        return Ran(status, shown.out, shown.err)

    return ran


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with session ``s`` (three events), and session ``t``, held by its second of three."""
    path = tmp_path / "app.db"
    write(path, "a", "b", "c")
    write(path, "x", "bad", "y", session_id="t", broken=["bad"])
    return path
