"""Run every benchmark that needs nothing from outside, and print the figures as JSON at the end.

    python -m benchmarks > figures.json

The tables go to standard error, one line a claim; each figure that is a claim is a ratio within this run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import platform
import sys

from benchmarks import publish_growth, publish_memory

CLAIMS = {"publish_memory": publish_memory.main, "publish_growth": publish_growth.main}


def main() -> None:
    """Run, print the lines, then the JSON."""
    figures: dict[str, object] = {"python": platform.python_version(), "machine": platform.machine()}
    with contextlib.redirect_stdout(sys.stderr):
        for name, measure in CLAIMS.items():
            figures[name] = asyncio.run(measure())
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
