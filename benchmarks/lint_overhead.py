"""The cost of the linter: flake8 with the plugin and without it, and the command by itself.

    python -m benchmarks.lint_overhead [PATH ...] [--registering N]

Without a path, it lints this repository. With ``--registering 20`` it lints a copy, in which every twentieth file has
registrations at its end. Every figure is the CPU time of a new process (with its children), the lowest of several
rounds. The rounds alternate, so that other work on the machine affects all of them equally.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

# flake8 has no switch for a single plugin: this one takes ours out of what it finds.
BARE = """
import sys
from flake8.plugins import finder
original = finder._find_importlib_plugins
finder._find_importlib_plugins = lambda: (p for p in original() if "sessionstream_lint" not in p.entry_point.value)
from flake8.main.cli import main
sys.exit(main(sys.argv[1:]))
"""
# The plugin's own CPU time, clocked inside the process: a difference of two runs would drown in noise.
WITH = """
import sys, time
before = time.process_time()
from sessionstream_lint.plugin import Plugin
own = time.process_time() - before
run = Plugin.run
def clocked(self):
    global own
    before = time.process_time()
    found = list(run(self))
    own += time.process_time() - before
    return found
Plugin.run = clocked
from flake8.main.cli import main
status = main(sys.argv[1:])
print(f"own {own:.4f} of {time.process_time():.4f}")
sys.exit(status)
"""


@dataclass
class Measurement:
    name: str
    command: list[str]
    cpu: float = float("inf")
    wall: float = float("inf")
    findings: int = 0
    own: str = ""

    def run(self) -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        done = subprocess.run(self.command, capture_output=True, text=True, check=False, cwd=ROOT)
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 1) or done.stderr:
            raise SystemExit(f"{self.name} failed with {done.returncode}:\n{done.stderr[-2000:]}")
        self.cpu = min(self.cpu, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        self.wall = min(self.wall, wall)
        last = done.stdout.rpartition("own ")[2].split()
        if len(last) == 3:
            self.own = f"{100 * float(last[0]) / float(last[2]):.3f} % of it ({float(last[0]):.3f} s)"
        self.findings = sum(": SST" in line for line in done.stdout.splitlines())


def measure(paths: list[str], rounds: int) -> list[Measurement]:
    flake8 = ["--isolated", "-j1", "--exit-zero", *paths]
    runs = [
        Measurement("flake8 without the plugin", [sys.executable, "-c", BARE, *flake8]),
        Measurement("flake8 with the plugin", [sys.executable, "-c", WITH, *flake8]),
        Measurement("sessionstream-lint", [sys.executable, "-m", "sessionstream_lint", *paths]),
    ]
    for _ in range(rounds):
        for run in runs:
            run.run()
    return runs


REGISTRATIONS = """
from google.protobuf.wrappers_pb2 import StringValue
from sessionstream import SchemaRegistry


def benchmark_schemas() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_command("Start", StringValue)
    for name in ("Started", "Delta", "Done"):
        schemas.register_event(name, StringValue)
    schemas.register_ui_event("Line", StringValue())
    schemas.register_timeline_entity("Message", message=StringValue)
    return schemas
"""


def registering(paths: list[str], every: int, target: Path) -> list[str]:
    """Copy the sources and add registrations to one file of every so many; files that do not compile are unchanged."""
    copies = []
    for number, path in enumerate(paths):
        copy = target / str(number) / Path(path).name
        shutil.copytree(path, copy, ignore=lambda _, names: [n for n in names if n == "__pycache__"])
        copies.append(str(copy))
    files = sorted(file for copy in copies for file in Path(copy).rglob("*.py"))
    for file in files[::every]:
        with file.open("ab") as stream:
            stream.write(REGISTRATIONS.encode())
    return copies


def size(paths: list[str]) -> tuple[int, float]:
    files = [
        file for path in paths for file in ([Path(path)] if Path(path).is_file() else sorted(Path(path).rglob("*.py")))
    ]
    return len(files), sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="What the linter costs.")
    parser.add_argument("paths", nargs="*", default=[str(ROOT / "sessionstream"), str(ROOT / "sessionstream_lint")])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--registering", type=int, default=0, metavar="N", help="let every N-th file register something"
    )
    args = parser.parse_args()
    paths = [str(Path(path).resolve()) for path in args.paths]
    with tempfile.TemporaryDirectory() as directory:
        if args.registering:
            paths = registering(paths, args.registering, Path(directory))
        report(paths, args.rounds, args.registering)


def report(paths: list[str], rounds: int, every: int) -> None:
    """Measure and print."""
    count, megabytes = size(paths)
    runs = measure(paths, rounds)
    which = f"one in {every} registers schemas" if every else "none registers"
    print(f"{count} files, {megabytes:.1f} MB, {which}; least of {rounds} rounds")
    print(f"{'':28}{'CPU s':>9}{'wall s':>9}{'ratio':>9}{'SST':>6}")
    for run in runs:
        print(f"{run.name:28}{run.cpu:9.2f}{run.wall:9.2f}{run.cpu / runs[0].cpu:9.4f}{run.findings:6}")
    print(f"the plugin's own CPU time: {runs[1].own}")


if __name__ == "__main__":
    main()
