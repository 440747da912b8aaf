"""SST004: a name must not be empty, and in one registry it belongs to one payload of its family."""

from __future__ import annotations

from collections.abc import Iterator

from sessionstream_lint.program.scopes import CallSite
from sessionstream_lint.registering import certain
from sessionstream_lint.registering.certain import Origin
from sessionstream_lint.registering.registrations import Finding, Registrations
from sessionstream_lint.registering.written import Written

CODE = "SST004"
SUMMARY = "a name is empty, or taken within its family"


def check(registrations: Registrations) -> Iterator[Finding]:
    """Yield a finding for every name that the registry is certain to refuse; where an error is handled, none."""
    order = {
        id(argument.value): (number, call)
        for number, call in enumerate(registrations.ev.module.calls)
        for argument in call.args
    }
    named = [(*order[id(one.node)], one) for one in registrations.names if id(one.node) in order]
    taken: dict[tuple[Origin, str, str], list[CallSite]] = {}
    for _, call, name in sorted(named, key=lambda item: item[0]):
        if name.plain and not call.guarded and not name.call.at.guarded:
            problem = _problem(registrations, name, call, taken)
            if problem is not None:
                yield Finding(CODE, name.node, problem)


def _problem(
    registrations: Registrations, name: Written, call: CallSite, taken: dict[tuple[Origin, str, str], list[CallSite]]
) -> str | None:
    """Say what is wrong with a name, and note by which call it is taken."""
    text = certain.text(registrations.ev, name.node, name.site)
    if text is None:
        return None
    if not text.strip():
        if certain.is_tested(name.node, name.site):
            return None
        return f"{name.family} name {text!r} is empty; give it one that stays the same as long as its data is kept"
    origin = certain.registry(registrations.ev, name.call)
    if origin is None:
        return None
    earlier = taken.setdefault((origin, name.family, text), [])
    twice = any(certain.precedes(one.site, call.site) for one in earlier)
    earlier.append(call)
    if not twice:
        return None
    return f"{name.family} {text!r} is registered already, with the same registry; each payload needs a name of its own"
