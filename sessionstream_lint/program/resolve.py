"""Names of modules to files of the project, read and never imported.

A module name is looked for under the directory that holds the outermost package of the file at hand, and
under the configured source roots. Anything found elsewhere, or nowhere, is outside the project.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sessionstream_lint.program.collect import collect
from sessionstream_lint.program.names import join
from sessionstream_lint.program.scopes import Module
from sessionstream_lint.program.surface import DEFINED
from sessionstream_lint.reading import gate, outline, syntax

# What the rules know by name is never looked up: a project may well be the one that defines it.
FIXED = ("google.protobuf", "sessionstream")
MAX_BYTES = 2_000_000


def canonical(name: str) -> str:
    """Return the one name for something that has several."""
    for old, new in (("typing_extensions.", "typing."), ("collections.abc.", "typing.")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    owner, _, attr = name.rpartition(".")
    return DEFINED.get(name) or (f"{DEFINED[owner]}.{attr}" if owner in DEFINED else name)


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the project: which module it is, and the package that its relative imports start from."""

    path: Path
    name: str
    package: str

    def collected(self, text: str, tree: ast.Module) -> Module:
        """Return the module with that text, collected.

        Raises:
            Exception: see `syntax.read`.
        """
        root = syntax.read(text, tree)
        return collect(Module(self.name, self.package, str(self.path), root, gate.mentions(text)))

    def read(self) -> bytes | None:
        """Return its content; None when it is too large, or cannot be read."""
        try:
            return None if self.path.stat().st_size > MAX_BYTES else self.path.read_bytes()
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Project:
    """The directories in which modules are looked for."""

    roots: tuple[str, ...]

    @classmethod
    def around(cls, path: str, roots: tuple[str, ...] = ()) -> tuple[Project, Source]:
        """Return the project of a file, and the module that the file is."""
        file = Path(path).absolute()
        package, top = _package(file)
        name = package if file.stem == "__init__" else join(package, file.stem)
        return cls(tuple(dict.fromkeys([*(() if top is None else (str(top),)), *roots]))), Source(file, name, package)

    def locate(self, name: str) -> Source | None:
        """Return the file of a module of the project, or None."""
        if not name or any(name == fixed or name.startswith(fixed + ".") for fixed in FIXED):
            return None
        return next(filter(None, (_locate(root, name) for root in self.roots)), None)

    def load(self, name: str) -> Module | None:
        """Return a module of the project, collected, or None."""
        source = self.locate(name)
        return None if source is None else _load(source)

    def stub(self, name: str) -> Module | None:
        """Return the ``.pyi`` file beside a module of the project, collected, or None."""
        source = self.locate(name)
        return None if source is None or source.path.suffix == ".pyi" else _stub(source)


def _package(path: Path) -> tuple[str, Path | None]:
    """Return the package of a file and the directory that holds the outermost one."""
    try:
        directory = path.parent
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
def _stub(source: Source) -> Module | None:
    path = source.path.with_suffix(".pyi")
    return _load(Source(path, source.name, source.package)) if path.is_file() else None


@lru_cache(maxsize=8192)
def _locate(root: str, name: str) -> Source | None:
    base = Path(root, *name.split("."))
    for path, package in ((base / "__init__.py", name), (base.with_name(base.name + ".py"), name.rpartition(".")[0])):
        try:
            if path.is_file():
                return Source(path, name, package)
        except (OSError, ValueError):
            return None
    return None


@lru_cache(maxsize=512)
def _load(source: Source) -> Module | None:
    content = source.read()
    tree = None if content is None else outline.parsed(content)
    if content is None or tree is None:
        return None
    try:
        return source.collected(content.decode("utf-8", "replace").removeprefix("\ufeff"), tree)
    except Exception:  # noqa: BLE001 - libcst raises many things on source that compiles: what is in there is unknown
        return None
