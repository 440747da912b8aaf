"""Run the python blocks of one page, in order, in one namespace: ``python run_blocks.py PAGE < blocks.json``.

Standard input is a JSON list of the page's blocks ``[info, line, text]``. ``await`` may stand outside of
functions, as in ``python -m asyncio``. Prints a JSON list of what each block wrote to standard output. Line
numbers in tracebacks are those of the page.

What a reader is told to do in between is done too: a ``proto`` block is written to the path in its first line, and
lines of ``bash`` blocks that call protoc are run.

A block with a comment ``# SST001`` shows what the registry refuses: it has to raise StructPayloadError. Nothing else
may raise.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import json
import os
import subprocess
import sys
import sysconfig
from contextlib import redirect_stdout
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

from sessionstream import StructPayloadError

# The README shows a call without the import above it.
REFUSED_NEEDS = "from google.protobuf.struct_pb2 import Struct; "


class Block(NamedTuple):
    info: str
    line: int
    text: str


def run(block: Block, page: str, namespace: dict[str, object], runner: asyncio.Runner) -> str:
    refused = "# SST001" in block.text
    text = "\n" * (block.line - 1 - (1 if refused else 0)) + (REFUSED_NEEDS + "\n" if refused else "") + block.text
    code = compile(text, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(FunctionType(code, namespace)())
            else:
                exec(code, namespace)
        except StructPayloadError:
            if not refused:
                raise
        else:
            if refused:
                raise AssertionError(f"{page}:{block.line}: the registry does not refuse this")
    return printed.getvalue()


def prepare(block: Block) -> None:
    if block.info == "proto":
        path = Path(block.text.splitlines()[0].removeprefix("// "))
        path.parent.mkdir(parents=True)
        path.write_text(block.text, encoding="utf-8")
    elif block.info == "bash":
        scripts = sysconfig.get_path("scripts")
        environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}
        for line in block.text.splitlines():
            if line.startswith("protoc "):
                program, *arguments = line.split()
                subprocess.run([str(Path(scripts) / program), *arguments], check=True, env=environment)


def main(page: str) -> None:
    module = ModuleType("page")
    sys.modules["page"] = module  # where dataclasses and pickle look up what a block defines
    sys.path.insert(0, str(Path.cwd()))
    shown = []
    with asyncio.Runner() as runner:
        for block in (Block(*found) for found in json.load(sys.stdin)):
            if block.info == "python":
                shown.append(run(block, page, module.__dict__, runner))
            else:
                prepare(block)
    json.dump(shown, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
