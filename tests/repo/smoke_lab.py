"""The lab of a new user: installs the wheel with its extra in an empty environment, serves it, uses it, and ends it.

``python -m tests.repo.smoke_lab WHEEL`` runs it and prints the result.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from .conftest import Environment

PATIENCE = 60
PAGES = ("healthz", "", "phases/1", "docs/", "static/sessionstream.js", "api/status")


def smoke(environment: Environment, cwd: Path) -> list[str]:
    """Start the installed lab, request its pages, run an action, end it; return the steps.

    Raises:
        AssertionError: a check failed.
    """
    command = [environment.command("sessionstream-systemlab"), "serve", "--addr", "127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"lab:   (http://127\.0\.0\.1:\d+/)\n", line)
        assert found, f"it said {line!r}, and {process.communicate(timeout=PATIENCE)[1]}"
        done = [f"served at {found[1]}"]
        for page in PAGES:
            with urllib.request.urlopen(found[1] + page, timeout=PATIENCE) as answer:
                done.append(f"GET /{page}: {answer.status}, {len(answer.read())} bytes")
        run = urllib.request.Request(
            f"{found[1]}api/phase1/run",
            json.dumps({"action": "submit", "prompt": "from the wheel"}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(run, timeout=PATIENCE) as answer:
            checks = json.load(answer)["checks"]
        assert {check["verdict"] for check in checks} == {"passed"}, checks
        done.append(f"POST /api/phase1/run: {len(checks)} checks passed")
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, ""), errors
    return [*done, "ended by SIGTERM, status 0"]


def main(wheel: Path) -> None:
    with TemporaryDirectory() as directory:
        environment = Environment(Path(directory) / "venv")
        environment.install(f"{wheel.resolve()}[lab]")
        printed = environment.run("sessionstream.systemlab", "help", "sessionstream-user-guide", status=0)
        assert "Sessionstream user guide" in printed, printed
        print(f"{wheel.name}[lab] in an empty environment:")
        print(*(f"  {line}" for line in smoke(environment, Path(directory))), sep="\n")


if __name__ == "__main__":
    main(max(map(Path, sys.argv[1:]), key=lambda path: path.stat().st_mtime))
