"""The lab: phases made, used, made anew and closed, whatever they do meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sessionstream import Hub, SchemaRegistry, SessionstreamError
from sessionstream.systemlab.actions import Action, Arguments
from sessionstream.systemlab.breaks import Break
from sessionstream.systemlab.inspector import running
from sessionstream.systemlab.lab import Interrupted, Lab, UnknownPhase
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases import PHASES, PhaseFactory
from sessionstream.transport.ws import WebSocketServer


class Slow:
    """A phase whose action waits to be let go, and that notes what happens to it."""

    number = 7
    title = "Slow"
    lead = "Waits."
    server: WebSocketServer | None = None
    made: list[Slow]

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log: list[str] = []
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.closed = False
        self.refuses: SessionstreamError | None = None
        self.made.append(self)

    def actions(self) -> Sequence[Action]:
        return (Action("wait", "Wait", self._wait), Action("refuse", "Refuse", self._refuse))

    def breaks(self) -> Mapping[str, Break]:
        return {}

    async def _wait(self, _: Arguments) -> None:
        self.log.append("begins")
        self.began.set()
        try:
            await self.go.wait()
        finally:
            self.log.append("ends")

    async def _refuse(self, _: Arguments) -> None:
        raise SessionstreamError("no more")

    async def start(self) -> None:
        (self.directory / "file").touch()
        if self.refuses is not None:
            raise self.refuses

    async def state(self) -> State:
        if self.closed:
            raise SessionstreamError("the hub is shut down")
        return State((), (), facts=(("made", len(self.made)),))

    async def close(self) -> None:
        self.log.append("closes")
        self.closed = True


def files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, and what was made before forgotten."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Slow, "made", [], raising=False)
    return tmp_path


async def test_actions_run_one_at_a_time() -> None:
    async with Lab([Slow]) as lab:
        (phase,) = Slow.made
        runs = [asyncio.create_task(lab.run(7, "wait", {})) for _ in range(2)]
        await phase.began.wait()
        assert (await lab.state(7)).facts == (("made", 1),)  # also meanwhile
        phase.go.set()
        await asyncio.gather(*runs)
        assert phase.log == ["begins", "ends", "begins", "ends"]


async def test_a_reset_interrupts_what_runs_and_makes_everything_anew(temporary: Path) -> None:
    async with Lab([Slow]) as lab:
        run = asyncio.create_task(lab.run(7, "wait", {}))
        await Slow.made[0].began.wait()
        await lab.reset()
        with pytest.raises(Interrupted, match="Wait was interrupted by a reset"):
            await run
        assert Slow.made[0].log == ["begins", "ends", "closes"]
        assert lab.phase(7) is Slow.made[1]
        assert not Slow.made[0].directory.exists()
        assert (Slow.made[1].directory / "file").exists()
        assert files(temporary) != []
    assert files(temporary) == []


async def test_a_request_during_a_reset_gets_the_new_state() -> None:
    async with Lab([Slow]) as lab:
        asked = asyncio.create_task(lab.state(7))
        reset = asyncio.create_task(lab.reset(7))
        states = [await lab.state(7) for _ in range(3)]
        await reset
        assert {state.facts for state in [await asked, *states]} <= {(("made", 1),), (("made", 2),)}
        assert (await lab.state(7)).facts == (("made", 2),)


async def test_a_cancelled_call_ends_its_action() -> None:
    async with Lab([Slow]) as lab:
        run = asyncio.create_task(lab.run(7, "wait", {}))
        await Slow.made[0].began.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await lab.reset()
        assert Slow.made[0].log == ["begins", "ends", "closes"]


async def test_what_the_library_refuses_comes_out() -> None:
    async with Lab([Slow]) as lab:
        with pytest.raises(SessionstreamError, match="no more"):
            await lab.run(7, "refuse", {})
        Slow.made[0].closed = True
        with pytest.raises(SessionstreamError, match="shut down"):
            await lab.state(7)
        for asks in (lab.state(8), lab.run(8, "wait", {}), lab.reset(8)):
            with pytest.raises(UnknownPhase, match="there is no phase 8; there are 7"):
                await asks


async def test_closing_interrupts_and_may_be_repeated(temporary: Path) -> None:
    lab = Lab([Slow])
    await lab.__aenter__()
    run = asyncio.create_task(lab.run(7, "wait", {}))
    await Slow.made[0].began.wait()
    await lab.close()
    await lab.close()
    with pytest.raises(Interrupted):
        await run
    assert Slow.made[0].log == ["begins", "ends", "closes"]
    assert files(temporary) == []


async def test_a_phase_that_cannot_start_leaves_nothing_behind(
    temporary: Path,
) -> None:
    class Refusing(Slow):
        async def start(self) -> None:
            raise SessionstreamError("not today")

    with pytest.raises(SessionstreamError, match="not today"):
        async with Lab([Slow, Refusing]):
            raise AssertionError
    assert [phase.log for phase in Slow.made] == [["closes"], ["closes"]]
    assert files(temporary) == []


async def test_who_connects_during_a_reset_comes_to_the_new_server() -> None:
    asked: list[asyncio.Task[WebSocketServer | None]] = []

    class Closing(Slow):
        def __init__(self, directory: Path) -> None:
            super().__init__(directory)
            self.server = WebSocketServer(Hub(SchemaRegistry()))

        async def close(self) -> None:
            asked.append(asyncio.create_task(lab.server(7)))
            await asyncio.sleep(0)  # so that it asks now
            await super().close()

    async with Lab([Closing]) as lab:
        old = await lab.server(7)
        await lab.reset(7)
        assert await asked[0] is lab.phase(7).server is not old


async def test_the_inspector_can_be_asked_about_every_phase_with_sessions() -> None:
    async with Lab() as lab:
        await lab.run(3, "add", {})
        await lab.run(4, "send", {})
        found = {source.id: await source.sessions("", False, 0, 1) for source in running(lab.phases)}
    assert {name: [each.id for each in page.sessions] for name, page in found.items()} == {
        "phase1": [],
        "phase2": [],
        "phase3": ["notebook"],
        "phase4": ["chat"],
        "phase5": [],
    }


@pytest.mark.parametrize("factory", PHASES[2:])
async def test_a_phase_that_is_not_started_has_no_store_and_says_so(factory: PhaseFactory, tmp_path: Path) -> None:
    [source] = running([factory(tmp_path)])
    with pytest.raises(SessionstreamError, match="this phase is not started"):
        await source.sessions("", False, 0, 1)
