"""The benchmarks that measure no time give the same answer everywhere, and so can be tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_counts_the_calls_of_an_event_and_names_the_files_that_it_passes_on_either_store() -> None:
    command = [sys.executable, "-m", "benchmarks.calls", "--files", "--functions"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    row = re.search(
        r"^\| calls to publish, memory store \| ([\d.]+) calls \|.*?\| ([\d.]+) calls \|", printed, re.MULTILINE
    )
    assert row is not None, printed
    assert float(row[1]) > float(row[2]) > 0

    sections = re.findall(r"^(\d+) files until the frame is sent, (.+)\n((?:  .+\n)+)", printed, re.MULTILINE)
    files = {store: listed.split() for _, store, listed in sections}
    assert {store: len(listed) for store, listed in files.items()} == {store: int(n) for n, store, _ in sections}
    for store, adapter in (("memory store", "hydration/memory"), ("SQLite", "hydration/sqlite/")):
        for place in ("hub/", "transport/ws/", "types.py", adapter):
            assert any(name.startswith(place) for name in files[store]), (store, place)
    assert "hydration/memory.py" not in files["SQLite"]

    assert re.search(r"^\| [\d.]+ \| [\d.]+ \| [\d.]+ \| sessionstream/.*checked_copy \|", printed, re.MULTILINE)
