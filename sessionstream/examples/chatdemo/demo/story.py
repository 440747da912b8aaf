"""The parts of the demo, in order. Every claim is checked where it is printed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from sessionstream.examples.chatdemo.demo import checks, linting
from sessionstream.examples.chatdemo.demo.console import Console
from sessionstream.examples.chatdemo.demo.process import KILLED, ChatProcess, chat_process
from sessionstream.examples.chatdemo.demo.records import LiveUpdate, StoredSnapshot
from sessionstream.examples.chatdemo.demo.text import clip, printable
from sessionstream.examples.chatdemo.messages import PIECE, answer_to

SESSION: Final = "demo-session"
SECOND_PROMPT: Final = "Where were we?"

LONGEST_DELAY: Final = 0.05
ANSWER_SECONDS: Final = 5.0
"""The maximum seconds for an answer, if no delay is given."""

LIMIT: Final = 400
"""The number of pieces after which a longer answer is stopped."""


async def tell(console: Console, prompt: str, delay: float | None = None) -> None:
    """Run the whole demo.

    Args:
        delay: seconds between the pieces of an answer; None picks a delay that keeps the demo short.

    Raises:
        CheckFailed: a check failed.
    """
    began = monotonic()
    if delay is None:
        delay = min(LONGEST_DELAY, ANSWER_SECONDS / min(_pieces(prompt), LIMIT))
    with TemporaryDirectory(prefix="sessionstream-demo-", ignore_cleanup_errors=True) as directory:
        await _lint(console, Path(directory))
        path = Path(directory) / "chat.db"
        before = await _stream_and_kill(console, path, prompt, delay)
        await _reopen(console, path, before, delay)
    console.success(f"All {console.checks} checks passed in {monotonic() - began:.1f} seconds.")


async def _lint(console: Console, directory: Path) -> None:
    console.heading("The linter finds a mistake before the program runs")
    number, line = linting.registration_in(linting.SAMPLE)
    console.line(f"   sample_app.py, line {number}:   {line}")
    found = await linting.lint(directory, "sample_app.py", linting.SAMPLE)
    console.line("   $ flake8 --select SST sample_app.py")
    for report in found.output.splitlines():
        console.line(f"   {report}")
    console.verified(checks.found_planted(found, *linting.planted_place()))
    number, line = linting.registration_in(linting.FIXED)
    console.line(f"   fixed_app.py, line {number}:    {line}")
    console.verified(checks.found_nothing(await linting.lint(directory, "fixed_app.py", linting.FIXED)))


async def _stream_and_kill(console: Console, path: Path, prompt: str, delay: float) -> StoredSnapshot:
    async with chat_process(path, SESSION, delay=delay, limit=LIMIT) as chat:
        console.heading(f"A chat streams its answer (process {chat.pid}, SQLite file {path.name})")
        empty = await _snapshot(chat)
        before = await _converse(console, chat, prompt, empty)
        console.heading(f"Process {chat.pid} is killed while it holds the file")
        status = await chat.kill()
    log = path.with_name(f"{path.name}-wal")
    console.verified(checks.killed(status, KILLED, log.stat().st_size if log.exists() else 0))
    return before


async def _reopen(console: Console, path: Path, before: StoredSnapshot, delay: float) -> None:
    async with chat_process(path, SESSION, delay=delay, limit=LIMIT) as chat:
        console.heading(f"A new process opens the same file (process {chat.pid})")
        reopened = await _snapshot(chat)
        console.snapshot(reopened)
        console.verified(checks.identical(before, reopened))
        console.heading("The session goes on")
        updates: list[LiveUpdate] = []
        after = await _converse(console, chat, SECOND_PROMPT, reopened, updates)
        console.verified(checks.goes_on(before, updates))
        console.verified(checks.fresh_ids(before, updates))
        console.verified(checks.kept(before, after))
        console.verified(checks.closed_cleanly(await chat.let_go()))


async def _converse(
    console: Console,
    chat: ChatProcess,
    prompt: str,
    before: StoredSnapshot,
    updates: list[LiveUpdate] | None = None,
) -> StoredSnapshot:
    """Ask, show what streams in, and return the snapshot after it. The live events are added to ``updates``."""
    updates = [] if updates is None else updates
    console.line(f"   prompt: {clip(printable(prompt[: console.width]), console.width - 11)}")
    if _pieces(prompt) > LIMIT:
        console.line(f"   (its answer has {_pieces(prompt)} pieces; it is stopped after about {LIMIT})")
    await chat.ask(prompt)
    while isinstance(said := await chat.next(), LiveUpdate):
        updates.append(said)
        console.update(said)
    console.snapshot(said)
    console.verified(checks.live_in_order(updates, before.ordinal))
    console.verified(checks.stored_as_streamed(prompt, updates, said))
    return said


async def _snapshot(chat: ChatProcess) -> StoredSnapshot:
    said = await chat.next()
    if not isinstance(said, StoredSnapshot):
        raise checks.CheckFailed(f"the chat process should have begun with a snapshot, it said {said!r:.200}")
    return said


def _pieces(prompt: str) -> int:
    return -(-len(answer_to(prompt)) // PIECE)
