"""The command's configuration: ``[tool.sessionstream-lint]`` of pyproject.toml, ``[sessionstream-lint]`` of setup.cfg.

The nearest directory that has such a section counts, from the working directory upwards; where both files of it have
one, pyproject.toml does.
"""

from __future__ import annotations

from pathlib import Path

from sessionstream_lint.options import UsageError

SECTION = "sessionstream-lint"
KEYS = ("select", "ignore", "exclude", "format", "sst-src-roots")


def find(start: Path) -> tuple[dict[str, object], Path]:
    """Return the configuration and the directory of its file; nothing and ``start`` when there is none.

    Raises:
        UsageError: a file cannot be read, or holds an option that is none.
    """
    for directory in (start, *start.parents):
        for read, name in ((_toml, "pyproject.toml"), (_ini, "setup.cfg")):
            path = directory / name
            if path.is_file():
                section = read(path)
                if section is not None:
                    return _checked(section, path), directory
    return {}, start


def load(path: Path) -> tuple[dict[str, object], Path]:
    """Return the configuration of one file, which must have the section, and its directory.

    Raises:
        UsageError: it cannot be read, has no such section, or holds an option that is none.
    """
    section = _toml(path) if path.suffix == ".toml" else _ini(path)
    if section is None:
        raise UsageError(f"{path} has no section for {SECTION}")
    return _checked(section, path), path.absolute().parent


def _toml(path: Path) -> dict[str, object] | None:
    content = _content(path)
    if SECTION.encode() not in content:
        return None
    import tomllib

    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    tool = document.get("tool")
    section = tool.get(SECTION) if isinstance(tool, dict) else None
    return section if isinstance(section, dict) else None


def _ini(path: Path) -> dict[str, object] | None:
    content = _content(path)
    if SECTION.encode() not in content:
        return None
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    return dict(parser[SECTION]) if parser.has_section(SECTION) else None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _checked(section: dict[str, object], path: Path) -> dict[str, object]:
    found = {key.replace("_", "-"): value for key, value in section.items()}
    for key in found:
        if key not in KEYS:
            raise UsageError(f"{path}: {key!r} is not an option of {SECTION}; there are {', '.join(KEYS)}")
    return found
