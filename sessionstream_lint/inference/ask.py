"""What the parts of the evaluator ask it for: they know this, and not each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sessionstream_lint.inference.frames import Frame
from sessionstream_lint.inference.values import Given, Value, Values
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.resolve import Project
from sessionstream_lint.reading.syntax import Node


class Ask(Protocol):
    """Answers what something may be; no answer means that it is unknown."""

    @property
    def module(self) -> sc.Module:
        """The file that is checked."""
        ...

    @property
    def project(self) -> Project:
        """Where its imports are looked for."""
        ...

    @property
    def neighbours(self) -> tuple[sc.Module, ...]:
        """The files whose functions may register what this file gives them."""
        ...

    def evaluate(self, node: Node, site: sc.Site) -> Values:
        """Return what an expression may be at a site."""
        ...

    def given(self, item: Given) -> Values:
        """Return what an argument may be."""
        ...

    def lookup(self, key: str, site: sc.Site) -> Values:
        """Return what a name, or a chain of names, may hold at a site."""
        ...

    def bound(self, binding: sc.Binding, site: sc.Site | None = None) -> Values:
        """Return what a binding gives its key."""
        ...

    def source(self, source: sc.Source, site: sc.Site) -> Values:
        """Return what a source of bindings yields."""
        ...

    def attribute(self, values: Values, attr: str, site: sc.Site | None = None) -> Values:
        """Return what an attribute of these may be."""
        ...

    def call(self, callee: Values, given: tuple[Given, ...], site: sc.Site) -> Values:
        """Return what calling these may give."""
        ...

    def once(self, question: object, answer: Callable[[], Values]) -> Values:
        """Answer a question unless it is being asked already, and remember the answer."""
        ...

    def frame(
        self, scope: sc.Scope, given: tuple[Given, ...], receiver: Value | None, outer: Frame | None, depth: int
    ) -> Frame:
        """Return the one frame for such a call."""
        ...

    def follows_callers(self, scope: sc.Scope) -> bool:
        """Say whether it counts what callers of a function may pass."""
        ...
