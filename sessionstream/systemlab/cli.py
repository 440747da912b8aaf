"""``sessionstream-systemlab``: serve the lab, and read the embedded help. (Reference: sessionstream-systemlab.)

Exit status: 0 done; 1 what was asked for failed; 2 wrong usage, or the extra ``lab`` is not installed; 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from sessionstream import SessionstreamError, StoreError, doc, output
from sessionstream.completion import is_path
from sessionstream.hydration import stores
from sessionstream.release import release
from sessionstream.serving import commands

PROGRAM: Final = "sessionstream-systemlab"
ADDRESS: Final = ":8091"
WEB: Final = ("jinja2", "markdown_it", "pygments", "starlette", "uvicorn", "websockets")
TERMINAL: Final = ("rich",)

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = parser().parse_args(argv)
    try:
        match options.command:
            case "serve":
                return _serve(options)
            case _:
                return _help(options.slug)
    except SessionstreamError as error:
        return _complain(str(error), FAILED)
    except BrokenPipeError:  # whoever read our output is gone
        output.give_up()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _serve(options: argparse.Namespace) -> int:
    if missing := commands.missing(WEB):
        return _complain(commands.how_to_install("the lab is a web application", missing, "lab"), USAGE)
    if options.store is not None:
        try:
            stores.look(options.store, lambda state: state.version)
        except StoreError as error:
            return _complain(str(error), USAGE)
    from sessionstream.systemlab import running  # the only part that needs all of the extra

    # Failures that the phases cause on purpose are shown on their pages, not logged.
    logging.getLogger("sessionstream").addFilter(lambda entry: not hasattr(entry, "error_record"))
    with suppress(KeyboardInterrupt, asyncio.CancelledError):  # told to end before it was served
        asyncio.run(running.serve(options.addr, options.store, partial(print, flush=True), browser=options.open))
    return OK


def _help(slug: str | None) -> int:
    if missing := commands.missing(TERMINAL):
        return _complain(commands.how_to_install("the help is formatted for the terminal", missing, "lab"), USAGE)
    from sessionstream.doc import terminal  # needs rich

    if slug is None:
        terminal.list_entries(sys.stdout)
    else:
        terminal.show_entry(slug, sys.stdout)
    sys.stdout.flush()
    return OK


def _complain(words: str, status: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {words}\n")
    return status


def _slug(text: str) -> str:
    """Return the slug of an entry.

    Raises:
        argparse.ArgumentTypeError: there is none of that slug.
    """
    try:
        return doc.get(text).slug
    except doc.UnknownEntryError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parser() -> argparse.ArgumentParser:
    """Return what parses the arguments; shtab makes completions for shells from it."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Try sessionstream in the browser, and check its guarantees.",
        epilog="exit status: 0 done; 1 what was asked for failed; 2 wrong usage, or the extra 'lab' is not installed",
    )
    made.add_argument("--version", action="version", version=f"{PROGRAM} {release()}")
    subparsers = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = subparsers.add_parser("serve", help="serve the lab until it is interrupted")
    serve.add_argument(
        "--addr",
        type=commands.address,
        default=ADDRESS,
        metavar="HOST:PORT",
        help="where to listen; without a host: on this machine only (default: %(default)s)",
    )
    serve.add_argument("--open", action="store_true", help="open it in a browser")
    store = "a store for the inspector: the path of a SQLite file, or a URL of PostgreSQL, postgres://…"
    is_path(serve.add_argument("--store", metavar="STORE", help=store))
    shown = subparsers.add_parser("help", help="list the entries of the embedded help, or show one")
    slugs = [entry.slug for entry in doc.entries()]  # for the completions: _slug refuses others first, and better
    shown.add_argument("slug", nargs="?", type=_slug, choices=slugs, metavar="SLUG", help="the entry to show")
    return made


if __name__ == "__main__":
    sys.exit(main())
