"""The number of lines of code of the library: without its lab, and without docstrings, comments and blank lines.

    python -m benchmarks.lines [REVISION]

A line counts if a token of code begins or continues on it. Generated files (``*_pb2.py``) count as well. With the name
of a commit, its lines are counted beside those of the working tree, and the packages whose number differs are listed.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = "sessionstream"
LAB = "sessionstream/systemlab/"
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def lines_of_code(source: bytes) -> int:
    """Return how many lines of a file hold code."""
    lines: set[int] = set()
    begins = True  # whether the next token is the first of a statement
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type in NO_CODE:
            begins = begins or token.type == tokenize.NEWLINE
            continue
        is_docstring = begins and token.type == tokenize.STRING
        begins = False
        if not is_docstring:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def of_packages(files: Iterable[tuple[str, bytes]]) -> Counter[str]:
    """Return the lines of code of each package, without the lab."""
    counted: Counter[str] = Counter()
    for name, source in files:
        if name.endswith(".py") and not name.startswith(LAB):
            counted[str(Path(name).parent)] += lines_of_code(source)
    return counted


def _tree() -> Iterator[tuple[str, bytes]]:
    for path in Path(PACKAGE).rglob("*.py"):
        yield path.as_posix(), path.read_bytes()


def _revision(name: str) -> Iterator[tuple[str, bytes]]:
    archive = subprocess.run(["git", "archive", name, PACKAGE], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files.getmembers():
            content = files.extractfile(member)
            if content is not None:
                yield member.name, content.read()


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lines", description="count lines of code")
    parser.add_argument("revision", nargs="?", metavar="REVISION", help="a commit to compare with")
    revision: str | None = parser.parse_args().revision
    now = of_packages(_tree())
    print(f"{now.total():,} lines of code in {PACKAGE}, without the lab")
    if revision is not None:
        before = of_packages(_revision(revision))
        print(f"{before.total():,} in {revision}")
        for package in sorted(now | before):
            if now[package] != before[package]:
                print(f"  {now[package] - before[package]:+6,}  {package}")


if __name__ == "__main__":
    main()
