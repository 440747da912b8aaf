"""The command's configuration: ``[tool.sessionstream-lint]`` of pyproject.toml, ``[sessionstream-lint]`` of setup.cfg.

For each file the nearest directory upwards that has such a section counts; where both files of it have one,
pyproject.toml does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from sessionstream_lint.options import UsageError

_Option = TypeVar("_Option")

SECTION = "sessionstream-lint"
_MENTION = re.compile(rb"sessionstream[-_]lint", re.IGNORECASE)
KEYS = ("select", "extend-select", "ignore", "per-file-ignores", "exclude", "format", "sst-src-roots")


class Section(NamedTuple):
    """What a file says, by the names in `KEYS`, and the file; paths in it are relative to ``base``."""

    base: Path
    file: Path | None = None
    options: Mapping[str, object] = MappingProxyType({})

    def read(self, key: str, read: Callable[[object], _Option], given: object = None, default: object = "") -> _Option:
        """Return an option: from the command line if it was ``given`` there, else from the file, else the default.

        Raises:
            UsageError: ``read`` refuses it; the message begins with where it was written.
        """
        value, place = given, f"--{key}"
        if given is None:
            if key not in self.options:
                return read(default)
            value, place = self.options[key], f"{self.file}: {key}"
        try:
            return read(value)
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from error


def section_in(directory: Path) -> Section | None:
    """Return the section that a file of a directory has, if one has it.

    Raises:
        UsageError: a file cannot be read, or has an option that there is not.
    """
    for path in (directory / "pyproject.toml", directory / "setup.cfg"):
        options = _section(path) if path.is_file() else None
        if options is not None:
            return Section(directory, path, options)
    return None


def load(path: Path) -> Section:
    """Return the configuration of one file, which must have the section.

    Raises:
        UsageError: it cannot be read, has no such section, or holds an option that is none.
    """
    options = _section(path)
    if options is None:
        raise UsageError(f"{path} has no section for {SECTION}")
    return Section(path.absolute().parent, path, options)


def _section(path: Path) -> dict[str, object] | None:
    """Return the section of this linter in a file, if it has one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if not _MENTION.search(content):
        return None
    name, read = (f"tool.{SECTION}", _toml) if path.suffix == ".toml" else (SECTION, _ini)
    try:
        sections = read(content.decode())
    except ValueError as error:
        raise UsageError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    _refuse_similar(path, name, sections)
    section = sections.get(name)
    if section is None:
        return None
    if not isinstance(section, dict):
        raise UsageError(f"{path}: {name} is not a table")
    found = {key.replace("_", "-"): value for key, value in section.items()}
    for key in found:
        if key not in KEYS:
            raise UsageError(f"{path}: {key!r} is not an option of {SECTION}; there are {', '.join(KEYS)}")
    return found


def _toml(text: str) -> dict[str, object]:
    import tomllib

    document = tomllib.loads(text)
    tool = document.get("tool")
    return document | ({f"tool.{name}": inner for name, inner in tool.items()} if isinstance(tool, dict) else {})


def _ini(text: str) -> dict[str, object]:
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error)) from error
    return {name: dict(parser[name]) for name in parser.sections()}


def _refuse_similar(path: Path, right: str, names: Iterable[str]) -> None:
    """Refuse a section that is named nearly so: it would count for nothing."""
    for name in names:
        plain = name.lower().replace("_", "-").removeprefix("tool.").removeprefix("tool:")
        if plain == SECTION and name != right:
            raise UsageError(f"{path}: the section [{name}] is to be named [{right}]")
