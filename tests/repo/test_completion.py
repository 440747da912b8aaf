"""Shells complete the three commands, with what shtab makes of their parsers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PARSERS = {
    "sessionstream": "sessionstream.admin.arguments.parser",
    "sessionstream-lint": "sessionstream_lint.command.cli.parser",
    "sessionstream-systemlab": "sessionstream.systemlab.cli.parser",
}


def script(shell: str, command: str) -> str:
    prefix = command.replace("-", "_")
    arguments = ["--shell", shell, "--prefix", prefix, PARSERS[command]]
    shtab = [sys.executable, "-m", "shtab", *arguments]
    return subprocess.run(shtab, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize(
    ("command", "typed", "offered"),
    [
        (
            "sessionstream",
            [""],
            {"inspect", "retry", "prune", "delete", "check", "backup", "restore", "copy"},
        ),
        ("sessionstream", ["inspect", "--h"], {"--held", "--help"}),
        ("sessionstream", ["check", ""], {"jobs.db"}),
        ("sessionstream-systemlab", ["serve", "--"], {"--addr", "--open", "--store", "--help"}),
        ("sessionstream-systemlab", ["help", "sessionstream-p"], {"sessionstream-production"}),
        ("sessionstream-lint", ["--form"], {"--format"}),
        ("sessionstream-lint", ["--format", ""], {"text", "json", "github", "sarif"}),
        ("sessionstream-lint", [""], {"jobs.db"}),
    ],
)
def test_bash_completes_it(tmp_path: Path, command: str, typed: list[str], offered: set[str]) -> None:
    (tmp_path / "jobs.db").touch()
    words = " ".join(f"'{word}'" for word in [command, *typed])
    function = f"_shtab_{command.replace('-', '_')}"
    ask = f'COMP_WORDS=({words}); COMP_CWORD={len(typed)}; {function}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    text = f"{script('bash', command)}\n{ask}"
    done = subprocess.run(["bash", "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert offered <= {word.rstrip("/") for word in done.stdout.split()}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_it(shell: str) -> None:
    for command in PARSERS:
        text = script(shell, command)
        assert command in text
        if shutil.which(shell) is not None:
            assert subprocess.run([shell, "-n", "-c", text], timeout=60, check=False).returncode == 0
