"""The scripts themselves: what README.md says about them is true."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import cast

import pytest

from sessionstream.transport.ws import conformance
from sessionstream.transport.ws.conformance import NAMES, Name, load

README = (resources.files(conformance) / "README.md").read_text("utf-8")
QUALIFIERS = {"on", "offers"}


@pytest.mark.parametrize("name", ["client", "server"])
def test_a_file_has_the_documented_shape(name: Name) -> None:
    file = load(name)
    assert (set(file), file["format"]) == ({"format", "settings", "scripts"}, 1)
    names = [script["name"] for script in file["scripts"]]
    assert len(set(names)) == len(names)
    for script in file["scripts"]:
        assert set(script) - {"needs", "settings"} == {"name", "about", "steps"}, script["name"]
        for step in script["steps"]:
            assert len(set(step) - QUALIFIERS) == 1, step


@pytest.mark.parametrize("name", ["client", "server"])
def test_every_kind_of_step_is_documented_and_every_documented_one_used(name: Name) -> None:
    section = README.split(f"## Scripts for {name}s")[1].split("\n## ")[0]
    documented = set(re.findall(r'^\| `"(\w+)"', section, re.MULTILINE))
    used = {next(iter(set(step) - QUALIFIERS)) for script in load(name)["scripts"] for step in script["steps"]}
    assert used == documented


def test_every_file_is_in_the_readme_and_the_other_way_round() -> None:
    files = {entry.name for entry in resources.files(conformance).iterdir() if entry.name.endswith(".json")}
    assert files == {f"{name}.json" for name in NAMES} == set(re.findall(r"^\| `([\w.]+)` \|", README, re.MULTILINE))


def test_the_recordings_are_json_twice() -> None:
    for conversation in load("transcripts").values():
        for step in conversation:
            if step["dir"] == "server":
                assert json.loads(step["raw"]) == step["json"]


def test_an_unknown_file_name() -> None:
    with pytest.raises(ValueError, match="client, server, transcripts"):
        load(cast("Name", "proxy"))
