"""Names of modules to files of the project, read with ``ast`` and never imported.

A module name is looked for under the directory that holds the outermost package of the file at hand, and
under the configured source roots. Anything found elsewhere, or nowhere, is outside the project.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

from sessionstream_lint import syntax_ast
from sessionstream_lint.collect import collect
from sessionstream_lint.scopes import Module

# What the rules know by name is never looked up: a project may well be the one that defines it.
FIXED = ("google.protobuf", "sessionstream")
# What a wildcard import brings from there, as far as a rule asks for it.
OFFERED = {
    "google.protobuf.any_pb2": {"Any"},
    "google.protobuf.struct_pb2": {"ListValue", "Struct", "Value"},
    "sessionstream": {"SchemaRegistry"},
    "sessionstream.schema": {"SchemaRegistry"},
}
CANONICAL = {"sessionstream.schema.SchemaRegistry": "sessionstream.SchemaRegistry"}
MAX_BYTES = 2_000_000


def canonical(name: str) -> str:
    """Return the one name for something that has several."""
    for old, new in (("typing_extensions.", "typing."), ("collections.abc.", "typing.")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return CANONICAL.get(name, name)


class Project:
    """The files around one file."""

    def __init__(self, path: str, roots: tuple[str, ...] = ()) -> None:
        self.path = Path(path)
        self.package, top = _package(self.path)
        known = dict.fromkeys([*(() if top is None else (str(top),)), *roots])
        self.roots = tuple(known)

    def module(self) -> Module:
        """Return an empty module for the file itself."""
        name = self.package if self.path.stem == "__init__" else _join(self.package, self.path.stem)
        return Module(name, self.package, str(self.path))

    def absolute(self, module: str, level: int, importer: Module) -> str:
        """Return the full name of what ``importer`` calls ``module``, ``level`` dots up."""
        if not level:
            return module
        parts = importer.package.split(".") if importer.package else []
        base = ".".join(parts[: len(parts) - level + 1])
        return _join(base, module)

    def load(self, name: str) -> Module | None:
        """Return a module of the project, collected, or None."""
        if not name or any(name == fixed or name.startswith(fixed + ".") for fixed in FIXED):
            return None
        for root in self.roots:
            found = _load(root, name)
            if found is not None:
                return found
        return None


def _join(package: str, name: str) -> str:
    return f"{package}.{name}" if package and name else package or name


def _package(path: Path) -> tuple[str, Path | None]:
    """Return the package of a file and the directory that holds the outermost one."""
    try:
        directory = path.absolute().parent
        if not path.is_file():
            return "", None
        parts: list[str] = []
        while (directory / "__init__.py").is_file() and directory.parent != directory:
            parts.append(directory.name)
            directory = directory.parent
    except OSError:
        return "", None
    return ".".join(reversed(parts)), directory


@lru_cache(maxsize=512)
def _load(root: str, name: str) -> Module | None:
    base = Path(root, *name.split("."))
    for path, package in ((base / "__init__.py", name), (base.with_name(base.name + ".py"), name.rpartition(".")[0])):
        module = _read(path, name, package)
        if module is not None:
            return module
    return None


def _read(path: Path, name: str, package: str) -> Module | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = syntax_ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return collect(tree, Module(name, package, str(path)))
