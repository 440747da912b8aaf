"""Which files that a file imports register schemas, so that a function of theirs may do so for it?

Only texts are searched for that, and the outermost statements of a few files looked at. A file is collected when
something is imported from it in whose definition a registration is mentioned, or when it stands between.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from sessionstream_lint.program.names import absolute
from sessionstream_lint.program.resolve import Project, Source
from sessionstream_lint.program.scopes import Module
from sessionstream_lint.reading import gate, outline

# How many files are looked at for one, and how many of them are taken in.
MAX_FILES = 500
MAX_NEIGHBOURS = 50


@dataclass(frozen=True, slots=True)
class Import:
    """A module that is imported, and the names out of it; without any it is the module itself."""

    module: str
    names: frozenset[str] = frozenset()

    def brings(self, wanted: frozenset[str], text: bytes) -> bool:
        """Say whether a file with that text may get at one of these names by this."""
        if self.names:
            return "*" in self.names or not self.names.isdisjoint(wanted)
        return any(b"." + name.encode() in text for name in wanted)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file: its text, the names whose definitions mention a registration, and what it imports."""

    text: bytes = b""
    registering: frozenset[str] = frozenset()
    imports: tuple[Import, ...] = ()


def find(project: Project, file: Source, text: str, tree: ast.Module) -> tuple[Module, ...]:
    """Return the modules that register schemas, and those through which a file, of this text, imports them."""
    importers: dict[str, list[tuple[str, Import]]] = {}
    texts = {"": text.encode("utf-8", "replace")}
    todo: deque[str] = deque()

    def enter(importer: str, imports: tuple[Import, ...]) -> None:
        for one in imports:
            if one.module not in importers:
                todo.append(one.module)
            importers.setdefault(one.module, []).append((importer, one))

    enter("", tuple(_imported(tree, file.package)))
    registering: dict[str, frozenset[str]] = {}
    for _ in range(MAX_FILES):
        if not todo:
            break
        name = todo.popleft()
        source = project.locate(name)
        if source is not None and source.path != file.path:
            facts = _facts(source)
            enter(name, facts.imports)
            texts[name] = facts.text
            if facts.registering:
                registering[name] = facts.registering
    found: dict[str, None] = {}
    between: set[str] = set()
    for name, names in registering.items():
        matching = [importer for importer, one in importers[name] if one.brings(names, texts[importer])]
        if matching:
            found[name] = None
            found.update(dict.fromkeys(_upwards(matching, importers, between)))
    loaded = (project.load(name) for name in list(found)[:MAX_NEIGHBOURS])
    return tuple(module for module in loaded if module is not None)


def _upwards(names: list[str], importers: dict[str, list[tuple[str, Import]]], known: set[str]) -> Iterator[str]:
    """Yield these modules, and all that import them, however indirectly, but for those that are ``known`` by now."""
    todo = deque(names)
    while todo:
        name = todo.popleft()
        if name and name not in known:
            known.add(name)
            yield name
            todo.extend(importer for importer, _ in importers[name] if importer not in known)


@lru_cache(maxsize=4096)
def _facts(source: Source) -> Facts:
    """Return what is to be known of a file that may be about registrations, or is a package; of others nothing."""
    content = source.read()
    if content is None:
        return Facts()
    registers = gate.registers(content)
    if not registers and not gate.is_near(content) and source.path.name != "__init__.py":
        return Facts()
    tree = outline.parsed(content)
    if tree is None:
        return Facts()
    names = _registering(content.decode("utf-8", "replace"), tree) if registers else frozenset()
    return Facts(content, names, tuple(_imported(tree, source.package)))


def _registering(source: str, tree: ast.Module) -> frozenset[str]:
    """Return the outermost names whose definitions mention a registration, or another such name."""
    parts = list(outline.parts(source, tree))
    found = {name for statement, text in parts if gate.registers(text) for name in outline.bound(statement)}
    fresh = set(found)
    while fresh:
        mentioned = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(fresh)))})\b")
        fresh = {
            name for statement, text in parts if mentioned.search(text) for name in outline.bound(statement)
        } - found
        found |= fresh
    return frozenset(found)


def _imported(tree: ast.Module, package: str) -> Iterator[Import]:
    """Yield what may be imported somewhere in a file."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node.module or "", node.level, package)
            names = frozenset(alias.name for alias in node.names)
            yield Import(module, names)
            yield from (Import(f"{module}.{name}") for name in sorted(names) if module and name != "*")
        else:
            stack.extend(outline.statements(node))
