"""The command as people run it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from sessionstream.admin import cli

from .app import write
from .conftest import Run

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sysconfig.get_path("scripts")) / "sessionstream"
MODULE = [sys.executable, "-W", "error", "-m", "sessionstream"]


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have said how wide a terminal is."""
    monkeypatch.delenv("COLUMNS", raising=False)


def ran(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", [[SCRIPT], MODULE], ids=["script", "module"])
def test_it_runs_as_a_script_and_as_a_module(file: Path, command: list[object]) -> None:
    done = ran(*command, "inspect", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split()[0] == "SESSION"
    assert ran(*command, "--version").stdout.startswith("sessionstream 0")
    assert ran(*command).returncode == 2


def test_a_retry_imports_the_app_from_the_working_directory(file: Path) -> None:
    done = ran(SCRIPT, "retry", file, "t", "--app", "tests.admin.app:make")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("retried t: 2 events applied")


def test_a_failure_is_a_status_and_words(file: Path) -> None:
    done = ran(*MODULE, "retry", file, "t", "--app", "tests.admin.app:make", SESSIONSTREAM_TEST_BROKEN="bad")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("sessionstream: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["inspect", "missing.db"], 2, "there is no such file"),
        (["inspect", "FILE", "--session", "nobody"], 1, "the store has no session 'nobody'"),
        (["retry", "FILE", "t", "--app", "tests.admin.app:make"], 1, "Broken: timeline bad"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_a_failure_is_json_too(file: Path, arguments: list[str], status: int, words: str) -> None:
    typed = [str(file) if each == "FILE" else each for each in arguments]
    done = ran(*MODULE, *typed, "--json", SESSIONSTREAM_TEST_BROKEN="bad")
    assert done.returncode == status
    assert words in json.loads(done.stdout)["error"]
    assert done.stderr == f"sessionstream: {json.loads(done.stdout)['error']}\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("arguments", ["inspect FILE", "delete FILE s --progress", "inspect FILE --session nobody"])
def test_a_closed_stream_is_nobody_who_reads(file: Path, closed: str, arguments: str) -> None:
    command = f"{sys.executable} -m sessionstream {arguments.replace('FILE', str(file))} {closed}"
    done = ran("/bin/sh", "-c", command)
    assert done.returncode == (1 if "nobody" in arguments else 0)
    assert "Traceback" not in done.stderr
    if "delete" in arguments:
        assert "\n0 entities" in ran(*MODULE, "inspect", file, "--session", "s").stdout


def test_the_table_is_cut_to_the_terminal_and_whole_in_a_pipe(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    write(file, "w" * 300)
    whole = ran(*MODULE, "inspect", file, "--session", "s").stdout
    assert "w" * 300 in whole
    cut = ran(*MODULE, "inspect", file, "--session", "s", COLUMNS="60").stdout
    table = cut[cut.index("KIND") :].splitlines()
    assert [len(line) for line in table if "…" in line] == [60]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error_message(tmp_path: Path, unbuffered: str) -> None:
    file = tmp_path / "app.db"
    write(file, "w" * 3_000_000)  # more than a pipe holds
    with subprocess.Popen(
        [*MODULE, "inspect", str(file), "--session", "s"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full")
def test_an_answer_that_cannot_be_written_is_a_failure(file: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*MODULE, "inspect", str(file)], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"sessionstream: cannot write the answer: No space left on device\n"


def test_words_of_an_app_cannot_move_the_cursor_of_a_terminal(tmp_path: Path, file: Path) -> None:
    (tmp_path / "rude.py").write_text("raise ValueError('\\x1b[2J')\n", encoding="utf-8")
    done = ran(*MODULE, "retry", file, "t", "--app", "rude:make", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.endswith("ValueError: \\x1b[2J\n")


def test_an_interrupt_says_what_to_look_at_and_leaves_no_file(tmp_path: Path) -> None:
    file, app = tmp_path / "app.db", tmp_path / "waiting.py"
    write(file, "a", "bad", broken=["bad"])
    app.write_text(
        "import asyncio\nasync def make(store):\n    print('waiting', flush=True)\n    await asyncio.Event().wait()\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [str(SCRIPT), "retry", str(file), "s", "--app", "waiting:make"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Whoever was started in the background of a shell ignores interrupts, and so does all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        said = b"the events that were applied stay so; the same command goes on with the others"
        assert process.stderr.read() == b"sessionstream: interrupted: " + said + b"\n"
    assert sorted(each.name for each in tmp_path.glob("app.db*")) == ["app.db"]


def test_an_interrupt_while_the_answer_is_printed_is_quiet(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_print", interrupted)
    assert run("inspect", file) == (130, "", "")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("inspect FILE", ""),
        ("rebuild FILE s --app tests.admin.app:make --dry-run", ""),
        ("rebuild FILE s --app tests.admin.app:make", "it was done as a whole or not at all"),
        ("copy FILE postgres://host/app", "the sessions that were copied stay"),
    ],
)
def test_what_an_interrupt_leaves_is_said(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_answer", interrupted)
    ran = run(*command.replace("FILE", str(file)).split())
    assert (ran.status, words in ran.err, bool(ran.err)) == (130, True, bool(words))


def test_a_failure_that_nobody_reads_has_its_status_and_its_document(file: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*map(str, MODULE), "inspect", str(file.with_name("missing.db")), "--json"]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=writing, timeout=60, check=False)
    finally:
        os.close(writing)
    assert done.returncode == 2
    assert "there is no such file" in json.loads(done.stdout)["error"]


def test_the_library_does_not_know_the_command() -> None:
    code = "import sys, sessionstream; print([name for name in sys.modules if name.startswith('sessionstream.admin')])"
    assert ran(sys.executable, "-c", code).stdout == "[]\n"
