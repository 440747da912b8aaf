"""All phases of the lab: creates them, runs one action at a time, restarts them, and closes them completely."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from types import TracebackType

from sessionstream import SessionstreamError
from sessionstream.release import release
from sessionstream.systemlab.actions import Action, BadRequest
from sessionstream.systemlab.checks import Json
from sessionstream.systemlab.phase import Phase, State
from sessionstream.systemlab.phases import PHASES, PhaseFactory
from sessionstream.transport.ws import WebSocketServer


class UnknownPhase(LookupError):
    """The lab has no phase of this number."""


class Interrupted(Exception):
    """An action was interrupted, because its phase was reset or the lab closes."""


class Lab:
    """The phases, by number. ``async with`` opens and closes it.

    Args:
        factories: make the phases, in the order of their numbers.
    """

    def __init__(self, factories: Sequence[PhaseFactory] = PHASES) -> None:
        self._factories = factories
        self._stack = AsyncExitStack()
        self._benches: dict[int, _Bench] = {}

    async def __aenter__(self) -> Lab:
        async with AsyncExitStack() as stack:
            root = Path(stack.enter_context(TemporaryDirectory(prefix="sessionstream-systemlab-")))
            for place, factory in enumerate(self._factories):
                bench = _Bench(factory, root / str(place))
                stack.push_async_callback(bench.close)
                await bench.open()
                self._benches[bench.phase.number] = bench
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End running actions, close every phase and delete the files; calling it again is allowed."""
        await self._stack.aclose()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The current phases, by number."""
        return tuple(bench.phase for _, bench in sorted(self._benches.items()))

    def phase(self, number: int) -> Phase:
        """Return the current phase of a number.

        Raises:
            UnknownPhase: there is none of that number.
        """
        return self._bench(number).phase

    async def server(self, number: int) -> WebSocketServer | None:
        """Return the server of a phase's WebSocket; while the phase is reset, wait for the new one.

        Raises:
            UnknownPhase: there is none of that number.
        """
        return await self._bench(number).server()

    async def state(self, number: int) -> State:
        """Return the state of a phase; while it is reset, wait for the new one.

        Raises:
            UnknownPhase: there is none of that number.
        """
        return await self._bench(number).state()

    async def run(self, number: int, name: str, fields: Mapping[str, object]) -> None:
        """Run an action, after the actions of the phase that already run.

        Raises:
            UnknownPhase: there is no phase of that number.
            BadRequest: the phase has no such action, or the action does not take these fields.
            Interrupted: the phase was reset meanwhile.
            SessionstreamError: the library raised an error that the action did not expect.
        """
        await self._bench(number).run(name, fields)

    async def reset(self, number: int | None = None) -> None:
        """Restart a phase, or all of them; running actions are interrupted.

        Raises:
            UnknownPhase: there is no phase of that number.
        """
        for bench in list(self._benches.values()) if number is None else [self._bench(number)]:
            await bench.reset()

    async def status(self) -> dict[str, Json]:
        """Return the version, and the results of the checks of each phase."""
        phases: list[Json] = []
        for phase in self.phases:
            verdicts = Counter(check.verdict for check in (await self.state(phase.number)).checks)
            phases.append(
                {
                    "number": phase.number,
                    "title": phase.title,
                    "lead": phase.lead,
                    "passed": verdicts["passed"],
                    "failed": verdicts["failed"],
                    "held": verdicts["held"],
                    "waiting": verdicts["waiting"],
                    "connections": 0 if phase.server is None else len(phase.server.connections()),
                }
            )
        return {"version": release(), "phases": phases}

    def _bench(self, number: int) -> _Bench:
        try:
            return self._benches[number]
        except KeyError:
            has = ", ".join(map(str, sorted(self._benches)))
            raise UnknownPhase(f"there is no phase {number}; there are {has}") from None


class _Bench:
    """The place of one phase: the phase that is there now, and what it does at the moment.

    Each phase gets a new directory, so that a restarted phase finds no files of the one before.
    """

    def __init__(self, factory: PhaseFactory, directory: Path) -> None:
        self._factory = factory
        self._directory = directory
        self._made = 0
        self._turn = asyncio.Lock()
        self._ready = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._make()

    def _make(self) -> None:
        self._made += 1
        self._files = self._directory / str(self._made)
        self._files.mkdir(parents=True)
        self.phase = self._factory(self._files)

    async def open(self) -> None:
        await self.phase.start()
        self._ready.set()

    async def close(self) -> None:
        self._interrupt()
        async with self._turn:
            await self.phase.close()

    async def reset(self) -> None:
        self._interrupt()
        async with self._turn:
            self._ready.clear()
            try:
                await self.phase.close()
                rmtree(self._files)
                self._make()
                await self.phase.start()
            finally:
                self._ready.set()  # also for a phase that cannot start: requests then get the reason

    async def server(self) -> WebSocketServer | None:
        await self._ready.wait()
        return self.phase.server

    async def state(self) -> State:
        while True:
            await self._ready.wait()
            phase = self.phase
            try:
                return await phase.state()
            except SessionstreamError:
                if self._ready.is_set() and self.phase is phase:
                    raise

    async def run(self, name: str, fields: Mapping[str, object]) -> None:
        async with self._turn:
            action = self._action(name)
            arguments = action.arguments(fields)
            self._running = running = asyncio.ensure_future(action.run(arguments))
            try:
                await asyncio.wait({running})
            finally:
                self._running = None
                running.cancel()
            if running.cancelled():
                raise Interrupted(f"{action.label} was interrupted by a reset")
            running.result()

    def _action(self, name: str) -> Action:
        actions = {action.name: action for action in self.phase.actions()}
        if name not in actions:
            raise BadRequest(f"there is no action {name!r} here; there are {', '.join(actions) or 'none'}")
        return actions[name]

    def _interrupt(self) -> None:
        if self._running is not None:
            self._running.cancel()
