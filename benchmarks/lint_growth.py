"""What the linter takes for files that grow: twice as much of the same costs about twice as much.

    python -m benchmarks.lint_growth [N ...]

Each row is one way in which a file grows, each column the CPU time of a check of N such lines, in seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from sessionstream_lint import engine

HEAD = """\
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from sessionstream import SchemaRegistry
class Catalog:
    def __init__(self): self.r = SchemaRegistry()
    def add(self, n, m): self.r.register_event(n, m)
schemas = Catalog()
r = SchemaRegistry()
def add(n, m): r.register_event(n, m)
TABLE = []
"""
SOURCES: dict[str, Callable[[int], str]] = {
    "a wrapper called add": lambda n: "".join(f"schemas.add('a{i}', StringValue)\n" for i in range(n)),
    "a function called add": lambda n: "".join(f"add('a{i}', StringValue)\n" for i in range(n)),
    "rebinding in one function": lambda n: "def f():\n" + "".join(
        f"    m = {('StringValue', 'Struct')[i % 2]}\n    r.register_event('a{i}', m)\n" for i in range(n)
    ),
    "rebinding to itself": lambda n: "def f(x):\n    x = StringValue\n" + "".join(
        f"    x = x or StringValue\n    r.register_event('a{i}', x)\n" for i in range(n)
    ),
    "rebinding the registry": lambda n: "def f(x):\n" + "".join(
        f"    x = SchemaRegistry()\n    x.register_event('a{i}', StringValue)\n" for i in range(n)
    ),
    "appending": lambda n: "".join(f"TABLE.append(('a{i}', StringValue))\n" for i in range(n))
    + "for n, m in TABLE: r.register_event(n, m)\n",
    "one name again and again": lambda n: "r.register_event('a', StringValue)\n" * n,
    "closures": lambda n: "def f():\n"
    + "".join(f"    m = StringValue\n    def g{i}(): r.register_event('a{i}', m)\n" for i in range(n)),
    "branches": lambda n: "".join(f"if x == {i}: p = StringValue\n" for i in range(n)) + "r.register_event('a', p)\n",
    "a long table": lambda n: "for n, m in [" + "".join(f"('a{i}', Struct),\n" for i in range(n))
    + "]: r.register_event(n, m)\n",
}  # fmt: skip


def seconds(source: str) -> float:
    """Return the CPU time of one check."""
    before = time.process_time()
    engine.check(source, "grown.py")
    return time.process_time() - before


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lint_growth", description="what large files cost")
    parser.add_argument("sizes", nargs="*", type=int, metavar="N", default=[300, 600, 1200, 2400])
    sizes: list[int] = parser.parse_args().sizes
    print(f"{'':28}" + "".join(f"{size:9,}" for size in sizes))
    for name, grown in SOURCES.items():
        taken = "".join(f"{seconds(HEAD + grown(size)):9.2f}" for size in sizes)
        print(f"{name:28}{taken}", flush=True)


if __name__ == "__main__":
    main()
