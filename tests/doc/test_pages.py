"""What the pages say is so: every block runs, every name is there, every link leads somewhere."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from inspect import isfunction, signature
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from pyflakes.api import check as pyflakes_check  # type: ignore[import-untyped]
from pyflakes.reporter import Reporter  # type: ignore[import-untyped]

import sessionstream
from sessionstream import doc, errors, testing
from sessionstream.transport import http, ws
from sessionstream.v1 import transport_pb2
from sessionstream_lint.engine import check
from sessionstream_lint.rules.catalogue import SUMMARIES

from .pages import DECISIONS, ENTRIES, HELP, PAGES, ROOT, Block, anchors, blocks, links, name_of
from .run_blocks import named

RUNNER = Path(__file__).parent / "run_blocks.py"
SLUGS = {
    "sessionstream-getting-started": "tutorials",
    "sessionstream-ag-ui": "howtos",
    "sessionstream-ai-sdk": "howtos",
    "sessionstream-browser": "howtos",
    "sessionstream-commands": "howtos",
    "sessionstream-django": "howtos",
    "sessionstream-fastapi": "howtos",
    "sessionstream-llm-streaming": "howtos",
    "sessionstream-production": "howtos",
    "sessionstream-sse": "howtos",
    "sessionstream-testing-your-app": "howtos",
    "sessionstream-user-guide": "topics",
    "sessionstream-reference": "reference",
    "sessionstream-scaling-playbook": "playbooks",
    "sessionstream-schema-vet-playbook": "playbooks",
}
REFERENCE = doc.get("sessionstream-reference").body


def ids(path: Path) -> str:
    return name_of(path)


def page_blocks(page: Path) -> list[Block]:
    return list(blocks(page.read_text(encoding="utf-8")))


def run_page(page: Path, directory: Path) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", str(RUNNER), str(page)],
        cwd=directory,
        input=json.dumps([[block.info, block.line, block.text] for block in page_blocks(page)]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    shown = json.loads(ran.stdout)
    assert isinstance(shown, list)
    return shown


def programs(page: Path) -> dict[str, str]:
    """Return what the reader of a page makes of its Python: files, and blocks that are each run by themselves."""
    found: dict[str, str] = {}
    for block in page_blocks(page):
        if block.info == "python":
            name = named(block.text) or f"{name_of(page)}:{block.line}"
            found[name] = found.get(name, "") + block.text
    return found


@pytest.mark.parametrize("page", [page for page in ENTRIES if page.parent.name in ("tutorials", "howtos")], ids=ids)
def test_every_block_that_is_followed_step_by_step_is_a_program_by_itself(page: Path) -> None:
    for name, text in programs(page).items():
        out, err = StringIO(), StringIO()
        pyflakes_check(text, name, Reporter(out, err))
        wrong = [line for line in out.getvalue().splitlines() if "imported but unused" not in line]
        assert (wrong, err.getvalue()) == ([], ""), name


def test_there_are_the_entries_that_people_know() -> None:
    assert [(entry.slug, entry.section) for entry in doc.entries()] == list(SLUGS.items())


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_python_block_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    found = page_blocks(page)
    printed = run_page(page, tmp_path)
    for block, before in zip(found[1:], printed, strict=False):
        if block.info == "text output":
            assert before == block.text, f"{name_of(page)}:{block.line}"
    if page.parent.name == "tutorials":  # whose reader compares
        assert [block.info == "text output" for block in found[1:]] == [bool(text) for text in printed][:-1]
        assert any(printed)


@pytest.mark.parametrize("page", ENTRIES, ids=name_of)
def test_code_that_is_only_shown_has_its_language(page: Path) -> None:
    code = re.compile(r"(import|const|await) |\w[\w.]*\(|\{|# Caddyfile")
    assert [block.line for block in page_blocks(page) if block.info == "text" and code.match(block.text)] == []


def test_the_entries_have_blocks_to_run() -> None:
    for page in ENTRIES:
        assert any(block.info == "python" for block in page_blocks(page)), page


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("```python\nundefined\n```\n", "NameError"),
        ("```python\nimport warnings; warnings.warn('x')\n```\n", "UserWarning"),
        ("```python\nx = 1  # SST001\n```\n", "does not refuse"),
    ],
)
def test_a_block_that_does_not_run_is_noticed(tmp_path: Path, text: str, word: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Some text\n\n{text}", encoding="utf-8")
    with pytest.raises(AssertionError, match=word):
        run_page(page, tmp_path)


def test_blocks_of_a_page_share_names_and_keep_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "\n```python\nasync def two(): return 2\n```\n\n1. In a list\n\n   ```python\n   print(await two())\n   ```\n",
        encoding="utf-8",
    )
    assert run_page(page, tmp_path) == ["", "2\n"]
    page.write_text("\n\n```python\n\nassert False\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"page\.md.*, line 5"):
        run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_the_linter_agrees_with_every_python_block(page: Path) -> None:
    """A line with a comment ``# SST001`` is a finding, no other line is."""
    lines: dict[int, str] = {}
    for block in page_blocks(page):
        if block.info == "python":
            if "# SST001" in block.text:
                lines[block.line - 1] = "from google.protobuf.struct_pb2 import Struct"
            lines.update(enumerate(block.text.splitlines(), start=block.line))
    expected = {number for number, line in lines.items() if "# SST001" in line}
    source = "".join(lines.get(number, "") + "\n" for number in range(1, max(lines, default=0) + 1))
    assert {found.line for found in check(source, "page.py")} == expected


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [sessionstream, ws, http, testing, doc], ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not re.search(rf"\b{name}\b", REFERENCE)] == []


def public_modules() -> set[str]:
    """The modules that the reference calls public."""
    table = REFERENCE[REFERENCE.index("| Module | For |") : REFERENCE.index("## Extras")]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}


def test_what_the_pages_import_is_of_public_modules() -> None:
    public = public_modules()
    assert [name for name in public if importlib.util.find_spec(name) is None] == []
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    imported = set(re.findall(r"^\s*(?:from|import) (sessionstream[\w.]*)", pages, re.MULTILINE))
    api = "\n".join(page.read_text("utf-8") for page in (ROOT / "docs" / "api").glob("*.rst"))
    shown = set(re.findall(r"automodule:: ([\w.]+)", api))
    shown |= set(re.findall(r"auto(?:class|function|data|exception):: ([a-z_.0-9]+)\.[A-Za-z]", api))
    example = "sessionstream.examples.chatdemo"
    assert {name for name in imported | shown if not name.startswith(example)} - public == set()


# What others override or what Hypothesis calls is listed where it has to be known; a memory bus has what its port has.
TO_SUBCLASS = {"StoreContract", "BusContract", "HintsContract", "StoreMachine", "OrdinalMachine"}
INTERNAL = {"MemoryBus.forget"}


@pytest.mark.parametrize("module", [sessionstream, ws, http, testing, doc], ids=lambda module: module.__name__)
def test_every_public_method_and_field_is_in_the_reference(module: ModuleType) -> None:
    members = {
        f"{name}.{member}"
        for name in set(module.__all__) - TO_SUBCLASS
        if isinstance(cls := getattr(module, name), type)
        for member in (*vars(cls), *getattr(cls, "__dataclass_fields__", ()))
        if not member.startswith("_")
    }
    assert len(members) > 5
    named = re.findall(r"\w+", REFERENCE)
    assert sorted(one for one in members - INTERNAL if one.partition(".")[2] not in named) == []


@pytest.mark.parametrize("module", [sessionstream, ws, http, testing, doc], ids=lambda module: module.__name__)
def test_every_argument_of_a_public_function_is_in_the_reference(module: ModuleType) -> None:
    functions = {name: getattr(module, name) for name in module.__all__ if isfunction(getattr(module, name))}
    arguments = {f"{name}({one})" for name, function in functions.items() for one in signature(function).parameters}
    named = set(re.findall(r"\w+", REFERENCE))
    # Of arguments that are given by position the reference says what they are, in words.
    by_position = {
        "derive_ordinal(stream_id)",
        "assign_ordinal(stream_id)",
        "disconnect(overflow)",
        "conflate(overflow)",
    }
    assert sorted(one for one in arguments - by_position if one.partition("(")[2][:-1] not in named) == []


def test_every_frame_has_its_row_with_its_fields() -> None:
    table = REFERENCE[REFERENCE.index("| Frame | Direction |") : REFERENCE.index("A conversation, as text")]
    rows = [[re.findall(r"\.?\w+", cell) for cell in line.split("|")[1:4]] for line in table.splitlines()[2:] if line]
    shown = {
        (frame, member.removeprefix(".")): set(fields) for (frame, *members), _, fields in rows for member in members
    }
    snapshot = {field.json_name for field in transport_pb2.SnapshotEntity.DESCRIPTOR.fields}
    assert shown == {
        (message.DESCRIPTOR.name, field.json_name): {one.json_name for one in field.message_type.fields}
        for message in (transport_pb2.ClientFrame, transport_pb2.ServerFrame)
        for field in message.DESCRIPTOR.fields
        if field.message_type is not None
    }
    assert snapshot <= set(re.findall(r"\w+", table))


def test_every_console_script_has_its_section() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    for script in scripts:
        assert f"\n### {script}\n" in REFERENCE


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    table = REFERENCE[REFERENCE.index("\n## Errors\n") : REFERENCE.index("\n## Commands\n")]
    rows = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if line[:2] == "| ")))
    tree = {
        name
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.SessionstreamError)
    }
    assert rows == tree - {"SessionstreamError"}


def test_every_lint_rule_is_in_the_reference_and_in_the_playbook() -> None:
    for text in (REFERENCE, doc.get("sessionstream-schema-vet-playbook").body):
        assert set(re.findall(r"^\| `(SST\d+)` \|", text, re.MULTILINE)) == set(SUMMARIES)


# -- links -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], ids=ids)
def test_every_internal_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in links(text):
        if target.startswith(("https://", "http://")):
            continue
        place, _, anchor = target.partition("#")
        file = page if not place else (page.parent / place)
        assert file.exists(), target
        if page in ENTRIES:
            assert file.resolve().is_relative_to(HELP), f"{target} leads out of what the wheel holds"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", ENTRIES, ids=ids)
def test_every_slug_that_is_mentioned_exists(page: Path) -> None:
    known = {*SLUGS, "sessionstream-lint", "sessionstream-systemlab", "sessionstream-help"}
    mentioned = set(re.findall(r"\bsessionstream-[a-z][a-z-]*[a-z]\b", page.read_text(encoding="utf-8")))
    assert mentioned <= known


@pytest.mark.parametrize("page", ENTRIES, ids=ids)
def test_every_entry_leads_to_what_belongs_to_it(page: Path) -> None:
    """How-tos to the guide and the reference, which lead to every entry; the rest to each other."""
    linked = {(page.parent / target.partition("#")[0]).resolve() for target in links(page.read_text(encoding="utf-8"))}
    expected = [other for other in ENTRIES if other.parent.name != "howtos"]
    match page.parent.name:
        case "howtos":
            expected = [other for other in ENTRIES if other.parent.name in ("topics", "reference")]
        case "topics" | "reference":
            expected = ENTRIES
    assert linked >= {other for other in expected if other != page}


def test_the_decisions_are_numbered_indexed_and_complete() -> None:
    pages = [page for page in DECISIONS if page.name != "README.md"]
    numbers = [page.name[:4] for page in pages]
    assert all(re.fullmatch(r"\d{4}", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert links(index) == [page.name for page in pages]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert re.match(rf"# {page.name[:4]}: \S", text), page
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Rejected"], page
