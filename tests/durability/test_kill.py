"""kill -9 at random instants: what was acknowledged is there, and nothing is there by halves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .killing import Killing, story

VARIANTS = pytest.mark.parametrize(
    ("synchronous", "children"), [("normal", 1), ("normal", 2), ("full", 1), ("full", 2)]
)


def kill(file: Path, synchronous: str, children: int, kills: int) -> Killing:
    with story(f"{synchronous} {children}") as random:
        killing = Killing(file, random, synchronous=synchronous, children=children)
        while killing.kills < kills or not killing.got_somewhere:
            killing.round()
        asyncio.run(killing.check(thorough=True))
    return killing


@VARIANTS
def test_three_kills(tmp_path: Path, synchronous: str, children: int) -> None:
    kill(tmp_path / "store.db", synchronous, children, 3)


@pytest.mark.torture
@VARIANTS
def test_hundreds_of_kills(tmp_path: Path, synchronous: str, children: int) -> None:
    killing = kill(tmp_path / "store.db", synchronous, children, 150)
    assert min(killing.model.cursors.values()) > 100
