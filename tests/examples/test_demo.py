"""The commands, run for real: as processes, and in this one where something has to be made to go wrong."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessionstream.examples.chatdemo import cli
from sessionstream.examples.chatdemo.demo import linting, process
from sessionstream.examples.chatdemo.demo.process import ChatProcess
from sessionstream.examples.chatdemo.demo.records import LiveUpdate, StoredSnapshot

CHATDEMO = [sys.executable, "-m", "sessionstream.examples.chatdemo"]
HOSTILE = 'it\'s "quoted" $(rm -rf /) `x` \\ %s\n\tnew line, 你好 👩‍🚀\x1b[31m'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a demo whose temporary files are all below ``tmp_path / "tmp"``."""
    (tmp_path / "tmp").mkdir()
    own = {name: str(tmp_path / "tmp") for name in ("TMPDIR", "TEMP", "TMP")}
    return os.environ | own | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}


def run(environ: dict[str, str], *arguments: str, limit: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHATDEMO, *arguments], env=environ, capture_output=True, encoding="utf-8", timeout=limit, check=False
    )


def test_the_demo_does_what_it_says(environ: dict[str, str], tmp_path: Path) -> None:
    done = run(environ, "demo")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "sample_app.py:8:44: SST001" in done.stdout
    first, second = re.findall(r"process (\d+)", done.stdout)
    assert first != second
    live = re.findall(r"^ +(\d+)  (ChatMessage\w+) ", done.stdout, re.MULTILINE)
    assert [int(ordinal) for ordinal, _ in live] == list(range(1, 13))
    assert [name.removeprefix("ChatMessage") for _, name in live[:6]] == [
        *("Accepted", "Started", "Appended", "Appended", "Appended", "Finished")
    ]
    assert "chat-msg-1       assistant  finished  2        6        Answer: Explain ordinals\n" in done.stdout
    checks = re.findall(r"^   ok  (.*)$", done.stdout, re.MULTILINE)
    for words, check in zip(
        (
            *("reports the planted mistake", "passes fixed_app.py", "1 to 6", "ordinal 6 and holds", "was killed"),
            *("is identical", "7 to 12", "ordinal 12 and holds", "goes on with ordinal 7", "ids of their own"),
            *("are unchanged", "ended by itself"),
        ),
        checks,
        strict=True,
    ):
        assert words in check
    assert f"All {len(checks)} checks passed" in done.stdout
    assert "\x1b" not in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_hostile_prompt_is_only_a_prompt(environ: dict[str, str]) -> None:
    done = run(environ, "demo", "--delay", "0", "--prompt", HOSTILE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert 'it\'s "quoted" $(rm -rf /) `x` \\ %s\\n\\tnew line, 你好 👩‍🚀\\x1b[31m' in done.stdout


def test_a_very_long_prompt_is_stopped_after_a_while(environ: dict[str, str]) -> None:
    done = run(environ, "demo", "--delay", "0", "--prompt", "long 長い " * 10_000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ChatMessageStopped" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 240  # the widest is the finding flake8 prints


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--prompt", " "], "the prompt is empty"),
        (["demo", "--delay", "soon"], "no number of seconds"),
        (["demo", "--delay", "-1"], "not between 0 and 60"),
        (["demo", "--delay", "nan"], "not between 0 and 60"),
        (["chat", "hello"], "--store"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert words in capsys.readouterr().err


def test_a_prompt_that_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["demo", "--prompt", "caf\udce9"])
    assert "not valid Unicode" in capsys.readouterr().err


def test_a_locale_without_unicode(environ: dict[str, str], tmp_path: Path) -> None:
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = run(environ | poor, "chat", "--store", str(tmp_path / "chat.db"), "--delay", "0", "grüß 🙂")
    assert done.returncode == 0, done.stderr
    assert "Answer: gr?? ?" in done.stdout


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"libcst"}, "libcst is not installed"),
        ({"flake8"}, "flake8 is not installed"),
        ({"flake8", "libcst"}, "flake8 and libcst are not installed"),
    ],
    ids=lambda it: "-".join(sorted(it)) if isinstance(it, set) else None,
)
def test_without_the_linter_installed_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: set[str], words: str
) -> None:
    monkeypatch.setattr(linting, "find_spec", lambda name: None if name in missing else object())
    assert cli.main(["demo"]) == 2
    assert f"{words}:\n  pip install 'sessionstream[lint]'" in capsys.readouterr().err


# -- each guarantee, broken ---------------------------------------------------------------------------------------

RUNS: dict[tuple[str, str], linting.LintRun] = {}
lint_by_flake8 = linting.lint


async def lint_once(directory: Path, name: str, source: str) -> linting.LintRun:
    """Run flake8, unless it has had the same file before."""
    if (name, source) not in RUNS:
        RUNS[name, source] = await lint_by_flake8(directory, name, source)
    return RUNS[name, source]


@pytest.fixture(autouse=True)
def _linted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linting, "lint", lint_once)


def fails_with(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--delay", "0"]) == 1
    printed = capsys.readouterr().out
    assert re.search(rf"^   FAILED  .*{words}", printed, re.MULTILINE), printed
    assert "checks passed" not in printed


def test_a_linter_that_finds_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(linting, "SAMPLE", linting.SAMPLE.replace("Struct)", "Struct)  # noqa"))
    fails_with("flake8 should have exited with 1 for sample_app.py", capsys)


def test_a_linter_that_does_not_pass_the_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(linting, "FIXED", linting.SAMPLE)
    fails_with("flake8 should have passed fixed_app.py", capsys)


def test_a_process_that_closes_its_file_before_it_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ChatProcess, "kill", ChatProcess.let_go)
    fails_with("should have been killed", capsys)


@contextmanager
def after_the_kill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pattern: str) -> Iterator[list[Path]]:
    """Remove the files that match from the demo's directory, right after the chat process was killed."""
    removed: list[Path] = []
    kill = ChatProcess.kill

    async def kill_and_remove(self: ChatProcess) -> int:
        status = await kill(self)
        for path in tmp_path.glob(f"sessionstream-demo-*/{pattern}"):  # noqa: ASYNC240
            path.unlink()
            removed.append(path)
        return status

    with monkeypatch.context() as patch:
        patch.setattr(ChatProcess, "kill", kill_and_remove)
        patch.setattr("tempfile.tempdir", str(tmp_path))
        yield removed


def test_a_log_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with after_the_kill(monkeypatch, tmp_path, "chat.db-*") as removed:
        fails_with("write-ahead log is gone", capsys)
        assert removed


def test_a_file_that_lost_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sessionstream.examples.chatdemo.demo.checks.killed", lambda *_: "not looked at")
    with after_the_kill(monkeypatch, tmp_path, "chat.db*") as removed:
        fails_with("the snapshot's ordinal changed: it was 6, now it is 0", capsys)
        assert removed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit(7)", "ended too early, with status 7"),
        ("print('nonsense', flush=True); input()", "said something odd"),
        ("input()", "said nothing for 0.2 seconds"),
    ],
)
def test_a_chat_process_that_misbehaves(
    code: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad_child.py"
    bad.write_text(code)
    if "nothing" in words:
        monkeypatch.setattr(process, "_PATIENCE", 0.2)
    monkeypatch.setattr(process, "CHILD", (str(bad),))
    fails_with(words, capsys)


# -- interrupted --------------------------------------------------------------------------------------------------


@contextmanager
def streaming_demo(environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a demo whose answer does not end; give it and a handle of its chat process."""
    demo = subprocess.Popen(
        [*CHATDEMO, "demo", "--delay", "60"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with demo:
        try:
            assert demo.stdout is not None
            handle = -1
            for line in demo.stdout:
                if found := re.search(r"process (\d+)", line):
                    handle = os.pidfd_open(int(found[1]))
                if "ChatMessageAppended" in line:
                    break
            try:
                yield demo, handle
            finally:
                os.close(handle)
        finally:
            demo.kill()


linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open to wait for a grandchild")


@linux
@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_no_process_is_left_behind(
    signum: signal.Signals, status: int, environ: dict[str, str], tmp_path: Path
) -> None:
    with streaming_demo(environ) as (demo, handle):
        os.killpg(demo.pid, signum)  # what a terminal does
        assert demo.wait(20) == status
        assert select.select([handle], [], [], 20)[0], "the chat process is still there"
        if signum == signal.SIGKILL:  # against which nothing more can be done
            return
        assert demo.stderr is not None
        assert demo.stderr.read() == "interrupted\n"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_output_that_nobody_reads_any_more(environ: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*CHATDEMO, "demo", "--delay", "0"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.readline()
        demo.stdout.close()
        assert (demo.wait(30), demo.stderr.read()) == (1, b"")
    assert list((tmp_path / "tmp").iterdir()) == []


# -- chat ---------------------------------------------------------------------------------------------------------


def test_chat_goes_on_with_its_file(environ: dict[str, str], tmp_path: Path) -> None:
    store = str(tmp_path / "chat.db")
    run(environ, "chat", "--store", store, "--delay", "0", "hello")
    done = run(environ, "chat", "--store", store, "--delay", "0", "and\nagain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Answer: and\\nagain\n")
    assert re.findall(r"chat-msg-\S+", done.stdout) == [
        "chat-msg-1-user",
        "chat-msg-1",
        "chat-msg-2-user",
        "chat-msg-2",
    ]


def test_chat_says_what_is_wrong_with_the_file(environ: dict[str, str], tmp_path: Path) -> None:
    done = run(environ, "chat", "--store", str(tmp_path), "hello")
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*directory.*\n", done.stderr)


async def test_an_answer_whose_process_is_killed_ends_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with process.chat_process(path, "s-1", delay=60, limit=9) as chat:
        await chat.next()
        await chat.ask("Explain ordinals")
        live = [await chat.next() for _ in range(3)]
        assert await chat.kill() == process.KILLED
    async with process.chat_process(path, "s-1", delay=0, limit=9) as chat:
        found = await chat.next()
        assert isinstance(found, StoredSnapshot)
        assert (found.ordinal, found.entities[1].message.status) == (len(live), "streaming")
        await chat.ask("again")
        first = await chat.next()
        assert isinstance(first, LiveUpdate)
        assert (first.ordinal, first.name, first.message.text) == (4, "ChatMessageStopped", "Answer: Ex")
