"""Which files that a file imports register schemas, so that a function of theirs may do so for it?

Only texts are searched for that; a file is collected when its text mentions a registration, or when it stands between.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from functools import lru_cache

from sessionstream_lint import gate, syntax_ast
from sessionstream_lint.resolve import Project, Source, absolute
from sessionstream_lint.scopes import Module

# How many files are looked at for one, and how many of them are taken in.
MAX_FILES = 500
MAX_NEIGHBOURS = 50


def find(project: Project, file: Source, tree: ast.Module) -> tuple[Module, ...]:
    """Return the modules that register schemas, and those through which a file, which has this tree, imports them."""
    importers: dict[str, list[str]] = {name: [] for name in _imported(tree, file.package)}
    todo = deque(importers)
    found: dict[str, None] = {}
    for _ in range(MAX_FILES):
        if not todo:
            break
        name = todo.popleft()
        source = project.locate(name)
        if source is None or source.path == file.path:
            continue
        registers, imports = _facts(source)
        if registers:
            found[name] = None
        for inner in imports:
            if inner not in importers:
                todo.append(inner)
            importers.setdefault(inner, []).append(name)
    todo = deque(found)
    while todo:
        for name in importers[todo.popleft()]:
            if name not in found:
                found[name] = None
                todo.append(name)
    loaded = (project.load(name) for name in list(found)[:MAX_NEIGHBOURS])
    return tuple(module for module in loaded if module is not None)


@lru_cache(maxsize=4096)
def _facts(source: Source) -> tuple[bool, tuple[str, ...]]:
    """Say whether a file registers schemas, and which modules it imports if it may be about them or is a package."""
    content = source.read()
    if content is None:
        return False, ()
    registers, near = gate.registers(content), gate.is_near(content)
    if not near and not registers and source.path.name != "__init__.py":
        return False, ()
    tree = syntax_ast.parsed(content)
    return registers, () if tree is None else tuple(dict.fromkeys(_imported(tree, source.package)))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the names of the modules that may be imported somewhere in a file."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node.module or "", node.level, package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names if module)
        else:
            stack.extend(syntax_ast.statements(node))
