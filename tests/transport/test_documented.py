"""The reference has every public name, field, stage, limit and code, as the code has them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import get_args

import pytest

from sessionstream import doc
from sessionstream.transport import ws
from sessionstream.transport.ws import CLOSE_CODES, ERROR_CODES, ConnectionInfo, ConnectionRecord, Limits, Stage

REFERENCE = doc.get("sessionstream-reference").body
SECTION = REFERENCE[REFERENCE.index("\n## WebSocket transport\n") : REFERENCE.index("\n## HTTP endpoints\n")]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    text = SECTION[SECTION.index(f"\n### {heading}\n") :]
    table = [line for line in text.split("\n### ")[1].splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table[2:]]


@pytest.mark.parametrize("name", ws.__all__)
def test_every_public_name(name: str) -> None:
    assert re.search(rf"\b{name}\b", SECTION)


VALUES = [ConnectionInfo, ConnectionRecord, Limits, ws.Overflow, ws.CloseCode, ws.ErrorCode, ws.LiveEvent, ws.Backoff]


@pytest.mark.parametrize("cls", VALUES)
def test_every_field(cls: type) -> None:
    assert dataclasses.is_dataclass(cls)
    for field in dataclasses.fields(cls):
        assert re.search(rf"\b{field.name}\b", SECTION), field.name


def test_every_public_method_of_the_server() -> None:
    for name in vars(ws.WebSocketServer):
        if not name.startswith("_"):
            assert f"`{name}(" in SECTION or f"`await {name}(" in SECTION, name


def test_every_stage_has_its_row() -> None:
    named = [stage for cells in rows("Observing connections") for stage in re.findall(r"\w+", cells[0])]
    assert sorted(named) == sorted(get_args(Stage))


def test_close_codes() -> None:
    assert rows("Close codes") == [[str(code.code), code.meaning, code.reconnect] for code in CLOSE_CODES]


def test_error_codes() -> None:
    assert rows("Error codes") == [[code.code, code.meaning, code.advice] for code in ERROR_CODES]


def test_the_defaults_of_the_limits() -> None:
    shown: dict[str, float] = {}
    for names, defaults, _ in rows("Limits"):
        values = [
            float(value.removesuffix(" MiB").replace(",", ""))
            for value in re.split(r", (?=\d+(?:,\d{3})*(?: MiB)?$)", defaults)
        ]
        if defaults.endswith("MiB"):
            values[-1] *= 1_048_576
        shown.update(zip(re.findall(r"\w+", names), values, strict=True))
    assert shown == dataclasses.asdict(Limits())


def test_codes_are_told_apart() -> None:
    assert len({code.code for code in CLOSE_CODES}) == len(CLOSE_CODES)
    assert len({code.code for code in ERROR_CODES}) == len(ERROR_CODES)


def test_every_argument_of_the_client() -> None:
    client = SECTION[SECTION.index("\n### WebSocket client\n") :]
    for name in inspect.signature(ws.connect).parameters:
        assert re.search(rf"\b{name}\b", client), name
