"""The cost of delivering a UI event with different server cores: CPU time of the process for each frame.

    python -m benchmarks.server_cores [CORE ...]

As deliver_frames.py, for every installed core of cores.py (``pip install granian picows uvloop`` adds some), with
asyncio's loop and with uvloop, and with one event or ten events at once. Ratios are to a bare ``broadcast()`` under
asyncio with the same number of events at once.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import ExitStack

from benchmarks.cores import ASGI, BARE
from benchmarks.deliver_frames import Served, served
from benchmarks.figures import Figure, report
from benchmarks.frame_clients import allow_many

CONNECTIONS = 100
BURSTS = (1, 10)
ROUNDS = 5
PACKAGES = {"granian": "granian", "picows": "picows", "hypercorn": "hypercorn"}


def _installed(package: str) -> bool:
    if importlib.util.find_spec(package) is None:
        print(f"left out, because it is not installed: {package}", file=sys.stderr)
        return False
    return True


def variants() -> list[str]:
    """Return the variants that can run here; the others are compared with the first."""
    cores = [core for core in (*BARE, *ASGI) if core not in PACKAGES or _installed(PACKAGES[core])]
    loops = ("", "+uvloop") if _installed("uvloop") else ("",)
    return [core + loop for core in cores for loop in loops]


def measure(names: list[str]) -> list[Figure]:
    """Return microseconds per frame."""
    allow_many()
    with ExitStack() as stack:
        servers: dict[str, Served] = {name: stack.enter_context(served(name)) for name in names}
        figures = []
        for burst in BURSTS:
            lowest = dict.fromkeys(names, float("inf"))
            for _ in range(ROUNDS):
                for name, server in servers.items():
                    lowest[name] = min(lowest[name], server.cpu_per_frame(CONNECTIONS, burst))
            figures += [
                Figure(f"{name}, {burst} at once", value, "bare broadcast()", lowest["bare"], "µs")
                for name, value in lowest.items()
            ]
    return figures


if __name__ == "__main__":
    report(measure(["bare", *sys.argv[1:]] if sys.argv[1:] else variants()))
