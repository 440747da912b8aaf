"""The linter's table of the library's public surface says what the library itself says."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator

import sessionstream
import sessionstream.examples.chatdemo
import sessionstream.testing
from sessionstream import Hub, MemoryStore, PostgresStore, SchemaRegistry, SQLiteStore
from sessionstream_lint.program import surface
from sessionstream_lint.program.resolve import canonical

PUBLIC = (sessionstream, sessionstream.testing, sessionstream.examples.chatdemo)
OF_REGISTRY = {
    SchemaRegistry: surface.REGISTRY,
    Hub: surface.HUB,
    MemoryStore: surface.MEMORY,
    SQLiteStore: surface.SQLITE,
    PostgresStore: surface.POSTGRES,
}


def public() -> Iterator[tuple[str, object]]:
    yield "sessionstream.PostgresStore", PostgresStore  # which is not in __all__, as it needs an extra
    for module in PUBLIC:
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)


def hinted(function: object) -> object:
    try:
        return typing.get_type_hints(function).get("return")
    except (NameError, TypeError):  # a name that only type checkers import
        return None


def test_attributes_that_are_registries() -> None:
    found = {
        f"{name}.{attr}"
        for name, kind in public()
        if inspect.isclass(kind)
        for attr, value in inspect.getmembers_static(kind)
        if isinstance(value, property) and not attr.startswith("_") and hinted(value.fget) is SchemaRegistry
    }
    assert found == set(surface.ATTRIBUTES)


def test_functions_that_return_registries() -> None:
    found = {name for name, one in public() if inspect.isfunction(one) and hinted(one) is SchemaRegistry}
    assert found == set(surface.RETURNING)


def test_what_is_entered_and_opened() -> None:
    holding = {name.rpartition(".")[0] for name in surface.ATTRIBUTES}
    classes = {name: kind for name, kind in public() if name in holding and inspect.isclass(kind)}
    assert set(classes) == holding
    entered = {name for name, kind in classes.items() if hinted(getattr(kind, "__aenter__", None)) is kind}
    assert entered == surface.ENTERED
    for name, of in surface.OPENING.items():
        owner, _, method = name.rpartition(".")
        opening = hinted(getattr(classes[owner], method))
        assert inspect.isclass(opening)
        assert OF_REGISTRY[typing.cast("type", hinted(vars(opening)["__aenter__"]))] == of


def test_each_place_where_something_is_defined_is_known() -> None:
    for kind, name in OF_REGISTRY.items():
        assert canonical(f"{kind.__module__}.{kind.__qualname__}") == name
    for name in surface.RETURNING:
        module, _, function = name.rpartition(".")
        defined = getattr(importlib.import_module(module), function)
        assert canonical(f"{defined.__module__}.{function}") == name
    for old, new in surface.DEFINED.items():
        (old_module, _, attr), (new_module, _, other) = old.rpartition("."), new.rpartition(".")
        assert getattr(importlib.import_module(old_module), attr) is getattr(importlib.import_module(new_module), other)
