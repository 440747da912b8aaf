"""The sample app with a planted mistake, and a run of flake8 on it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

SAMPLE: Final = '''\
"""A small app. Its events carry whatever somebody puts into them."""

from google.protobuf import struct_pb2

from sessionstream import SchemaRegistry

registry = SchemaRegistry()
registry.register_event("ChatTokensDelta", struct_pb2.Struct)
'''

FIXED: Final = '''\
"""A small app. Its events carry a message of their own."""

from sessionstream import SchemaRegistry
from sessionstream.examples.chatdemo.v1 import chat_pb2

registry = SchemaRegistry()
registry.register_event("ChatTokensDelta", chat_pb2.TokensDeltaEvent)
'''

REGISTRATION: Final = "registry.register_event("
PAYLOAD: Final = "struct_pb2.Struct)"


@dataclass(frozen=True, slots=True)
class LintRun:
    """The result of flake8 for a file."""

    file: str
    status: int
    output: str


def missing_packages() -> list[str]:
    """Return which of the packages that linting needs are not installed."""
    return [name for name in ("flake8", "libcst") if find_spec(name) is None]


def registration_in(source: str) -> tuple[int, str]:
    """Return the line that registers the event, with its number."""
    return next((number, line) for number, line in enumerate(source.splitlines(), 1) if line.startswith(REGISTRATION))


def planted_place() -> tuple[int, int]:
    """Return line and column (from 1) of the payload expression that the linter has to find."""
    number, line = registration_in(SAMPLE)
    return number, line.index(PAYLOAD) + 1


async def lint(directory: Path, name: str, source: str) -> LintRun:
    """Write a source file and run flake8 with our plugin, and nothing else, over it.

    Raises:
        TimeoutError: flake8 does not end within a minute; it is killed.
    """
    return await asyncio.to_thread(_lint, directory, name, source)


def _lint(directory: Path, name: str, source: str) -> LintRun:
    (directory / name).write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "flake8", "--isolated", "--select", "SST", name]
    # In a thread: asyncio prints to stderr if its loop ends while it watches a process that has just ended.
    try:
        run = subprocess.run(  # noqa: S603 - our own command
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(str(error)) from error
    return LintRun(name, run.returncode, run.stdout.decode("utf-8", "replace").strip())
