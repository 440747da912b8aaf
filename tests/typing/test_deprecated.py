"""mypy and pyright report a Struct payload, and nothing else: the linter's second net."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).with_name("struct_payloads.py")
ROOT = SAMPLE.parents[2]


def expected() -> list[int]:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith("  # deprecated")]


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout, done.stderr
    return done.stdout


def test_mypy_reports_struct_and_nothing_else() -> None:
    out = run("mypy", "--enable-error-code=deprecated", "--output=json", str(SAMPLE))
    found = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert [(one["line"], one["code"]) for one in found] == [(line, "deprecated") for line in expected()]
    assert all("SST001" in one["message"] for one in found)


def test_pyright_reports_struct_and_nothing_else(tmp_path: Path) -> None:
    settings = {
        "reportDeprecated": "error",
        "extraPaths": [str(ROOT)],
        "pythonVersion": "3.11",
    }
    shutil.copy(SAMPLE, tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    out = run("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path))
    found = json.loads(out)["generalDiagnostics"]
    reported = [(one["range"]["start"]["line"] + 1, one.get("rule")) for one in found]
    assert reported == [(line, "reportDeprecated") for line in expected()]
    assert all("SST001" in one["message"] for one in found)
