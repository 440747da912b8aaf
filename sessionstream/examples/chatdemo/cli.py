"""The command line: ``demo`` runs the whole demonstration, ``chat`` and ``serve`` are interactive."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sessionstream import SessionstreamError, SQLiteStore, UIEvent, output
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.demo import linting, story
from sessionstream.examples.chatdemo.demo.checks import CheckFailed
from sessionstream.examples.chatdemo.demo.console import Console
from sessionstream.examples.chatdemo.demo.records import snapshot_of
from sessionstream.examples.chatdemo.demo.text import printable
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate
from sessionstream.hydration import stores
from sessionstream.serving import commands

ADDRESS = "127.0.0.1:8092"
STORE = "chatdemo.db"
WEB = ("starlette", "uvicorn", "websockets")

_DELAY = "seconds between two pieces of an answer"
_DEFAULT = "(default: %(default)s)"

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if options.command == "demo" and (missing := linting.missing_packages()):
        return _complain(commands.how_to_install("the demo also runs the linter", missing, "lint"), USAGE)
    if options.command == "serve" and (missing := commands.missing(WEB)):
        return _complain(commands.how_to_install("the page needs a web server", missing, "lab"), USAGE)
    if options.command == "serve" and stores.is_url(options.store) and (missing := commands.missing(["asyncpg"])):
        return _complain(commands.how_to_install("PostgreSQL needs a driver", missing, "postgres"), USAGE)
    console = Console(sys.stdout)
    # SIGTERM ends the command like Ctrl-C, with the same clean-up.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.command == "demo":
            asyncio.run(story.tell(console, options.prompt, options.delay))
        elif options.command == "serve":
            asyncio.run(serve(options))
        else:
            asyncio.run(chat(console, options))
    except CheckFailed as failure:
        console.failed(str(failure))
        return FAILED
    except SessionstreamError as error:
        return _complain(f"error: {error}", FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of the output has gone
        output.give_up()
        return FAILED
    finally:
        signal.signal(signal.SIGTERM, previous)
    return OK


async def serve(options: argparse.Namespace) -> None:
    """Serve the chat page until the process is interrupted.

    Raises:
        SessionstreamError: the address cannot be listened on, or the file cannot be opened.
    """
    from sessionstream.examples.chatdemo.serve import running  # the only part that needs the extra

    say = partial(print, flush=True)
    await running.serve(options.addr, options.store, options.delay, say, fresh=options.fresh)


async def chat(console: Console, options: argparse.Namespace) -> None:
    """Stream one answer, then print the session. If interrupted, the answer is stopped and its text so far is kept.

    Raises:
        SessionstreamError: the file cannot be opened, or the answer failed.
    """

    def show(_session_id: str, _ordinal: int, events: Sequence[UIEvent]) -> None:
        for event in events:
            if isinstance(event.payload, ChatMessageUpdate):
                print(printable(event.payload.chunk), end="", flush=True)

    async with (
        SQLiteStore.open(options.store, chat_schemas()) as store,
        Chat(store=store, fanout=show, delay=options.delay) as app,
    ):
        await app.start(options.session, options.prompt)
        await app.wait(options.session)
        print()
        console.snapshot(snapshot_of(await app.hub.snapshot(options.session)))


def _complain(words: str, status: int) -> int:
    print(words, file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sessionstream.examples.chatdemo", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = subparsers.add_parser("demo", help="lint a sample, stream a chat, kill the process, carry on")
    demo.add_argument("--prompt", type=_prompt, default="Explain ordinals", help=f"what to ask {_DEFAULT}")
    demo.add_argument("--delay", type=_delay, default=None, metavar="SECONDS", help=_DELAY)
    chat_command = subparsers.add_parser("chat", help="stream an answer and print the session")
    chat_command.add_argument("--store", required=True, metavar="FILE", help="the SQLite file; created if need be")
    chat_command.add_argument("--session", default="session-1", metavar="ID", help=f"the chat {_DEFAULT}")
    chat_command.add_argument("--delay", type=_delay, default=0.05, metavar="SECONDS", help=f"{_DELAY} {_DEFAULT}")
    chat_command.add_argument("prompt", type=_prompt, metavar="PROMPT", help="what to ask")
    serve_command = subparsers.add_parser("serve", help="the chat as a page in the browser")
    serve_command.add_argument(
        "--addr",
        type=commands.address,
        default=ADDRESS,
        metavar="HOST:PORT",
        help=f"where to listen; without a host: this machine alone {_DEFAULT}",
    )
    serve_command.add_argument(
        "--store",
        type=_location,
        default=STORE,
        metavar="STORE",
        help=f"the SQLite file, which is kept; or postgresql://…, which several servers may share {_DEFAULT}",
    )
    serve_command.add_argument("--fresh", action="store_true", help="delete the chats that are in the store")
    serve_command.add_argument("--delay", type=_delay, default=0.12, metavar="SECONDS", help=f"{_DELAY} {_DEFAULT}")
    return parser


def _prompt(text: str) -> str:
    try:
        if any("\ud800" <= char <= "\udfff" for char in text):  # a byte that the locale could not decode
            text = os.fsencode(text).decode("utf-8")
    except UnicodeError:
        raise argparse.ArgumentTypeError("the prompt is not valid Unicode text") from None
    if not text.strip():
        raise argparse.ArgumentTypeError("the prompt is empty: give a text to answer")
    return text


def _location(text: str) -> str:
    return text if stores.is_url(text) else str(Path(text).absolute())


def _delay(text: str) -> float:
    try:
        delay = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None
    if not 0 <= delay <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60 seconds")
    return delay
