"""The server of the page about production: how it ends, and what comes through the proxies that the page shows."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from websockets.asyncio.client import connect as connect_raw
from websockets.exceptions import ConnectionClosed

from sessionstream import Snapshot
from sessionstream.transport.ws import LiveEvent, connect

from .pages import HELP, blocks
from .run_blocks import free_port, named
from .serving import serving

PAGE = HELP / "howtos" / "sessionstream-production.md"


class Site:
    """The files of the page, with ports of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.app, self.proxy = free_port(), free_port()
        for block in blocks(PAGE.read_text("utf-8")):
            first, _, rest = block.text.partition("\n")
            path = "Caddyfile" if first == "# Caddyfile" else named(block.text)
            if path:
                place = directory / path
                place.parent.mkdir(exist_ok=True)
                ports = rest.replace("port=8000", f"port={self.app}")
                ports = ports.replace(":8000", f":{self.app}").replace(":8001", f":{self.proxy}")
                place.write_text(ports, "utf-8")

    @contextmanager
    def behind(self, proxy: str) -> Iterator[str]:
        """Run a proxy; yield the address that people see."""
        if proxy == "no proxy":
            yield f"127.0.0.1:{self.app}"
            return
        program = shutil.which(proxy)
        if program is None:
            pytest.skip(f"there is no {proxy}, so NOTHING was tried behind it: apt-get install {proxy}")
        with subprocess.Popen(self._proxy(program, proxy), cwd=self.directory, stderr=subprocess.PIPE) as process:
            try:
                yield f"127.0.0.1:{self.proxy}"
            finally:
                process.terminate()

    def _proxy(self, program: str, proxy: str) -> list[str]:
        if proxy == "caddy":
            config = self.directory / "Caddyfile"
            config.write_text("{\nadmin off\n}\n" + config.read_text("utf-8"), "utf-8")
            return [program, "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        where = f"pid {self.directory}/nginx.pid; daemon off; error_log stderr;"
        return [program, "-p", str(self.directory), "-c", "nginx.conf", "-g", where]


async def post(address: str, step: str) -> int:
    request = Request(f"http://{address}/jobs/job-7/{step}", method="POST")
    with await asyncio.to_thread(urlopen, request) as response:
        return int(response.status)


@pytest.mark.parametrize("proxy", ["no proxy", "nginx", "caddy"])
async def test_a_client_watches_and_a_page_is_told_when_to_return(tmp_path: Path, proxy: str) -> None:
    site = Site(tmp_path)
    async with serving(tmp_path, "serve.py") as server:
        with site.behind(proxy) as address:
            # The client waits for a proxy that is not there yet, as it does for a server.
            async with connect(f"ws://{address}/ws") as client:
                updates = client.subscribe("job-7")
                assert isinstance(await anext(updates), Snapshot)
                assert await post(address, "build") == 202
                update = await anext(updates)
                assert isinstance(update, LiveEvent)
                assert (update.ordinal, update.name) == (1, "StepShown")
            async with connect_raw(f"ws://{address}/ws", origin=f"http://{address}") as page:  # type: ignore[arg-type]
                await page.recv()
                server.terminate()
                with pytest.raises(ConnectionClosed):
                    await page.recv()
                assert (page.close_code, page.close_reason) == (1012, "retry-after=2")
        assert await server.ended() == 0
    assert not (tmp_path / "jobs.db-wal").exists()  # the store was closed
