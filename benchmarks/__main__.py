"""Run every benchmark that needs no further packages, print one table, and write the figures as JSON.

    python -m benchmarks [--json FILE]

Each figure is a ratio within this run, of the best of several rounds in which both sides alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import google.protobuf

from benchmarks import (
    cached_memory,
    calls,
    deliver_frames,
    follow,
    otel,
    publish_growth,
    publish_memory,
    publish_postgres,
    publish_sqlite,
    snapshot_stall,
    snapshots,
    stored_versions,
    stuck_client,
    subscribe,
)
from benchmarks.figures import Figure, table

CLAIMS: tuple[Callable[[], Awaitable[list[Figure]]], ...] = (
    publish_memory.main,
    calls.main,
    publish_sqlite.main,
    publish_growth.main,
    snapshots.main,
    snapshot_stall.main,
    cached_memory.main,
    deliver_frames.main,
    stuck_client.main,
    subscribe.main,
    follow.main,
    publish_postgres.main,
    otel.main,
)

RESULTS = Path(__file__).parent / "results" / "latest.json"


def circumstances() -> dict[str, object]:
    """Return the conditions of the run: machine, system and versions."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "protobuf": google.protobuf.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def main() -> None:
    """Run the benchmarks one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="run the benchmarks")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="default: %(default)s")
    results: Path = parser.parse_args().json
    figures = []
    for measure in CLAIMS:
        print(f"{measure.__module__} ...", file=sys.stderr)
        figures += asyncio.run(_run(measure))
    print(table(figures))
    print("stored_versions ...", file=sys.stderr)
    with contextlib.redirect_stdout(sys.stderr):
        versions = asyncio.run(stored_versions.main())
    results.parent.mkdir(parents=True, exist_ok=True)
    written = {**circumstances(), "figures": [each.as_json() for each in figures], "stored_versions": versions}
    results.write_text(json.dumps(written, indent=2) + "\n")
    print(f"\n{results}", file=sys.stderr)


async def _run(measure: Callable[[], Awaitable[list[Figure]]]) -> list[Figure]:
    return await measure()


if __name__ == "__main__":
    main()
