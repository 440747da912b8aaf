"""The command as people run it: in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import pytest

from sessionstream import SQLiteStore, doc
from sessionstream.serving.address import Address
from sessionstream.systemlab import cli
from sessionstream.systemlab.notebook import notebook_schemas

from .client import Client
from .process import PATIENCE, ServedLab

SCRIPT = Path(sysconfig.get_path("scripts")) / "sessionstream-systemlab"
MODULE = [sys.executable, "-W", "error", "-m", "sessionstream.systemlab"]


def ran(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServedLab]:
    (tmp_path / "temporary").mkdir()
    serving = ServedLab(tmp_path / "temporary")
    yield serving
    await serving.close()


@pytest.mark.parametrize("command", [[SCRIPT], MODULE], ids=["script", "module"])
def test_its_version_is_that_of_the_library(command: list[object]) -> None:
    done = ran(*command, "--version")
    assert (done.returncode, done.stdout) == (0, f"sessionstream-systemlab {version('sessionstream')}\n")


async def test_it_serves_until_it_is_told_to_end_and_leaves_nothing_behind(server: ServedLab) -> None:
    for how in (signal.SIGTERM, signal.SIGINT):
        await server.start()
        client = Client(server.url)
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.post("/api/phase1/run", {"action": "submit"})).status == 200
        assert list(server.temporary.iterdir()) != []
        assert await server.end(how) == ""


async def test_it_can_be_ended_before_it_serves(server: ServedLab) -> None:
    for how in (signal.SIGTERM, signal.SIGINT):
        await server.begin()
        async with asyncio.timeout(PATIENCE):
            while not list(server.temporary.iterdir()):  # noqa: ASYNC110 - of another process's files nobody is told
                await asyncio.sleep(0.01)
        assert await server.end(how) == ""


async def test_it_says_which_file_the_inspector_has(server: ServedLab, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    await (await SQLiteStore.open(path, notebook_schemas())).close()
    await server.start("--store", str(path))
    assert (await Client(server.url).get("/healthz")).status == 200
    assert await server.end() == f"store: {path}\n"


async def test_open_opens_a_browser(server: ServedLab, tmp_path: Path) -> None:
    pipe = tmp_path / "asked for"
    os.mkfifo(pipe)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{pipe}"\n')
    browser.chmod(0o700)
    await server.start("--open", BROWSER=f"{browser} %s")
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.to_thread(pipe.read_text) == f"{server.url}\n"
    assert await server.end() == ""


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ran(*MODULE, "serve", "--addr", f":{port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"sessionstream-systemlab: cannot listen on http://127.0.0.1:{port}/: Address already in use; "
        f"take another port with --addr, 0 for any that is free\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--addr", "nowhere"], "'nowhere' is not an address: write HOST:PORT"),
        (
            ["serve", "--store", "/nonexistent.db"],
            "sessionstream-systemlab: cannot read /nonexistent.db: there is no such file\n",
        ),
        (["help", "sessionstream-refrence"], "did you mean sessionstream-reference"),
        (["completion"], "invalid choice: 'completion'"),
        ([], "required: COMMAND"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_said(arguments: list[str], words: str) -> None:
    done = ran(*MODULE, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_help_lists_the_entries_and_shows_one() -> None:
    listed = ran(*MODULE, "help")
    assert (listed.returncode, listed.stderr) == (0, "")
    for entry in doc.entries():
        assert entry.slug in listed.stdout
        assert entry.short in listed.stdout
    shown = ran(*MODULE, "help", "sessionstream-reference")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\x1b" not in shown.stdout
    assert "SchemaRegistry" in shown.stdout


def test_a_reader_who_leaves_is_no_error() -> None:
    command = " ".join(f"'{each}'" for each in [*MODULE, "help", "sessionstream-reference"])
    done = ran("bash", "-c", f"set -o pipefail; {command} | head -n 1 > /dev/null")
    assert done.stderr == ""


def test_the_address_of_a_port_alone_is_this_machine() -> None:
    assert Address.parse(cli.ADDRESS) == Address("127.0.0.1", 8091)
