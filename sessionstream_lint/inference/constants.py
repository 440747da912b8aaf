"""Which text is an expression certainly, whichever way control came?"""

from __future__ import annotations

from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import File, Klass
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import only
from sessionstream_lint.reading.syntax import Node, constant, dotted

MAX_STEPS = 10


def text(ev: Ask, node: Node, site: sc.Site, steps: int = MAX_STEPS) -> str | None:
    """Return the string that an expression certainly is, if that is written out somewhere."""
    written = constant(node)
    if written is not None:
        return written.value if isinstance(written.value, str) else None
    key = dotted(node)
    return None if key is None else _named(ev, key, site, steps)


def _named(ev: Ask, key: str, site: sc.Site, steps: int) -> str | None:
    binding = only(key, site)
    if not steps:
        return None
    match None if binding is None else binding.source:
        case sc.Assigned(value) | sc.Declared(_, value) if value is not None and binding is not None:
            return text(ev, value, binding.site.seen_from(site), steps - 1)
        case sc.Imported(module, str() as name):
            loaded = ev.project.load(module)
            return None if loaded is None else _named(ev, name, loaded.scope.end(), steps - 1)
        case None:
            base, _, attr = key.rpartition(".")
            held = ev.lookup(base, site) if base else ()
            match held:
                case (File(home),):
                    return _named(ev, attr, home.scope.end(), steps - 1)
                case (Klass(scope),):
                    return _named(ev, attr, scope.end(), steps - 1)
            return None
        case _:
            return None
