"""Arguments of a call: what ``*`` and ``**`` unpack, and the objects that are made with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sessionstream_lint.inference import containers, records
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import (
    External,
    Given,
    Instance,
    Klass,
    Literal,
    Mapping,
    Sequence,
    Symbol,
    Table,
    Values,
    union,
)
from sessionstream_lint.program.scopes import Site
from sessionstream_lint.reading import shapes as s
from sessionstream_lint.reading.shapes import Argument


def spread(ev: Ask, given: tuple[Given, ...]) -> tuple[Given, ...]:
    """Return the arguments with ``*`` and ``**`` unpacked where it is known what is in there."""
    if not any(item.argument.star and not item.opaque for item in given):
        return given
    found: list[Given] = []
    for item in given:
        if item.argument.star == "*" and not item.opaque:
            found += _starred(ev, item)
        elif item.argument.star == "**" and not item.opaque:
            found += _double_starred(ev, item)
        else:
            found.append(item)
    return tuple(found)


def _starred(ev: Ask, item: Given) -> Iterator[Given]:
    node, site = item.argument.value, item.site
    shape = s.view(node)
    written = item.held is None and isinstance(shape, s.Items)
    if written and not any(isinstance(s.view(part), s.Starred) for part in shape.parts()):
        yield from (Given(Argument(part), site) for part in shape.parts())
        return
    values = ev.given(item)
    tuples = [records.as_tuple(ev, value) or value for value in values]
    sizes = {len(value.items) for value in tuples if isinstance(value, Sequence)}
    for index in range(min(sizes, default=0)):
        yield Given(Argument(node), site, containers.unpack(ev, values, index, starred=False))
    if not sizes:
        yield replace(item, held=containers.elements(ev, values), opaque=True)


def _double_starred(ev: Ask, item: Given) -> Iterator[Given]:
    node, site = item.argument.value, item.site
    shape = s.view(node)
    if item.held is None and isinstance(shape, s.Pairs):
        yield from _display(ev, shape, site)
    elif item.held is None and isinstance(shape, s.Call) and _is_plain_dict(ev, shape, site):
        yield from spread(ev, tuple(Given(part, site) for part in shape.args))
    else:
        yield from _mapped(ev, item)


def _display(ev: Ask, shape: s.Pairs, site: Site) -> list[Given]:
    """Return the keywords of a dict display, the last of each name."""
    found: list[Given] = []
    for key, value in shape.pairs:
        if key is None:
            found += _double_starred(ev, Given(Argument(value, star="**"), site))
            continue
        names = strings(ev.evaluate(key, site))
        found = [item for item in found if names != [item.argument.keyword]]
        found += (Given(Argument(value, name), site) for name in names)
    return found


def _is_plain_dict(ev: Ask, shape: s.Call, site: Site) -> bool:
    """Say whether a call is ``dict(name=…, message=…)``."""
    plain_keywords = bool(shape.args) and all(part.keyword or part.star == "**" for part in shape.args)
    return plain_keywords and External("builtins.dict") in ev.evaluate(shape.func, site)


def _mapped(ev: Ask, item: Given) -> Iterator[Given]:
    named: dict[str, Values] = {}
    for value in ev.given(item):
        if isinstance(value, Table):
            for key, held in value.pairs:
                for name in strings(key):
                    named[name] = union(named.get(name, ()), held)
                if not key:
                    yield replace(item, held=held, opaque=True)
        elif isinstance(value, Mapping | Symbol):
            yield replace(item, held=value.value if isinstance(value, Mapping) else (value,), opaque=True)
    for name, held in named.items():
        yield Given(Argument(item.argument.value, name), item.site, held)


def strings(values: Values) -> list[str]:
    """Return the strings among constants."""
    return [value.value for value in values if isinstance(value, Literal) and isinstance(value.value, str)]


def mapped(ev: Ask, given: tuple[Given, ...]) -> tuple[Given, ...]:
    """Return the arguments with which ``map`` calls: an element of each iterable."""
    return tuple(replace(item, held=containers.elements(ev, ev.given(item))) for item in given)


def plain(ev: Ask, given: tuple[Given, ...]) -> tuple[Values, ...]:
    """The values of the positional arguments, up to the first that is unpacked."""
    found: list[Values] = []
    for item in spread(ev, given):
        if item.opaque or item.argument.keyword is not None:
            break
        found.append(ev.given(item))
    return tuple(found)


def replaced(ev: Ask, values: Values, given: tuple[Given, ...]) -> Values:
    """Return copies of objects, made with other arguments."""
    changed = tuple(item for item in spread(ev, given) if item.argument.keyword is not None)
    return tuple(Instance(value.of, (*changed, *(value.made or ()))) for value in values if isinstance(value, Instance))


def make(ev: Ask, of: Klass, given: tuple[Given, ...]) -> Instance:
    """Return an object of the class, with its arguments if they say something about it."""
    if records.is_enum(ev, of.scope):
        return Instance(of)
    if records.initializer(ev, of.scope) is None and not records.fields(ev, of.scope):
        return Instance(of)
    return Instance(of, spread(ev, given))
