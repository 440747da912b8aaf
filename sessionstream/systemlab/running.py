"""Runs the lab on a socket until it is told to stop."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from contextlib import closing
from threading import Thread

from sessionstream.hydration import stores
from sessionstream.serving import running
from sessionstream.serving.address import Address
from sessionstream.systemlab.app import lab_app
from sessionstream.systemlab.lab import Lab
from sessionstream.transport.ws import Limits


async def serve(address: Address, store: stores.Location | None, say: Callable[[str], None], *, browser: bool) -> None:
    """Serve the lab until SIGINT or SIGTERM; a second SIGINT does not wait for requests.

    Args:
        address: where to listen.
        store: where a store for the inspector is; None: it shows only the phases.
        say: prints a line for the user who started it.
        browser: whether to open the lab in a browser.

    Raises:
        TransportError: the address cannot be listened on.
    """
    with running.sigterm_cancels(), closing(running.listen(address, "--addr")) as listening:
        async with Lab() as lab:
            url = address.url(listening.getsockname()[1])
            say(f"lab:   {url}")
            if store is not None:
                say(f"store: {stores.shown(store)}")
            if not address.local:
                say(f"Whoever can reach {address.host} can use this lab, and break what is in it.")
            if browser:
                # Some browsers use the terminal until the user quits them; the lab has to respond meanwhile.
                Thread(target=_browse, args=(url, say), daemon=True).start()
            await running.run(
                lab_app(lab, address.names, store), listening, frame_bytes=Limits().frame_bytes, farewell=lab.close
            )


def _browse(url: str, say: Callable[[str], None]) -> None:
    if not webbrowser.open(url):
        say("There is no browser to open here.")
