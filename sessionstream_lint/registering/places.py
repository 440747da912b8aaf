"""Where a payload is written that comes out of a table: in a row, when a loop goes over it."""

from __future__ import annotations

import libcst as cst

from sessionstream_lint.program.flow import only
from sessionstream_lint.program.scopes import Assigned, Element, Site, Unpacked
from sessionstream_lint.reading.syntax import Node, identifier

MAX_STEPS = 12


def is_looped(node: Node, site: Site) -> bool:
    """Say whether an expression comes out of a loop: its variable, a part of that, or what was assigned from it."""
    for _ in range(MAX_STEPS):
        while isinstance(node, cst.Attribute | cst.Subscript):
            node = node.value
        binding = only(identifier(node), site) if isinstance(node, cst.Name) else None
        source = None if binding is None else binding.source
        while isinstance(source, Unpacked):
            source = source.source
        if binding is None or not isinstance(source, Assigned):
            return isinstance(source, Element)
        node, site = source.value, binding.site
    return False
