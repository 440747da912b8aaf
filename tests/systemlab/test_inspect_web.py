"""``sessionstream inspect STORE --web``: the inspector alone, over one store that it only reads."""

from __future__ import annotations

import errno
import html
import os
import re
import signal
import socket
import subprocess
import sys
from asyncio import to_thread
from pathlib import Path

import pytest

from sessionstream import __main__
from sessionstream.hydration import stores
from sessionstream.serving import commands

from ..servers.postgres import Postgres
from .client import Client
from .test_inspector import FAILING, fill
from .web import inspecting


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A file with two sessions, one of them held, that no process has open."""
    folder = tmp_path / "folder"
    folder.mkdir()
    await fill(folder / "s.db")
    return folder / "s.db"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


QUESTIONS = ("sessions?", "session?session=s", "timeline?session=s", "diff?session=s", "events?session=s", "errors?")


async def test_it_shows_a_store_until_it_is_told_to_end_and_changes_nothing(file: Path) -> None:
    before = contents(file.parent)
    for how in (signal.SIGTERM, signal.SIGINT):
        async with inspecting(file) as inspector:
            client = Client(inspector.url)
            assert inspector.said[1] == f"store:     {file}\n"
            page = await client.get("/")
            assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert f"<title>{file} · Inspector · sessionstream</title>" in page.text
            assert f'<p class="store">{file}</p>' in page.text
            for question in QUESTIONS:
                answer = await client.get(f"/api/inspector/{question}&source=store")
                assert answer.status == 200, answer.text
            refused = await client.post("/api/inspector/retry", {"source": "store", "session": FAILING})
            assert (refused.status, "only reads" in refused.text) == (400, True)
            await inspector.end(how)
    assert contents(file.parent) == before


async def test_its_table_has_the_column_names_of_the_command(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["inspect", str(file)]) == 0
    heading = capsys.readouterr().out.splitlines()[0]
    async with inspecting(file) as inspector:
        page = (await Client(inspector.url).get("/")).text
    table = page[page.index('id="session-table"') :].partition("</thead>")[0]
    columns = re.findall(r'<th scope="col">(.+?)</th>', table)
    assert len(columns) == 6
    assert [each for each in columns if not re.search(rf"(^|  ){each.upper()}(  |$)", heading)] == []


async def test_a_file_that_nobody_may_write_is_shown(file: Path) -> None:
    await to_thread(file.chmod, 0o400)
    await to_thread(file.parent.chmod, 0o500)
    try:
        async with inspecting(file) as inspector:
            answer = await Client(inspector.url).get("/api/inspector/sessions?source=store")
            assert [each["sessionId"] for each in answer.json["sessions"]] == ["s", FAILING]
    finally:
        await to_thread(file.parent.chmod, 0o700)


async def test_a_database_is_shown_without_its_password(postgres: Postgres, postgres_schema: str) -> None:
    location = f"{postgres.dsn.replace('postgres@', 'postgres:secret@')}&schema={postgres_schema}"
    await fill(location)
    async with inspecting(location) as inspector:
        answer = await Client(inspector.url).get("/api/inspector/sessions?source=store&held=true")
        assert [each["sessionId"] for each in answer.json["sessions"]] == [FAILING]
        page = (await Client(inspector.url).get("/")).text
        assert html.escape(stores.shown(location)) in page
        assert "secret" not in "".join([*inspector.said, page])


async def test_other_hosts_and_other_addresses_are_refused(file: Path) -> None:
    async with inspecting(file) as inspector:
        client = Client(inspector.url)
        assert (await client.get("/", host="rebound.example")).status == 421
        assert (await client.get("/phases/1")).text == "there is nothing at /phases/1\n"
        assert (await client.get("/api/status")).json == {"error": "there is nothing at /api/status"}


def complaint(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str]:
    status = __main__.main(["inspect", *map(str, argv)])
    shown = capsys.readouterr()
    assert ("--json" in argv) == (shown.out != "")
    return status, shown.err


async def test_a_missing_extra_is_said(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "missing", lambda packages: [each for each in packages if each == "jinja2"])
    assert complaint(capsys, file, "--web") == (
        2,
        "sessionstream: the inspector is a web application, and jinja2 is not installed:\n"
        "  pip install 'sessionstream[lab]'\n",
    )


async def test_a_port_that_is_taken_is_said(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sessionstream", "inspect", str(file), "--web", "--port", port]
        done = await to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    words = os.strerror(errno.EADDRINUSE)
    assert done.stderr == (
        f"sessionstream: cannot listen on http://127.0.0.1:{port}/: {words}; "
        f"take another port with --port, 0 for any that is free\n"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "1"], "--port is of the inspector in a browser: add --web"),
        (["--web", "--json"], "--web shows all of it in a browser: leave out --json"),
        (["--web", "--session", "s", "--as-of", "0"], "leave out --session"),
        (["--web", "--as-of", "0"], "leave out --as-of"),
    ],
)
async def test_what_does_not_go_together_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    status, said = complaint(capsys, file, *options)
    assert (status, words in said) == (2, True)


async def test_what_is_no_store_is_refused_before_anything_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint(capsys, tmp_path / "no.db", "--web")[0] == 2


async def test_a_port_is_a_number(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["inspect", str(file), "--web", "--port", "65536"])
    assert "'65536' is not a port, a number from 0 to 65535" in capsys.readouterr().err
