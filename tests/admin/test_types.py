"""``sessionstream types``: where the registry comes from, where the text goes, and what it says."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from sessionstream import Hub, HydrationStore, SchemaRegistry
from sessionstream.examples.chatdemo.schemas import chat_schemas

from .conftest import Run

HERE = "tests.admin.test_types"
CHAT = "sessionstream.examples.chatdemo.schemas:chat_schemas"
PROTOS = Path(__file__).parents[2] / "proto"

registry = chat_schemas()
hub = Hub(registry)
number = 7


async def later() -> SchemaRegistry:
    return registry


def on(store: HydrationStore) -> Hub:
    return Hub(registry, store=store)


def broken() -> SchemaRegistry:
    raise LookupError("no settings")


@pytest.mark.parametrize("place", [CHAT, *(f"{HERE}:{name}" for name in ("registry", "hub", "later", "on"))])
def test_the_registry_comes_from_what_an_app_has(run: Run, place: str) -> None:
    ran = run("types", place)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.endswith("}\n")
    assert "export interface App {\n  readonly commands: {\n    readonly ChatStartInference: " in ran.out
    assert "readonly messageId?: string;" in ran.out
    assert run("types", place).out == ran.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["nowhere"], 2, "APP is module:registry, not 'nowhere'"),
        (["nowhere:schemas"], 2, "cannot load APP nowhere:schemas: ModuleNotFoundError"),
        ([f"{HERE}:schemas"], 2, "has no attribute 'schemas'"),
        ([f"{HERE}:number"], 2, f"{HERE}:number is a int: name a SchemaRegistry, a Hub, or a function that returns"),
        ([f"{HERE}:broken"], 2, "LookupError: no settings"),
        (["json:loads"], 2, "json:loads failed: TypeError"),
        ([CHAT, "--check"], 2, "--check is of a file: add --out FILE"),
        ([CHAT, "--out", "no/such/folder.ts"], 1, "cannot write no/such/folder.ts"),
        ([CHAT, "--descriptors", "nowhere.binpb"], 2, "cannot read nowhere.binpb"),
        ([CHAT, "--descriptors", __file__], 2, "is no FileDescriptorSet: protoc writes one with --include_source_info"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, words: list[str], status: int, message: str) -> None:
    ran = run("types", *words)
    assert (ran.status, ran.out) == (status, "")
    assert message in ran.err


@pytest.mark.parametrize("name", ["class", "string", "a-b", "", "OneOf", "Pick"])
def test_a_name_that_cannot_be_written_is_refused(run: Run, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("types", CHAT, "--name", name)
    assert "cannot name a type" in capsys.readouterr().err


def test_a_check_fails_until_the_file_is_written(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "types.ts"
    command = ("types", CHAT, "--name", "Chat", "--out", file)
    missing = run(*command, "--check")
    assert missing.status == 1
    assert f"{file} does not exist" in missing.err
    assert not file.exists()
    assert run(*command) == (0, "", "")
    assert run(*command, "--check") == (0, "", "")
    before = file.stat().st_mtime_ns
    assert run(*command).status == 0
    assert file.stat().st_mtime_ns == before  # a watcher would build again
    file.write_text(file.read_text("utf-8").replace("messageId", "id"), "utf-8")
    old = run(*command, "--check")
    assert old.status == 1
    assert f"{file} is not up to date: run the same command without --check" in old.err
    assert run("types", CHAT, "--out", file, "--check").status == 1


def test_the_comments_come_from_a_descriptor_set(run: Run, tmp_path: Path) -> None:
    file, path = tmp_path / "set.binpb", "sessionstream/examples/chatdemo/v1/chat.proto"
    protoc = Path(sysconfig.get_path("scripts")) / "protoc"
    options = ["--include_source_info", f"--descriptor_set_out={file}"]
    subprocess.run([protoc, f"-I{PROTOS}", *options, path], check=True)
    text = run("types", CHAT, "--descriptors", file).out
    assert "/** The payload of every UI event. */\nexport type ChatMessageUpdate = {\n" in text
    assert "  /** The ordinal of the backend event, in decimal. */\n  readonly ordinal?: string;\n" in text
    assert "/**\n * One piece of the answer. Only the new chunk is logged" in text
    assert "The payload of every" not in run("types", CHAT).out


def test_an_answer_in_json(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "types.ts"
    text = run("types", CHAT).out
    assert run("types", CHAT, "--json").document == {"command": "types", "app": CHAT, "out": None, "types": text}
    for changed in (True, False):
        document = run("types", CHAT, "--out", out, "--json").document
        assert document == {"command": "types", "app": CHAT, "out": str(out), "changed": changed}
