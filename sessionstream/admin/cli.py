"""``sessionstream``: inspects, checks, repairs, backs up and restores stores; writes types. (Reference: Commands.)

Exit status: 0 done; 1 the store has no such session, some were not copied or are still held, a check found problems, a
file is not up to date, or what was asked for failed; 2 wrong usage, or a store or an app that cannot be used; 130
interrupted; 143 terminated. ``inspect --web`` is ``sessionstream.__main__``'s to serve, because the lab stands above
this package.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, TypeAlias

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from sessionstream import output
from sessionstream.admin import answers, checking, files, rehearsal, repair, typescript
from sessionstream.admin.answers import Excerpt
from sessionstream.admin.app import Replay, load, schemas_of
from sessionstream.admin.arguments import LIMIT, PORT, parse
from sessionstream.admin.looking import all_sessions, held_sessions, look, one_session
from sessionstream.admin.outcome import (
    FAILED,
    INTERRUPTED,
    OK,
    TERMINATED,
    USAGE,
    Answer,
    Failed,
    Refused,
    Terminated,
    sigterm_as_interrupt,
)
from sessionstream.admin.progress import Progress
from sessionstream.admin.tables import counted, rendered, shown
from sessionstream.errors import SessionstreamError, error_text
from sessionstream.hydration import stores
from sessionstream.hydration.stored import StoredState
from sessionstream.tracebacks import formatted

_OF_FILES: Final = ("backup", "restore", "copy")
"""Commands that take back on SIGTERM what they have not finished."""

_AT_ONCE: Final = ("rebuild", "prune", "delete", "upgrade", "restore")
"""Commands that change a store in one step."""

_PIECE: Final = 8192

_log = logging.getLogger("sessionstream")


Web: TypeAlias = Callable[[str, int], None]
"""Serves an inspector of the store at a location on a port, until it is interrupted."""


def main(argv: Sequence[str] | None = None, *, web: Web | None = None) -> int:
    """Run a command, print its answer, and return the exit status.

    Args:
        argv: the arguments; None: those of the process.
        web: what ``inspect --web`` calls; it may raise Refused.
    """
    options = argparse.Namespace()
    if not _log.handlers:  # else Python prints what the library logs, which is the failure printed below
        _log.addHandler(logging.NullHandler())
    try:
        parse(argv, options)
        if options.command == "inspect" and (options.web or options.port is not None):
            return _inspect_on_the_web(options, web)
        interrupts = sigterm_as_interrupt() if options.command in _OF_FILES else nullcontext()
        with interrupts, Progress(asked=getattr(options, "progress", False)) as progress:
            answer = _answer(options, progress)
        text = answer.verbatim or rendered(answer.blocks, _width())
        return _answered(json.dumps(answer.document, indent=2) + "\n" if options.json else text, answer.status)
    except Refused as refusal:
        return _failed(refusal, options, USAGE)
    except (Failed, SessionstreamError, OSError) as failure:
        return _failed(failure, options, FAILED)
    except KeyboardInterrupt as interrupt:
        if words := _interrupted(options):
            _complain(words)
        return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


def _interrupted(options: argparse.Namespace) -> str:
    """Return what holds after the interrupt of a command that changes a store; empty for others."""
    command = "" if getattr(options, "dry_run", False) else getattr(options, "command", "")
    if command == "retry":
        return "interrupted: the events that were applied stay so; the same command goes on with the others"
    if command == "copy":
        return "interrupted: the sessions that were copied stay; the same command goes on with the others"
    if command in _AT_ONCE:
        return "interrupted: it was done as a whole or not at all; `sessionstream inspect` shows which"
    return ""


def _failed(failure: Exception, options: argparse.Namespace, status: int) -> int:
    """Say why the command has failed, and return the exit status."""
    _complain(_message(failure, options))
    if getattr(options, "json", False):
        return _answered(json.dumps({"error": _words(failure)}, indent=2) + "\n", status)
    return status


def _answered(text: str, status: int) -> int:
    """Print the answer, and return the exit status: FAILED if it cannot be printed."""
    try:
        _print(text)
    except OSError as failure:
        output.give_up()
        if not isinstance(failure, BrokenPipeError):  # else the reader of the pipe has gone
            _complain(f"cannot write the answer: {failure.strerror}")
        return FAILED
    return status


def _answer(options: argparse.Namespace, progress: Progress) -> Answer:
    match options.command:
        case "inspect":
            return _inspect(options)
        case "prune":
            return _prune(options, progress)
        case "delete":
            return _delete(options, progress)
        case "check":
            return _check(options, progress)
        case "backup":
            return _back_up(options, progress)
        case "restore":
            return _restore(options, progress)
        case "upgrade":
            return _upgrade(options, progress)
        case "copy":
            report = files.copy_to(options.file, options.target, progress.count("sessions"))
            return files.copied(options.file, stores.shown(options.target), report)
        case "types":
            return _types(options)
        case _:
            return _replay(options, progress)


def _inspect(options: argparse.Namespace) -> Answer:
    _check_questions(options)
    location, session_id = options.store, options.session
    store = stores.shown(location)
    if session_id is None and not options.errors:
        found = look(location, held_sessions if options.held else all_sessions)
        return answers.listed(store, found, held=options.held)

    def question(stored: StoredState) -> Answer:
        state = timeline = events = errors = None
        if session_id is not None:
            state = one_session(stored, session_id)
            if options.as_of is not None or not (options.events or options.errors):
                timeline = stored.timeline(session_id, as_of=options.as_of)
            if options.events:
                limit = options.limit or LIMIT
                found = stored.events(session_id, after=options.after or 0, limit=limit + 1)
                events = Excerpt(found[:limit], state.cursors.timeline, len(found) > limit)
        if options.errors:
            errors = stored.error_records(session_id, limit=options.limit or LIMIT)
        return answers.inspected(store, state, timeline, events, errors, tracebacks=options.traceback)

    return look(location, question)


def _inspect_on_the_web(options: argparse.Namespace, web: Web | None) -> int:
    if not options.web:
        raise Refused("--port is of the inspector in a browser: add --web")
    others = ("held", "session", "as_of", "events", "after", "errors", "traceback", "limit", "json")
    values = {name: getattr(options, name) for name in others}
    if given := [name for name, value in values.items() if value is not None and value is not False]:
        raise Refused(f"--web shows all of it in a browser: leave out --{given[0].replace('_', '-')}")
    if web is None:
        raise Refused("--web is of the command sessionstream: run it, or python -m sessionstream")
    look(options.store, lambda state: state.version)
    web(options.store, PORT if options.port is None else options.port)
    return OK


def _check_questions(options: argparse.Namespace) -> None:
    if options.held and (options.session is not None or options.errors):
        raise Refused("--held lists sessions: leave out --session and --errors")
    if options.session is None and (options.events or options.as_of is not None):
        raise Refused("--events and --as-of are of one session: add --session ID")
    if options.after is not None and not options.events:
        raise Refused("--after is of events: add --events")
    if options.limit is not None and not (options.events or options.errors):
        raise Refused("--limit is of events or errors: add --events or --errors")
    if options.traceback and not options.errors:
        raise Refused("--traceback is of errors: add --errors")


def _replay(options: argparse.Namespace, progress: Progress) -> Answer:
    which: Replay = "retry" if options.command == "retry" else "rebuild"
    if which == "retry" and options.held:
        return _retry_held(options, progress)
    if options.session is None:
        raise Refused("which session: name it, or take --held for all that are held")
    # Before any code of the app runs:
    events = look(options.store, lambda state: repair.count_events(state, options.session, which))
    factory = load(options.app)
    count = progress.count_of(events, "events")
    if options.dry_run:
        found = asyncio.run(rehearsal.rehearse(options.store, options.session, factory, which, count))
        return answers.rehearsed(stores.shown(options.store), which, found)
    report = asyncio.run(repair.replay(options.store, options.session, factory, which, count))
    return answers.replayed(stores.shown(options.store), which, report)


def _retry_held(options: argparse.Namespace, progress: Progress) -> Answer:
    if options.session is not None or options.dry_run:
        raise Refused("--held retries every held session: leave out the session; --dry-run is of one session")
    held = look(options.store, held_sessions)  # before any code of the app runs
    found = asyncio.run(repair.retry_held(options.store, held, load(options.app), progress.count("sessions")))
    return answers.retried(stores.shown(options.store), found)


def _delete(options: argparse.Namespace, progress: Progress) -> Answer:
    plan = repair.plan_deletion(options.store, options.session)
    if not options.dry_run:
        what = f"{counted(plan.events, 'event')} and {counted(plan.entities, 'entity', 'entities')}"
        with progress.running(f"deleting {what} of {shown(options.session)}"):
            asyncio.run(repair.delete(options.store, plan))
    return answers.deleted(stores.shown(options.store), plan, dry_run=options.dry_run)


def _check(options: argparse.Namespace, progress: Progress) -> Answer:
    factory = None if options.app is None else load(options.app)
    found = asyncio.run(checking.check(options.store, factory, progress.count("sessions")))
    return answers.checked(stores.shown(options.store), found)


def _back_up(options: argparse.Namespace, progress: Progress) -> Answer:
    return files.backed_up(files.back_up(options.file, options.copy, progress.count("pages")))


def _restore(options: argparse.Namespace, progress: Progress) -> Answer:
    count = progress.count("pages")
    return files.restored(files.restore(options.copy, options.file, count, replace=options.replace))


def _upgrade(options: argparse.Namespace, progress: Progress) -> Answer:
    with nullcontext() if options.dry_run else progress.running(f"upgrading {shown(options.file)}"):
        found = files.upgrade(options.file, dry_run=options.dry_run)
    return files.upgraded(options.file, found, dry_run=options.dry_run)


def _prune(options: argparse.Namespace, progress: Progress) -> Answer:
    plan = repair.plan_pruning(options.store, options.session, options.before, options.keep_events)
    if not options.dry_run:
        with progress.running(f"forgetting {counted(plan.events, 'event')} of {shown(options.session)}"):
            asyncio.run(repair.prune(options.store, plan))
    return answers.pruned(stores.shown(options.store), plan, dry_run=options.dry_run)


def _types(options: argparse.Namespace) -> Answer:
    """Write the types of an app, or compare them with what was written."""
    if options.check and options.out == "-":
        raise Refused("--check is of a file: add --out FILE")
    comments = None if options.descriptors is None else _descriptors(options.descriptors)
    text = typescript.typescript(asyncio.run(schemas_of(options.app)), options.name, comments)
    if options.out == "-":
        return answers.typed(options.app, text)
    file = Path(options.out)
    try:
        before = file.read_text("utf-8") if file.exists() else None
        if before != text and not options.check:
            file.write_text(text, "utf-8", newline="\n")
    except (OSError, UnicodeError) as error:
        raise Failed(f"cannot {'read' if options.check else 'write'} {file}: {error_text(error)}") from error
    if options.check and before != text:
        state = "does not exist" if before is None else "is not up to date"
        raise Failed(f"{file} {state}: run the same command without --check")
    return answers.typed(options.app, text, options.out, changed=before != text)


def _descriptors(path: str) -> FileDescriptorSet:
    """Read a FileDescriptorSet."""
    try:
        return FileDescriptorSet.FromString(Path(path).read_bytes())
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from error
    except DecodeError as error:
        raise Refused(
            f"{path} is no FileDescriptorSet: protoc writes one with --include_source_info --descriptor_set_out={path}"
        ) from error


def _print(text: str) -> None:
    if not output.is_open(sys.stdout):
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    for start in range(0, len(text), _PIECE):  # an unbuffered stdout may lose the end of a large write
        sys.stdout.write(text[start : start + _PIECE])
    sys.stdout.flush()


def _width() -> int | None:
    """Return the columns of the terminal; None for a file or a pipe, unless COLUMNS is set."""
    if (output.is_open(sys.stdout) and sys.stdout.isatty()) or "COLUMNS" in os.environ:
        return shutil.get_terminal_size().columns
    return None


def _message(failure: Exception, options: argparse.Namespace) -> str:
    """Return the message of a failure, with the traceback of its cause if --traceback is given."""
    cause = failure.__cause__
    if cause is None or not getattr(options, "traceback", False):
        return _words(failure)
    return f"{failure}\n{formatted(cause).rstrip()}"


def _words(failure: Exception) -> str:
    """Return what a failure says; one of the operating system names no file by itself."""
    if isinstance(failure, OSError):
        return f"{failure.filename}: {failure.strerror}" if failure.filename else error_text(failure)
    return str(failure)


def _complain(message: str) -> None:
    if not output.is_open(sys.stderr):
        return
    with suppress(OSError, ValueError):  # its reader has gone, or it is closed: the status says it, too
        sys.stderr.write("".join(f"{shown(line)}\n" for line in f"sessionstream: {message}".split("\n")))


if __name__ == "__main__":
    sys.exit(main())
