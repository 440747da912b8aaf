"""The arguments of the command ``sessionstream``, from which shtab also makes completions for shells."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Final, NoReturn

from sessionstream.admin import typescript
from sessionstream.completion import is_path
from sessionstream.hydration import stores
from sessionstream.release import release

LIMIT: Final = 100
"""Events or errors that are shown by default."""

PORT: Final = 8093
"""Where the inspector is by default."""

_STORE: Final = "where the store is: the path of a SQLite file, or a URL of PostgreSQL, postgres://…"


_WITHOUT_VALUE: Final = re.compile(r"argument (--\S+): expected one argument")
_WITHOUT_SESSION: Final = re.compile(r"required: SESSION$|unrecognized arguments: (?:\S+ )*-[^-]")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print a message, which may repeat a URL, without its password, and exit."""
        if option := _WITHOUT_VALUE.fullmatch(message):
            message += f"; a value that begins with a dash is written {option[1]}=-…"
        elif _WITHOUT_SESSION.search(message):
            message += "; an id that begins with a dash stands last, after --"
        super().error(" ".join(map(stores.shown, message.split(" "))))


def parse(argv: Sequence[str] | None, options: argparse.Namespace) -> None:
    """Parse the arguments into options; print what is wrong with them, and exit.

    The session of ``retry`` may stand after options. Python before 3.12.7 decides at the first positional argument that
    an optional one is missing, and returns it as unknown.
    """
    made = parser()
    _, left = made.parse_known_args(argv, options)
    unknown = left
    if left[:1] == ["--"]:
        unknown = left[1:]
    elif left and left[0].startswith("-"):
        options.parser.error(f"unrecognized arguments: {' '.join(left)}")
    if unknown and options.command == "retry" and options.session is None:
        options.session, *unknown = unknown
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")


def parser() -> argparse.ArgumentParser:
    """Return what parses the arguments; shtab makes completions for shells from it."""
    made = _Parser(
        prog="sessionstream",
        description="Look into a store of sessions, check it, back it up, restore, upgrade or copy it; repair, prune "
        "or delete its sessions; write types.",
        epilog="exit status: 0 done; 1 no such session, some sessions were not copied or are still held, a check found "
        "problems, a file is not up to date, or what was asked for failed; 2 wrong usage, or a store or an app that "
        "cannot be used",
    )
    made.add_argument("--version", action="version", version=f"sessionstream {release()}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_inspect(commands)
    _add_replay(commands, "retry", "resume a held session: project and fan out the events that wait, in order")
    _add_replay(commands, "rebuild", "build a session's timeline anew from its first event, in a new epoch")
    _add_prune(commands)
    _add_delete(commands)
    _add_check(commands)
    _add_backup(commands)
    _add_restore(commands)
    _add_upgrade(commands)
    _add_copy(commands)
    _add_types(commands)
    for each in commands.choices.values():
        each.add_argument("--json", action="store_true", help="print one JSON document")
        each.set_defaults(parser=each)  # which says what is wrong with its arguments
    return made


def _add_inspect(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "show sessions, a timeline, events or errors; changes nothing"
    parser = commands.add_parser("inspect", help=words, description=words)
    is_path(parser.add_argument("store", metavar="STORE", help=_STORE))
    parser.add_argument("--held", action="store_true", help="only sessions that a failed event holds")
    parser.add_argument("--session", metavar="ID", help="show this session: its timeline, unless told otherwise")
    parser.add_argument("--as-of", type=_ordinal, metavar="N", help="show the timeline right after event N")
    parser.add_argument("--events", action="store_true", help="show the session's events")
    parser.add_argument("--after", type=_ordinal, metavar="N", help="only events above ordinal N")
    parser.add_argument("--errors", action="store_true", help="show error records of the session, or of all")
    parser.add_argument("--traceback", action="store_true", help="show the errors' tracebacks too")
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help=f"the first N events, the last N errors (default: {LIMIT})"
    )
    parser.add_argument("--web", action="store_true", help="show the store in a browser, until interrupted (extra lab)")
    port = f"where --web listens, on this machine only; 0: any free port (default: {PORT})"
    parser.add_argument("--port", type=_port, metavar="N", help=port)


def _add_replay(commands: argparse._SubParsersAction[_Parser], name: str, words: str) -> None:
    parser = commands.add_parser(name, help=words, description=words)
    _add_session(parser, optional=name == "retry")
    if name == "retry":
        parser.add_argument("--held", action="store_true", help="every session that is held, one after the other")
    parser.add_argument(
        "--app",
        required=True,
        metavar="MODULE:FUNCTION",
        help="brings the projections: a function that takes a store and returns a Hub on it; may be async",
    )
    _add_dry_run(parser)
    parser.add_argument("--traceback", action="store_true", help="if the app fails, show the traceback too")
    _add_progress(parser)


def _add_prune(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "forget events and versions of a session that only questions below an ordinal need"
    parser = commands.add_parser("prune", help=words, description=words)
    _add_session(parser)
    kept = parser.add_mutually_exclusive_group(required=True)
    kept.add_argument("--before", type=_ordinal, metavar="N", help="forget what is below ordinal N")
    last = "forget all but the last N events; the last one that the timeline reflects stays in any case"
    kept.add_argument("--keep-events", type=_ordinal, metavar="N", help=last)
    _add_dry_run(parser)
    _add_progress(parser)


def _add_delete(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "delete a session with its events, entities, errors and keys; its ordinals go on where they were"
    parser = commands.add_parser("delete", help=words, description=words)
    _add_session(parser)
    _add_dry_run(parser)
    _add_progress(parser)


def _add_check(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "check that each session is in order, whole and readable; changes nothing"
    parser = commands.add_parser("check", help=words, description=words)
    is_path(parser.add_argument("store", metavar="STORE", help=_STORE))
    parser.add_argument(
        "--app",
        metavar="MODULE:FUNCTION",
        help="compare each timeline with what this app's projections compute from the log; as for retry",
    )
    _add_progress(parser)


def _add_backup(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "copy a file, also while it is in use, and let SQLite check the copy"
    parser = commands.add_parser("backup", help=words, description=words)
    is_path(parser.add_argument("file", metavar="FILE", help="the SQLite file"))
    is_path(parser.add_argument("copy", metavar="COPY", help="the new file; nothing may be there"))
    _add_progress(parser)


def _add_restore(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "let SQLite check a backup, and put a copy of it where an app opens its file, or in place of that"
    parser = commands.add_parser("restore", help=words, description=words)
    is_path(parser.add_argument("copy", metavar="COPY", help="the backup, which stays as it is"))
    is_path(parser.add_argument("file", metavar="FILE", help="the SQLite file; no process may have it open"))
    parser.add_argument("--replace", action="store_true", help="replace the file that is there, which is lost")
    _add_progress(parser)


def _add_upgrade(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "bring a file of an earlier version to the present one, as an app does when it opens it"
    parser = commands.add_parser("upgrade", help=words, description=words)
    is_path(parser.add_argument("file", metavar="FILE", help="the SQLite file"))
    _add_dry_run(parser)
    _add_progress(parser)


def _add_copy(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "copy the sessions of a file to PostgreSQL, and check each; again, to go on or to bring it up to date"
    parser = commands.add_parser("copy", help=words, description=words)
    is_path(parser.add_argument("file", metavar="FILE", help="the SQLite file, which stays as it is"))
    parser.add_argument("target", metavar="URL", help="the database, postgres://…; its tables are created if need be")
    _add_progress(parser)


def _add_types(commands: argparse._SubParsersAction[_Parser]) -> None:
    words = "write the TypeScript of an app's messages, for the npm package sessionstream"
    parser = commands.add_parser("types", help=words, description=words)
    parser.add_argument(
        "app",
        metavar="MODULE:NAME",
        help="a SchemaRegistry, a Hub, or a function that returns one; also the function of --app of other commands",
    )
    written = "the file to write; default: standard output"
    is_path(parser.add_argument("--out", default="-", metavar="FILE", help=written))
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if the file is not up to date")
    parser.add_argument("--name", type=_type_name, default="App", help="of the type of the app (default: App)")
    comments = "brings the comments: what protoc writes with --include_source_info --descriptor_set_out=FILE"
    is_path(parser.add_argument("--descriptors", metavar="FILE", help=comments))


def _add_session(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    is_path(parser.add_argument("store", metavar="STORE", help=_STORE))
    parser.add_argument("session", metavar="SESSION", nargs="?" if optional else None, help="the session's id")


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")


def _add_progress(parser: argparse.ArgumentParser) -> None:
    words = "show on standard error how far it is; without it, only on a terminal"
    parser.add_argument("--progress", action="store_true", help=words)


def _ordinal(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2**64 - 1")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 0 to 65535")
    return int(text)


def _type_name(text: str) -> str:
    if not typescript.is_type_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot name a type")
    return text


def _positive(text: str) -> int:
    number = _ordinal(text)
    if number == 0:
        raise argparse.ArgumentTypeError("nothing would be shown")
    return number
