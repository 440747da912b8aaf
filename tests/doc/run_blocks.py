"""Execute the blocks of a page, in order: ``python run_blocks.py PAGE < blocks.json``, in an empty directory.

Standard input is a JSON list of the page's blocks ``[info, line, text]``. Prints a JSON list of what each block
printed, "" for those that are not run.

- ``python``: run in one namespace for the page. ``await`` may stand outside of functions, as in ``python -m
  asyncio``. Line numbers in tracebacks are those of the page. A block with a comment ``# SST001`` shows what the
  registry refuses: it has to raise StructPayloadError. Nothing else may raise.
- Any language, with a comment in the first line that is a path (``# app.py``, ``// tasks.proto``, ``<!-- page.html
  -->``): written there; with ``, continued`` behind it, to the end of what is there.
- ``bash run``: each line is run to its end and has to succeed. Of other ``bash`` blocks only calls of protoc are run.
- ``bash terminal``: each line is a program that goes on, in a terminal of its own, until the page ends. Then it is told
  to end, and has to do that without an error.
- ``py``, ``js`` and others: only shown.
- ``text output``: what the block before it prints, and what the programs in terminals print from then on. They are
  waited for. A web server is heard to say that it is ready; its log is not part of the output.

A page that writes of ports 8000 and 8001 gets others, so that pages can be run at the same time.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

from sessionstream import StructPayloadError

# The README shows a call without the import above it.
REFUSED_NEEDS = "from google.protobuf.struct_pb2 import Struct; "
PATIENCE = 30.0
SCRIPTS = sysconfig.get_path("scripts")
READY = "Uvicorn running on"


class Block(NamedTuple):
    info: str
    line: int
    text: str


class Terminal:
    """A program that runs in the background, and its output."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._serves = "uvicorn" in command or "serve" in command
        self._heard = ""
        self._taken = 0
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if self._serves:
            with self._changed:
                assert self._changed.wait_for(lambda: READY in self._heard or self._ended(), PATIENCE), self._heard
            assert READY in self._heard, f"{command}\n{self._heard}"

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._heard += line
                self._changed.notify_all()

    def printed(self, until: str) -> str:
        """Return the output since the last call, once it equals ``until`` or the time is over."""
        if self._serves:
            return ""
        with self._changed:
            self._changed.wait_for(lambda: len(self._heard) - self._taken >= len(until), PATIENCE if until else 0)
            new, self._taken = self._heard[self._taken :], len(self._heard)
        return new

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        faults = re.search("Traceback|ERROR", self._heard)
        interrupted = not self._serves and status in (1, 130, -signal.SIGINT) and "KeyboardInterrupt" in self._heard
        assert interrupted or (status in (0, -signal.SIGINT) and not faults), (
            f"{self._command}\n{status}\n{self._heard}"
        )


class Page:
    """The state while a page is executed: names, programs in terminals, a port."""

    def __init__(self, path: str, runner: asyncio.Runner) -> None:
        self._path = path
        self._runner = runner
        self._terminals: list[Terminal] = []
        self._module = ModuleType("page")
        sys.modules["page"] = self._module  # where dataclasses and pickle look up what a block defines
        self._ports = {shown: free_port() for shown in ("8000", "8001")}

    def do(self, block: Block, expected: str) -> str:
        text = re.sub(
            r"(?<=127\.0\.0\.1:)800[01]|(?<=--port )800[01]|(?<=port=)800[01]",
            lambda found: self._ports[found[0]],
            block.text,
        )
        block = block._replace(text=text)
        language, _, manner = block.info.partition(" ")
        printed = ""
        if path := named(text):
            write(path, text)
        elif language == "python":
            printed = self._python(block)
        elif language == "bash":
            printed = self._bash(block, manner)
        for terminal in self._terminals:
            printed += terminal.printed(expected[len(printed) :])
        return printed

    def _python(self, block: Block) -> str:
        refused = "# SST001" in block.text
        text = "\n" * (block.line - 1 - (1 if refused else 0)) + (REFUSED_NEEDS + "\n" if refused else "") + block.text
        code = compile(text, self._path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        printed = io.StringIO()
        with redirect_stdout(printed):
            try:
                if code.co_flags & inspect.CO_COROUTINE:
                    self._runner.run(FunctionType(code, self._module.__dict__)())
                else:
                    exec(code, self._module.__dict__)
            except StructPayloadError:
                if not refused:
                    raise
            else:
                if refused:
                    raise AssertionError(f"{self._path}:{block.line}: the registry does not refuse this")
        return printed.getvalue()

    def _bash(self, block: Block, manner: str) -> str:
        printed = ""
        for line in block.text.replace("\\\n", " ").splitlines():
            if manner == "terminal":
                self._terminals.append(Terminal(line))
            elif manner == "run" or line.startswith("protoc "):
                done = subprocess.run(
                    ["bash", "-c", line], capture_output=True, text=True, env=environment(), check=False
                )
                assert done.returncode == 0, f"{self._path}:{block.line}: {line}\n{done.stdout}{done.stderr}"
                printed += done.stdout
                printed += "\n" if done.stdout and not done.stdout.endswith("\n") else ""  # curl prints what it gets
        return printed

    def end(self) -> None:
        while self._terminals:
            self._terminals.pop().end()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def named(text: str) -> str:
    """Return the path in the first line of a block that is a file or continues one; otherwise empty."""
    first = text.partition("\n")[0]
    found = re.fullmatch(r"(?:#|//|<!--) ([\w./-]+\.\w+)(?:, continued)?(?: -->)?", first)
    return found[1] if found else ""


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    goes_on = ", continued" in text.partition("\n")[0]
    with Path(path).open("a" if goes_on else "w", encoding="utf-8") as file:
        file.write(text)


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": SCRIPTS + os.pathsep + os.environ.get("PATH", ""),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "COLUMNS": "120",
        "PYTEST_ADDOPTS": "-p few_steps -p no:faker",
        "PYTHONPATH": str(Path(__file__).parent / "plugins"),
    }


@contextmanager
def opened(path: str) -> Iterator[Page]:
    with asyncio.Runner() as runner:
        page = Page(path, runner)
        try:
            yield page
        finally:
            page.end()


def main(path: str) -> None:
    sys.path.insert(0, str(Path.cwd()))
    os.environ["PATH"] = environment()["PATH"]  # for blocks that run programs themselves
    found = [Block(*block) for block in json.load(sys.stdin)]
    shown = []
    with opened(path) as page:
        for block, following in zip(found, [*found[1:], Block("", 0, "")], strict=False):
            shown.append(page.do(block, following.text if following.info == "text output" else ""))
    json.dump(shown, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
