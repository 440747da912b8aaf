"""Arguments of a call: what ``*`` and ``**`` unpack, and the objects that are made with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sessionstream_lint.inference import containers, records
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import Given, Instance, Klass, Literal, Sequence, Symbol, Table, Values, union


def spread(ev: Ask, given: tuple[Given, ...]) -> tuple[Given, ...]:
    """Return the arguments with ``*`` and ``**`` unpacked where it is known what is in there."""
    if not any(item.star for item in given):
        return given
    found: list[Given] = []
    for item in given:
        if item.star == "*" and not item.opaque:
            found += _starred(ev, item)
        elif item.star == "**" and not item.opaque:
            found += _double_starred(ev, item)
        else:
            found.append(item)
    return tuple(found)


def _starred(ev: Ask, item: Given) -> Iterator[Given]:
    values = ev.given(item)
    tuples = [records.as_tuple(ev, value) or value for value in values]
    sizes = {len(value.items) for value in tuples if isinstance(value, Sequence)}
    for index in range(min(sizes, default=0)):
        yield replace(item, star="", held=containers.unpack(ev, values, index, starred=False))
    if not sizes:
        yield replace(item, held=containers.elements(ev, values), opaque=True)


def _double_starred(ev: Ask, item: Given) -> Iterator[Given]:
    named: dict[str, Values] = {}
    for value in ev.given(item):
        for key, held in value.pairs if isinstance(value, Table) else ():
            for name in strings(key):
                named[name] = union(named.get(name, ()), held)
            if not strings(key):
                yield replace(item, held=held, opaque=True)
        if isinstance(value, Symbol):
            yield replace(item, held=(value,), opaque=True)
    for name, held in named.items():
        yield replace(item, keyword=name, star="", held=held)


def strings(values: Values) -> list[str]:
    """Return the strings among constants."""
    return [value.value for value in values if isinstance(value, Literal) and isinstance(value.value, str)]


def plain(ev: Ask, given: tuple[Given, ...]) -> tuple[Values, ...]:
    """The values of the positional arguments, up to the first that is unpacked."""
    found: list[Values] = []
    for item in spread(ev, given):
        if item.opaque or item.keyword is not None:
            break
        found.append(ev.given(item))
    return tuple(found)


def replaced(ev: Ask, values: Values, given: tuple[Given, ...]) -> Values:
    """Return copies of objects, made with other arguments."""
    changed = tuple(item for item in spread(ev, given) if item.keyword is not None)
    return tuple(Instance(value.of, (*changed, *(value.made or ()))) for value in values if isinstance(value, Instance))


def make(ev: Ask, of: Klass, given: tuple[Given, ...]) -> Instance:
    """Return an object of the class, with its arguments if they say something about it."""
    if records.initializer(ev, of.scope) is None and not records.fields(ev, of.scope):
        return Instance(of)
    return Instance(of, spread(ev, given))
