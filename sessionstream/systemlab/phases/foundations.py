"""Phase 0: the installation, and checks of the functions that the other phases depend on."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sessionstream import SchemaRegistry, doc
from sessionstream.examples.chatdemo import chat_schemas
from sessionstream.examples.chatdemo.demo import linting
from sessionstream.release import release
from sessionstream.schema import Family
from sessionstream.systemlab.actions import Action, Arguments
from sessionstream.systemlab.breaks import NOTHING, Break, break_field
from sessionstream.systemlab.notebook import notebook_schemas
from sessionstream.systemlab.panels import Table
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases.foundations_checks import all_checks
from sessionstream.systemlab.phases.foundations_probes import Findings, Subjects, probe
from sessionstream.systemlab.sabotage.help import torn_entries
from sessionstream.systemlab.sabotage.registry import PermissiveRegistry
from sessionstream.systemlab.sabotage.stores import StoreThatForgetsIds, StoreThatLosesEntities
from sessionstream.transport.ws import WebSocketServer

if TYPE_CHECKING:
    from google.protobuf.message import Message

PACKAGES: Final = (
    ("protobuf", "the core"),
    ("websockets", "ws"),
    ("starlette", "lab"),
    ("uvicorn", "lab"),
    ("Jinja2", "lab"),
    ("markdown-it-py", "lab"),
    ("Pygments", "lab"),
    ("flake8", "lint"),
    ("libcst", "lint"),
    ("opentelemetry-api", "otel"),
    ("hypothesis", "testing"),
    ("pytest", "testing"),
)


@dataclass(frozen=True, slots=True)
class Part(Break):
    """A part that is replaced by a broken one."""

    subjects: Subjects = field(default_factory=Subjects)


BROKEN: Final[Mapping[str, Part]] = MappingProxyType(
    {
        "registry": Part("The registry accepts any payload", "struct", subjects=Subjects(registry=PermissiveRegistry)),
        "memory": Part("The store in memory loses an entity", "agree", subjects=Subjects(store=StoreThatLosesEntities)),
        "disk": Part("The disk forgets its files", "survives", subjects=Subjects(forgets_files=True)),
        "ids": Part("The store forgets event ids", "once", subjects=Subjects(store=StoreThatForgetsIds)),
        "linter": Part(
            "A comment silences the linter",
            "linter",
            subjects=Subjects(sample=linting.SAMPLE.replace("Struct)", "Struct)  # noqa")),
        ),
        "help": Part("The package has an empty help entry", "help", subjects=Subjects(entries=torn_entries)),
        "imports": Part("The core imports a web server", "light", subjects=Subjects(first_import="import starlette")),
    }
)


class Foundations:
    """Small runs of all parts, with checks; repeated on demand, also with one part replaced by a broken one."""

    number = 0
    title = "Foundations"
    lead = "The installation, the registered messages, and checks of the functions that the other phases depend on."

    def __init__(self, _directory: Path) -> None:
        self._subjects = Subjects()
        self._broken = NOTHING
        self._runs = 0

    @property
    def server(self) -> WebSocketServer | None:
        """Return no connections: this phase has no WebSocket."""
        return None

    def actions(self) -> Sequence[Action]:
        """Return the actions."""
        return (
            Action(
                "run", "Run the checks", self._run, help="Each check is a small run; together they take about a second."
            ),
            Action(
                "break",
                "Break a promise",
                self._break,
                (break_field("part", BROKEN, self._broken, first="registry"),),
                help="Replaces a part by a broken one and runs the checks with it, until you reset this phase.",
                harm=True,
            ),
        )

    def breaks(self) -> Mapping[str, Break]:
        """Return the breaks by name."""
        return BROKEN

    async def start(self) -> None:
        """Start the first run of the checks; requests for the state wait for it."""
        self._probe()

    async def close(self) -> None:
        """End a run in progress."""
        self._probing.cancel()
        await asyncio.wait({self._probing})

    async def _run(self, _arguments: Arguments) -> None:
        await self._probe()

    async def _break(self, arguments: Arguments) -> None:
        self._broken = arguments.text("part")
        part = BROKEN.get(self._broken)
        self._subjects = Subjects() if part is None else part.subjects
        await self._probe()

    def _probe(self) -> asyncio.Task[Findings]:
        self._runs += 1
        self._probing = asyncio.create_task(probe(self._subjects))
        return self._probing

    async def state(self) -> State:
        """Return the results of the last run, and the installed versions."""
        return State(
            checks=all_checks(await asyncio.shield(self._probing)),
            panels=(_packages(), _schemas(), _help()),
            facts=(
                ("sessionstream", release()),
                ("Python", platform.python_version()),
                ("protobuf", version("protobuf")),
                ("Runs", self._runs),
            ),
            latest=f"run {self._runs} of the checks",
            broken=BROKEN.get(self._broken),
        )


def _packages() -> Table:
    rows = tuple((name, _version(name), extra) for name, extra in PACKAGES)
    return Table("packages", "Packages", ("Package", "Version", "Comes with"), rows, "None.")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _schemas() -> Table:
    rows = (*_rows("notebook", notebook_schemas()), *_rows("chat", chat_schemas()))
    return Table("schemas", "Registered messages", ("App", "Family", "Name", "Message"), rows, "None.")


def _rows(app: str, registry: SchemaRegistry) -> Iterator[tuple[str, str, str, str]]:
    found: tuple[tuple[Family, Callable[[str], type[Message] | None]], ...] = (
        ("command", registry.command_schema),
        ("event", registry.event_schema),
        ("ui event", registry.ui_event_schema),
        ("timeline entity", registry.timeline_entity_schema),
    )
    for family, schema in found:
        for name in registry.names(family):
            message = schema(name)
            yield app, family, name, "" if message is None else message.DESCRIPTOR.full_name


def _help() -> Table:
    rows = tuple((entry.section, entry.slug, entry.title, len(entry.body)) for entry in doc.entries())
    return Table("help", "Embedded help", ("Section", "Slug", "Title", "Characters"), rows, "None.")
