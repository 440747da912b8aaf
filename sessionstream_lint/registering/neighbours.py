"""Which files that a file imports register schemas, so that a function of theirs may do so for it?

Texts are searched for that, and imports followed. A file is collected when it mentions a registration, or when it
stands between.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from sessionstream_lint.program.names import absolute
from sessionstream_lint.program.resolve import Project, Source
from sessionstream_lint.program.scopes import Module
from sessionstream_lint.reading import gate, outline

# How many files are looked at for one, and how many of them are taken in.
MAX_FILES = 500
MAX_NEIGHBOURS = 50


def find(project: Project, file: Source, tree: ast.Module) -> tuple[Module, ...]:
    """Return the modules that register schemas, and those through which a file imports them."""
    importers: dict[str, list[str]] = {}
    registering: list[str] = []
    todo: deque[tuple[str, Source]] = deque([("", file)])
    for _ in range(MAX_FILES):
        if not todo:
            break
        importer, source = todo.popleft()
        registers, imports = _facts(source) if importer else (False, tuple(_imported(tree, file.package)))
        registering += [importer] if registers else []
        for name in imports:
            found = project.locate(name) if name not in importers else None
            if found is not None and found.path != file.path:
                todo.append((name, found))
            importers.setdefault(name, []).append(importer)
    loaded = (project.load(name) for name in islice(_upwards(registering, importers), MAX_NEIGHBOURS))
    return tuple(module for module in loaded if module is not None)


def _upwards(names: list[str], importers: dict[str, list[str]]) -> Iterator[str]:
    """Yield these modules, and all that import them, however indirectly."""
    todo, known = deque(names), {""}
    while todo:
        name = todo.popleft()
        if name not in known:
            known.add(name)
            yield name
            todo.extend(importers[name])


@lru_cache(maxsize=4096)
def _facts(source: Source) -> tuple[bool, tuple[str, ...]]:
    """Return whether a file mentions a registration, and what it imports, if it may be about them, or is a package."""
    content = source.read() or b""
    registers = gate.registers(content)
    matters = registers or gate.is_near(content) or source.path.name == "__init__.py"
    tree = outline.parsed(content) if matters else None
    return registers, () if tree is None else tuple(_imported(tree, source.package))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the modules that may be imported somewhere in a file."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node.module or "", node.level, package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names if module and alias.name != "*")
        else:
            stack.extend(outline.statements(node))
