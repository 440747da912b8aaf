"""What ``sessionstream types`` writes: it compiles, holds every value that is sent, and notices a renamed field."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream import SchemaRegistry, TimelineEntity, UIEvent
from sessionstream.admin.typescript import typescript
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.systemlab.notebook import notebook_schemas
from sessionstream.testing import payloads
from sessionstream.transport import frame_json

from .messages import PROTOS, Messages, compiled
from .notes import schemas
from .project import Project

if TYPE_CHECKING:
    from google.protobuf.message import Message

CORNERS: Final = {
    "Everything": "corners.v1.Everything", "Part": "corners.v1.Part", "OneofOnly": "corners.v1.OneofOnly",
    "Nothing": "corners.v1.Empty", "Names": "corners.v1.Names", "Old": "Old", "New": "corners.edition.New",
    "Any": "google.protobuf.Any", "Time": "google.protobuf.Timestamp", "ListValue": "google.protobuf.ListValue",
    "Text": "google.protobuf.StringValue", "Value": "google.protobuf.Value", "very-empty": "google.protobuf.Empty",
}  # fmt: skip
"""Names, and the messages registered for them."""

EXAMPLES: Final = 6
"""Random payloads of each message."""

WRONG: Final = (
    ("commands", "Everything", "{ int64: 1 }"),
    ("commands", "Everything", '{ color: "BLUE" }'),
    ("commands", "Everything", '{ byNumber: { "1": "BLUE" } }'),
    ("commands", "Part", '{ text: "a", number: "1" }'),
    ("commands", "Nothing", '{ text: "a" }'),
    ("commands", "Nothing", '"a"'),
    ("commands", "Old", '{ id: "a" }'),
    ("commands", "Old", '{ id: "a", closed: 3 }'),
    ("commands", "Time", "{ seconds: 1 }"),
    ("entities", "Text", '"a"'),
    ("entities", "Text", '{ "@type": "type.googleapis.com/google.protobuf.Int64Value", value: "a" }'),
)
"""Values that are not of the type that the words before them name."""


def corners(messages: Messages) -> SchemaRegistry:
    """Every message that is hard to type, as a command, a UI event and an entity."""
    registry = SchemaRegistry()
    for name, full_name in CORNERS.items():
        for register in (registry.register_command, registry.register_ui_event, registry.register_timeline_entity):
            register(name, messages[full_name])
    return registry


def examples(messages: Messages) -> Iterator[tuple[str, Message]]:
    """Random payloads, and some that are not random."""
    found: list[tuple[str, Message]] = []
    for name, full_name in CORNERS.items():

        @settings(max_examples=EXAMPLES, database=None, deadline=None)
        @given(st.tuples(st.just(name), payloads(messages[full_name])))
        def keep(example: tuple[str, Message]) -> None:
            found.append(example)

        keep()
    yield from found
    everything, part = messages["corners.v1.Everything"], messages["corners.v1.Part"]
    yield from (("Everything", everything(float=number)) for number in (math.nan, math.inf, -math.inf))
    yield "Everything", everything(color=77, colors=[0, 78], numbers=[2**64 - 1], other_color=1, value={})
    yield from (("Part", each) for each in (part(text=""), part(value={}), part(alone="", model="m"), part()))


def sent(registry: SchemaRegistry, name: str, payload: Message) -> Iterator[tuple[str, Any]]:
    """Yield a payload as clients get it and as they send it, with the member of the application's type."""
    yield "entities", json.loads(frame_json.entity(TimelineEntity(name, "id", payload, 1, 1)))["payload"]
    text, failure = frame_json.ui_event("s", 1, UIEvent(name, payload))
    assert failure is None
    body = json.loads(text)["uiEvent"]["payload"]
    yield "uiEvents", body
    has_own_form = name in ("Any", "Time", "ListValue", "Text", "Value")
    command = body["value"] if has_own_form else {key: each for key, each in body.items() if key != "@type"}
    registry.parse("command", name, command)
    yield "commands", command


def satisfied(member: str, name: str, value: str) -> str:
    return f"(({value}) satisfies Corners[{json.dumps(member)}][{json.dumps(name)}]);\n"


def test_values_as_they_are_sent_are_of_the_types_and_others_are_not(project: Project) -> None:
    """One compilation, because the compiler reads the types of the DOM each time."""
    descriptors = compiled("corners2.proto", "corners3.proto", "editions.proto")
    messages = Messages(descriptors)
    registry = corners(messages)
    files = {
        "corners": typescript(registry, "Corners", FileDescriptorSet.FromString(descriptors)),
        "chat": typescript(chat_schemas(), "Chat"),
        "notebook": typescript(notebook_schemas(), "Notebook"),
    }
    lines = ['import type { Corners } from "./corners";\n']
    for name, payload in examples(messages):
        lines += [satisfied(member, name, json.dumps(value)) for member, value in sent(registry, name, payload)]
    for member, name, value in WRONG:
        lines.append(f"// @ts-expect-error it is of another type\n{satisfied(member, name, value)}")
    folder = project.folder / "typed"
    for file, text in {**files, "values": "".join(lines)}.items():
        (folder / f"{file}.ts").write_text(text, "utf-8")
    project.run("tsc", "--project", folder)


def test_a_renamed_field_fails_the_build(project: Project, tmp_path: Path) -> None:
    protos = shutil.copytree(PROTOS, tmp_path / "protos")
    renamed = (protos / "notes.proto").read_text("utf-8").replace("string text", "string body")
    (protos / "notes.proto").write_text(renamed, "utf-8")
    folder = project.folder / "renamed"
    shutil.copytree(project.folder / "src", folder, dirs_exist_ok=True)
    (folder / "types.ts").write_text(
        typescript(schemas(Messages(compiled("notes.proto", folder=protos))), "Notes"), "utf-8"
    )
    (folder / "tsconfig.json").write_text('{"extends": "../tsconfig.json", "include": ["."]}', "utf-8")
    said = project.failure("tsc", "--project", folder)
    assert "Property 'text' does not exist on type" in said
    assert "'text' does not exist in type 'AddNote'" in said
    places = re.findall(r"^renamed/(.*)\(\d+,\d+\): error", said, re.MULTILINE)
    assert places == ["many.tsx", "notes.tsx", "notes.tsx"], f"the rest has to compile strictly: {said}"
