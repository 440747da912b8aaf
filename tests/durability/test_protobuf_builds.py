"""Processes of different protobuf builds on one file: what is equal counts as equal in every one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from sessionstream import payload_digest, stored_digest

from .killing import ROOT
from .rich import KEYS, NAME, encoded, files, message_class

RICH = message_class(files())
OLDER = message_class(files(older=True))


class Process:
    """Another process; ``ask`` is answered as ``build`` says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, *what: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert isinstance(answer, dict)
        return answer


@contextmanager
def build(file: Path, *, older: bool = False, site: Path | None = None, python: bool = False) -> Iterator[Process]:
    """Start a process of some protobuf build: from another folder than ours, or the one in pure Python."""
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python" if python else "upb"}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
    command = [sys.executable, "-m", "tests.durability.build", str(file), *(["--older"] if older else [])]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Process(process)


def payload(number: int) -> bytes:
    """Return a message whose maps, unknown fields and extensions two builds write in different orders."""
    message: Any = RICH()
    descriptor: Any = RICH.DESCRIPTOR
    texts = ["", "a", "ab", "b", "é", "a b"]
    for index, key in enumerate(KEYS):
        field = getattr(message, f"m{40 + index}")
        keys: Sequence[object] = texts if key == "string" else [False, True] if key == "bool" else [0, 1, 2, 3]
        if key.startswith(("int", "sint", "sfixed")):
            keys = [*keys, -1, -2, -300]
        for each in keys[::-1] if number % 2 else keys:
            value = field[each]
            if index % 5 == 4:
                value.update(dict.fromkeys(texts, number))
            elif index % 5 != 2:
                field[each] = "text" if index % 5 == 1 else 1
    message.f60.update({text: {"nested": [number, True, None]} for text in texts})
    message.f61.Pack(message.f60)
    message.f1 = number
    message.f27.f26.r28.add().m40[-1] = 2
    for number_of in (100, 101, 103):
        extension = descriptor.file.pool.FindExtensionByNumber(descriptor, number_of)
        if number_of == 100:
            message.Extensions[extension] = 7
        elif number_of == 101:
            message.Extensions[extension].f2 = 5
        else:
            message.Extensions[extension].extend([-1, 2])
    message.MergeFromString(b"\xc8\x3e\x02\xc2\x3e\x01x\xc8\x3e\x01")  # unknown, not in order
    return bytes(message.SerializeToString())


def agree(processes: dict[str, Process], data: bytes) -> None:
    """Check that every process has our digest of a message, and of the bytes that another makes of it."""
    mine = payload_digest("Done", RICH.FromString(data))
    assert stored_digest("Done", NAME, data, files()) == mine
    for name, process in processes.items():
        answer = process.ask("digest", data.hex(), files().hex())
        if not answer:
            assert name.startswith("pure")
            continue
        assert answer["digest"] == mine.hex(), name
        assert stored_digest("Done", NAME, bytes.fromhex(answer["data"]), files()) == mine, name


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Process]]:
    """Processes of an older release of the app, and of the runtime in pure Python."""
    file = tmp_path_factory.mktemp("others") / "x.db"
    with ExitStack() as stack:
        yield {
            f"{'pure' if python else 'upb'} {'older' if older else 'newer'}": stack.enter_context(
                build(file, older=older, python=python)
            )
            for older, python in ((False, True), (True, False), (True, True))
        }


@given(encoded())
def test_a_message_has_one_digest_in_every_runtime_and_release(
    others: dict[str, Process], records: Sequence[bytes]
) -> None:
    agree(others, b"".join(records))


def repeat(builds: Sequence[Process], payloads: Sequence[bytes]) -> None:
    """Check that what one of them did for the first time is a repeat for the others, also once it is pruned."""
    first, *later = builds
    ordinals = [first.ask("publish", data.hex(), f"e{number}") for number, data in enumerate(payloads)]
    assert ordinals == [{"ordinal": number + 1} for number in range(len(payloads))]
    for number, data in enumerate(payloads):
        assert first.ask("submit", data.hex(), f"k{number}") == {"ran": True}
    for _ in ("kept", "pruned"):
        for each in later:
            for number, data in enumerate(payloads):
                assert each.ask("publish", data.hex(), f"e{number}") == ordinals[number]
                assert each.ask("submit", data.hex(), f"k{number}") == {"ran": False}
            other = payloads[1].hex()
            assert each.ask("publish", other, "e0") == {"refused": "EventConflict"}
            assert each.ask("submit", other, "k0") == {"refused": "CommandConflict"}
        assert later[-1].ask("prune") == {"kept": [len(payloads)]}


PAYLOADS = [payload(number) for number in range(4)]
ORDERS = [(False, True), (True, False)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_an_event_and_a_command_that_come_again_in_another_runtime_are_repeats(
    tmp_path: Path, order: tuple[bool, ...]
) -> None:
    with ExitStack() as stack:
        repeat([stack.enter_context(build(tmp_path / "x.db", python=python)) for python in order], PAYLOADS)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_an_event_that_comes_again_in_another_release_of_the_app_is_a_repeat(
    tmp_path: Path, order: tuple[bool, ...]
) -> None:
    with ExitStack() as stack:
        first, second = [stack.enter_context(build(tmp_path / "x.db", older=older)) for older in order]
        for number, data in enumerate(PAYLOADS):
            assert first.ask("publish", data.hex(), f"e{number}") == {"ordinal": number + 1}
        for number, data in enumerate(PAYLOADS):
            scrambled = RICH.FromString(data).SerializeToString()
            assert second.ask("publish", scrambled.hex(), f"e{number}") == {"ordinal": number + 1}
        assert second.ask("publish", PAYLOADS[1].hex(), "e0") == {"refused": "EventConflict"}


SUPPORTED = ["5.29.1", "<8"]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with the lowest and the newest protobuf that we support."""
    found = {}
    for version in SUPPORTED:
        found[version] = tmp_path_factory.mktemp("protobuf")
        wanted = f"protobuf{'' if version.startswith('<') else '=='}{version}"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, "--target", str(found[version]), wanted], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"{wanted} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return found


BUILDS = [(version, python) for version in SUPPORTED for python in (False, True)]


@pytest.mark.torture
@settings(max_examples=300)
@given(encoded())
def test_a_message_has_one_digest_in_every_build(every_build: dict[str, Process], records: Sequence[bytes]) -> None:
    agree(every_build, b"".join(records))


@pytest.fixture(scope="module")
def every_build(tmp_path_factory: pytest.TempPathFactory, sites: dict[str, Path]) -> Iterator[dict[str, Process]]:
    file = tmp_path_factory.mktemp("builds") / "x.db"
    with ExitStack() as stack:
        yield {
            f"{version} {'pure' if python else 'upb'} {'older' if older else 'newer'}": stack.enter_context(
                build(file, older=older, site=sites[version], python=python)
            )
            for version, python in BUILDS
            for older in (False, True)
        }


@pytest.mark.torture
@pytest.mark.parametrize("first", BUILDS, ids=str)
def test_an_event_and_a_command_that_come_again_in_another_build_are_repeats(
    tmp_path: Path, sites: dict[str, Path], first: tuple[str, bool]
) -> None:
    order = [first, *(each for each in BUILDS if each != first)]
    with ExitStack() as stack:
        file = tmp_path / "x.db"
        repeat(
            [stack.enter_context(build(file, site=sites[version], python=python)) for version, python in order],
            PAYLOADS,
        )
