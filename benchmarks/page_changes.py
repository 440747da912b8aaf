"""What one change of 5,000 entities costs a page, 200 times a second: a store, beside a copy of everything.

    python -m benchmarks.page_changes

It packs the npm package, installs it with React in a project, which needs npm, and measures in Chromium. The page shows
a row for each entity. A change comes as a UI event; its time ends when React has rendered it. Before: the application
copies all entities for each change. After: the store keeps every entity that has not changed. Both take turns on new
lists.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.browser.chromium import CHROMIUM, chromium
from tests.node import nodes
from tests.npm.project import install
from tests.transport.running import served

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

ENTITIES = 5_000
PER_SECOND = 200
SECONDS = 3
ROUNDS = 3


class Isolated(StaticFiles):
    """Files of a page whose clock is exact to 5 µs, because nothing of other origins is in it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Add the headers that isolate the page."""
        response = await super().get_response(path, scope)
        response.headers["cross-origin-opener-policy"] = "same-origin"
        response.headers["cross-origin-embedder-policy"] = "require-corp"
        return response


async def main() -> None:
    """Print the medians of the best round of each."""
    if CHROMIUM is None or not nodes():
        sys.exit("this needs chromium and Node")
    with tempfile.TemporaryDirectory() as folder:
        dist = install(Path(folder) / "project", list(nodes().values())[-1]).dist
        app = Starlette(routes=[Mount("/", Isolated(directory=dist))])
        async with served(app) as address, chromium() as browser:
            rounds: dict[str, list[dict[str, list[float]]]] = {"false": [], "true": []}
            for _ in range(ROUNDS):
                for shares, found in rounds.items():
                    page = await browser.new_page()
                    await page.goto(f"{address.replace('ws:', 'http:')}/many.html")
                    await page.wait_for_function("'measure' in globalThis")
                    call = f"measure({ENTITIES}, {PER_SECOND}, {SECONDS}, {shares})"
                    found.append(await page.evaluate(call))
                    await page.close()
    for shares, words in (("false", "before, a copy for each change"), ("true", "after, the store")):
        best = min(rounds[shares], key=lambda each: statistics.median(each["times"]))
        median, own = statistics.median(best["times"]), statistics.median(best["own"])
        print(
            f"{words}: median {median:.2f} ms, of which {own:.3f} ms without React; {best['rendered']:,} rows rendered"
        )


if __name__ == "__main__":
    asyncio.run(main())
