"""What wildcard imports bring, by way of other files and in circles even: asked once for all that ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from sessionstream_lint.modules import absolute
from sessionstream_lint.resolve import OFFERED, Project
from sessionstream_lint.scopes import Imported, Module


@dataclass(frozen=True, slots=True)
class Origins:
    """The files of a project that have a name themselves, and the modules outside of it that offer it."""

    inside: tuple[Module, ...] = ()
    outside: tuple[str, ...] = ()


@lru_cache(maxsize=8192)
def origins(project: Project, module: Module, name: str) -> Origins:
    """Return where a module has a name from: of what has it itself, what lies behind does not count."""
    if name not in _names(project, module):
        return Origins()
    inside, outside = [], []
    todo, seen = [module], {module.name}
    while todo:
        here = todo.pop()
        if name in here.scope.bindings:
            inside.append(here)
            continue
        for full in _led_to(here):
            if full not in seen:
                seen.add(full)
                found = project.load(full)
                if found is not None:
                    todo.append(found)
                elif name in OFFERED.get(full, ()):
                    outside.append(full)
    return Origins(tuple(inside), tuple(outside))


@lru_cache(maxsize=512)
def _names(project: Project, module: Module) -> frozenset[str]:
    """Return every name that there is in what wildcards of a module lead to, however indirectly."""
    names = set(module.scope.bindings)
    todo, seen = [module], {module.name}
    while todo:
        for full in _led_to(todo.pop()):
            if full not in seen:
                seen.add(full)
                found = project.load(full)
                names.update(OFFERED.get(full, ()) if found is None else found.scope.bindings)
                todo += [] if found is None else [found]
    return frozenset(names)


@lru_cache(maxsize=512)
def _led_to(module: Module) -> tuple[str, ...]:
    """Return the full names of the modules from which a file imports everything."""
    return tuple(dict.fromkeys(_wildcards(module)))


def _wildcards(module: Module) -> Iterator[str]:
    for binding in module.scope.bindings.get("*", ()):
        source = binding.source
        if isinstance(source, Imported):
            yield absolute(source.module, source.level, module.package)
