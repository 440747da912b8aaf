"""The command ``sessionstream``, also as ``python -m sessionstream``: that of ``admin``, with the lab's inspector."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from sessionstream.admin import cli
from sessionstream.admin.outcome import Refused


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, print its answer, and return the exit status."""
    return cli.main(argv, web=_inspect)


def _inspect(store: str, port: int) -> None:
    """Serve the inspector over a store until SIGINT or SIGTERM.

    Raises:
        Refused: the extra ``lab`` is not installed.
        TransportError: the port cannot be listened on.
    """
    from sessionstream.serving import commands  # only this command needs them
    from sessionstream.systemlab.cli import WEB

    if missing := commands.missing(WEB):
        raise Refused(commands.how_to_install("the inspector is a web application", missing, "lab"))
    from sessionstream.systemlab.inspector import alone

    with suppress(KeyboardInterrupt, asyncio.CancelledError):  # told to end before it was served
        asyncio.run(alone.serve(store, port, partial(print, flush=True)))


if __name__ == "__main__":
    sys.exit(main())
