"""On demand: what may this expression be?

Every answer is a set of possibilities with evidence behind each. No answer means unknown, and unknown means
silent. Work is bounded three ways: depth of the question, number of questions, and calls looked into.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, cast

from sessionstream_lint.inference import (
    callers,
    calling,
    classes,
    containers,
    fixtures,
    hints,
    members,
    narrow,
    records,
)
from sessionstream_lint.inference.frames import Frame, argument_for, arguments_for, frame_of, parameters
from sessionstream_lint.inference.values import (
    Alternatives,
    Computed,
    External,
    File,
    Given,
    Klass,
    Literal,
    Many,
    Routine,
    Sequence,
    Symbol,
    Table,
    Value,
    Values,
    given,
    known,
    placed,
    union,
    unsure,
)
from sessionstream_lint.inference.values import Callable as Returning
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import passed_by_all, reaching
from sessionstream_lint.program.names import absolute
from sessionstream_lint.program.resolve import OFFERED, Project, canonical
from sessionstream_lint.program.scopes import Module, Reached, Scope, Site
from sessionstream_lint.reading import shapes as s

MAX_DEPTH = 90
# Questions for one call, and for a whole file before every call has to do with a few.
MAX_QUESTIONS = 2_000
MAX_QUESTIONS_OF_FILE = 10_000
FEW_QUESTIONS = 40
BUILTINS = frozenset(dir(builtins))


class Evaluator:
    """Answers questions about one file, looking into the files of its project where a name leads there.

    ``neighbours`` are those among them whose functions may register what this file gives them.
    """

    def __init__(self, module: Module, project: Project, neighbours: tuple[Module, ...] = ()) -> None:
        self.module = module
        self.project = project
        self.neighbours = neighbours
        self.follow_callers = True
        self._answers: dict[Any, Values] = {}
        self._asking: set[Any] = set()
        self._frames: dict[Any, Frame] = {}
        self._depth = 0
        self._questions = 0
        self._allowed = MAX_QUESTIONS
        self._cut = 0

    def fresh(self) -> None:
        """Allow a measure of work for the next call."""
        spent = self._questions
        measure = MAX_QUESTIONS if spent < MAX_QUESTIONS_OF_FILE else FEW_QUESTIONS
        self._allowed = spent + measure

    def has_room(self) -> bool:
        """Say whether most of the questions are left that this call may take."""
        return self._allowed - self._questions > MAX_QUESTIONS * 3 // 4

    def evaluate(self, node: s.Node, site: Site) -> Values:
        """Return what the expression may be at that site."""
        shape = s.view(node)
        step = self._STEPS.get(type(shape))
        if step is None:
            return ()
        return self.once(("value", id(node), site), lambda: step(self, node, shape, site))

    def once(self, question: Any, answer: Callable[[], Values]) -> Values:
        """Answer a question unless it is being asked already; remember answers that nothing cut short."""
        question = (self.follow_callers, question)
        if question in self._answers:
            return self._answers[question]
        self._questions += 1
        if question in self._asking or self._depth >= MAX_DEPTH or self._questions >= self._allowed:
            self._cut += 1
            return ()
        self._depth += 1
        self._asking.add(question)
        cut = self._cut
        try:
            found = answer()
        except RecursionError:  # whoever called may have used up most of the stack
            self._cut += 1
            found = ()
        finally:
            self._asking.discard(question)
            self._depth -= 1
        if self._cut == cut:
            self._answers[question] = found
        return found

    @contextmanager
    def within_file(self) -> Iterator[None]:
        """Answer what the file itself shows, not what its callers may pass."""
        follow, self.follow_callers = self.follow_callers, False
        try:
            yield
        finally:
            self.follow_callers = follow

    def frame(
        self, scope: Scope, given: tuple[Given, ...], receiver: Value | None, outer: Frame | None, depth: int
    ) -> Frame:
        """Return the one frame for such a call."""
        key = (scope, given, receiver, outer)
        if key not in self._frames:
            self._frames[key] = Frame(scope, given, receiver, outer, depth)
        return self._frames[key]

    # Asked by its parts --------------------------------------------------------------------------------

    def attribute(self, values: Values, attr: str, site: Site | None = None) -> Values:
        """Return what an attribute of these may be."""
        return members.attribute(self, values, attr, site)

    def call(self, callee: Values, given: tuple[Given, ...], site: Site) -> Values:
        """Return what calling these may give."""
        return calling.call_all(self, callee, given, site)

    def returned(self, scope: Scope, given: tuple[Given, ...], receiver: Value | None, site: Site) -> Values:
        """Return what a call of a function of the project gives."""
        return calling.returned(self, scope, given, receiver, site)

    def method(self, value: Value, name: str) -> Values:
        """Return what a method gives when it is called without arguments."""
        return calling.method(self, value, name)

    # Names -----------------------------------------------------------------------------------------------

    def lookup(self, key: str, site: Site) -> Values:
        """Return what a name, or a chain of names, may hold at that site."""
        return self.once(("key", key, site), lambda: self._lookup(key, site))

    def _lookup(self, key: str, site: Site) -> Values:
        found = reaching(key, site)
        if any(one.binding is not None for one in found) and (others := site.block.scope.keeping(key)):
            found = reaching(key, site, others)
        return self._held(key, site, found)

    def origin(self, key: str, site: Site) -> tuple[str, Site]:
        """Return the first name, and where, of those that were certainly given each other's value; or the same."""
        passed: dict[tuple[str, Site], None] = {}
        while (alias := self._alias(key, site, reaching(key, site))) is not None and alias not in passed:
            passed[alias] = None
            key, site = alias
        return key, site

    def _alias(self, key: str, site: Site, found: list[Reached]) -> tuple[str, Site] | None:
        """Return the other name, and where, if a name was certainly just given the value of another.

        Such chains may be longer than questions may be nested.
        """
        binding = found[0].binding if len(found) == 1 and not found[0].guards else None
        if binding is None or binding.key == "*" or not isinstance(binding.source, sc.Assigned):
            return None
        other = s.dotted(binding.source.value)
        if other is None or key in binding.site.block.scope.declared:
            return None
        return other, binding.site.seen_from(site)

    def _held(self, key: str, site: Site, found: list[Reached]) -> Values:
        """Return what a name may hold that was bound there."""
        given = [one for one in found if not _is_put(one)]
        several = len({one.binding for one in given}) > 1
        common = passed_by_all(found)

        def hold(reached: Reached) -> Values:
            values = self._reached(key, reached, site)
            # Of an unknown value a test in one arm says nothing past the join: what else it may be nobody knows.
            guards = reached.guards if known(values) else common[reached.binding]
            values = narrow.apply(self, values, key, guards)
            return unsure(values) if several or reached.guards else values

        held = union(*map(hold, given))
        if len(given) == len(found):
            return held
        return containers.filled(held, union(*(hold(one) for one in found if _is_put(one))))

    def _reached(self, key: str, reached: Reached, site: Site) -> Values:
        binding = reached.binding
        if binding is None:
            base, _, attr = key.rpartition(".")
            if base:
                values = members.attribute(self, self.lookup(base, site), attr, site)
                return values if "." in base or site.frame else union(values, records.symbol(self, base, attr, site))
            return (External("builtins." + key),) if key in BUILTINS else ()
        if binding.key == "*":
            return self._wildcard(binding, key)
        return self.bound(binding, site)

    def _wildcard(self, binding: sc.Binding, key: str) -> Values:
        source = binding.source
        if not isinstance(source, sc.Imported) or key in BUILTINS:
            return ()
        module = absolute(source.module, source.level, binding.site.block.scope.module.package)
        found = self.project.load(module)
        if found is not None:
            return self.exported(found, key)
        return _offered(module, key)

    def exported(self, module: Module, name: str) -> Values:
        """Return what a module of the project offers under that name, maybe by way of wildcards."""
        groups: list[Values] = []
        todo, seen = [module], {module.name}
        while todo:
            here = todo.pop()
            stub = self.project.stub(here.name)
            if stub is not None and name in stub.scope.bindings:
                groups.append(self.lookup(name, stub.scope.end()))
            if name in here.scope.bindings:
                groups.append(self.lookup(name, here.scope.end()))
                continue
            for full in here.wildcards():
                found = self.project.load(full)
                if found is None:
                    groups.append(_offered(full, name))
                elif full not in seen:
                    seen.add(full)
                    todo.append(found)
        return union(*groups)

    def bound(self, binding: sc.Binding, site: Site | None = None) -> Values:
        """Return what a binding gives its key."""
        where = binding.site.seen_from(site) if site else binding.site
        values = self.source(binding.source, where)
        if known(values) or isinstance(binding.source, sc.Declared | sc.Passed):
            return values
        declared = where.block.scope.declared.get(binding.key)
        if declared is None or isinstance(binding.source, sc.Unknown):
            return values
        return union(values, hints.instances(self, *declared))

    def source(self, source: sc.Source, site: Site) -> Values:
        """Return what a source of bindings yields."""
        match source:
            case sc.Assigned(value):
                return self.evaluate(value, site)
            case sc.Unpacked(inner, index, starred):
                return containers.unpack(self, self.source(inner, site), index, starred=starred)
            case sc.Element(iterable):
                return containers.elements(self, self.evaluate(iterable, site))
            case sc.Entered(manager):
                return containers.entered(self, self.evaluate(manager, site))
            case sc.Declared(annotation, value):
                values = self.evaluate(value, site) if value is not None else ()
                told = known(values) and not all(containers.is_empty(one) for one in values)
                return values if told else union(values, hints.instances(self, annotation, site))
            case sc.Imported(module, level, name):
                return self.imported(module, level, name, site.block.scope.module)
            case sc.Defined(scope):
                return (Klass(scope) if scope.kind == "class" else Routine(scope),)
            case sc.Passed(scope, param):
                return self.passed(scope, param, site)
            case sc.Stored():
                return containers.stored(self, source, site)
            case sc.Augmented(target, value):
                return containers.augmented(self.evaluate(target, site), self.evaluate(value, site))
            case sc.Matched(classes):
                return hints.from_classes(self, union(*(self.evaluate(node, site) for node in classes)))
            case sc.Bounded(bound, default):
                return tuple(Alternatives(node, site) for node in (bound, default) if node is not None)
            case _:
                return ()

    def imported(self, module: str, level: int, name: str | None, importer: Module) -> Values:
        """Return a module, or a name out of one."""
        full = absolute(module, level, importer.package)
        if name is None:
            found = self.project.load(full)
            return (File(found),) if found else (External(full),)
        return members.of_module(self, full, name)

    # Parameters ------------------------------------------------------------------------------------------

    def passed(self, scope: Scope, param: s.Parameter, site: Site) -> Values:
        """Return what a parameter may hold: from the call looked into, else from everything known of it."""
        frame = frame_of(site, scope)
        signature = scope.signature or site
        if frame is not None:
            if frame.receiver is not None and param is scope.params[0]:
                return (frame.receiver,)
            if param.star:
                return self._rest(frame, param)
            given = argument_for(parameters(scope, bound=frame.receiver is not None), frame.given, param.name)
            if given is not None:
                values = self.given(given)
                declared = param.annotation is not None and not known(values) and given.held != ()
                return union(values, hints.parameter(self, param, signature)) if declared else values
        values = () if param.default is None else self.evaluate(param.default, signature)
        if param.annotation is not None:
            values = union(values, hints.parameter(self, param, signature))
        elif param is scope.params[0] and scope.parent and scope.parent.kind == "class":
            values = union(values, members.receiver(self, scope, site))
            if values:
                return values
        here = scope.module is self.module or scope.module in self.neighbours
        told = known(
            tuple(one for one in values if not isinstance(one, Returning) and not classes.says_less(self, one))
        )
        if not told and (scope.decorated or scope.name.startswith("test")):
            values = union(values, fixtures.passed(self, scope, param))
        if self.follow_callers and here and frame is None and not param.star and not told:
            values = union(values, callers.passed(self, scope, param))
        return (*values, Symbol(scope, param.name))

    def _rest(self, frame: Frame, param: s.Parameter) -> Values:
        """Return what ``*args`` or ``**kwargs`` get in a call."""
        params = parameters(frame.scope, bound=frame.receiver is not None)
        items = arguments_for(params, frame.given, param.name)
        if param.star == "**":
            keys: list[Values] = [(Literal(item.keyword),) if item.keyword else () for item in items]
            return (Table(tuple((key, self.given(item)) for key, item in zip(keys, items, strict=True))),)
        if any(item.opaque for item in items):
            return (Many("tuple", union(*(self.given(item) for item in items))),)
        return (Sequence("tuple", tuple(self.given(item) for item in items)),)

    def given(self, item: Given) -> Values:
        """Return what an argument may be."""
        if item.held is not None:
            return item.held
        return placed(self.evaluate(item.value, item.site), item.value, item.site)

    # Expressions -----------------------------------------------------------------------------------------

    def _name(self, node: s.Node, shape: s.Name, site: Site) -> Values:
        return self.lookup(shape.id, site)

    def _attribute(self, node: s.Node, shape: s.Attribute, site: Site) -> Values:
        key = s.dotted(node)
        if key is not None:
            return self.lookup(key, site)
        return members.attribute(self, self.evaluate(shape.value, site), shape.attr)

    def _constant(self, node: s.Node, shape: s.Constant, site: Site) -> Values:
        return (Literal(shape.value),)

    def _decorated(self, node: s.Node, shape: s.Decorated, site: Site) -> Values:
        return self.source(sc.Defined(cast("Scope", shape.definition)), site)

    def _call(self, node: s.Node, shape: s.Call, site: Site) -> Values:
        return calling.call_all(self, self.evaluate(shape.func, site), given(shape.args, site), site)

    def _subscript(self, node: s.Node, shape: s.Subscript, site: Site) -> Values:
        return containers.subscript(self, self.evaluate(shape.value, site), shape, node, site)

    def _items(self, node: s.Node, shape: s.Items, site: Site) -> Values:
        return containers.display(self, shape, site)

    def _pairs(self, node: s.Node, shape: s.Pairs, site: Site) -> Values:
        return containers.table(self, shape, site)

    def _conditional(self, node: s.Node, shape: s.Conditional, site: Site) -> Values:
        def arm(value: s.Node, positive: bool) -> Values:
            guard = sc.Guard(shape.test, positive, replace(site, frame=None))
            return self.evaluate(value, replace(site, guards=(*site.guards, guard)))

        return unsure(union(arm(shape.body, positive=True), arm(shape.orelse, positive=False)))

    def _boolean(self, node: s.Node, shape: s.Boolean, site: Site) -> Values:
        if shape.op == "and":
            return unsure(self.evaluate(shape.operands[-1], site))
        return unsure(union(*(self.evaluate(operand, site) for operand in shape.operands[:20])))

    def _binary(self, node: s.Node, shape: s.Binary, site: Site) -> Values:
        if shape.op == "|":
            left = self.evaluate(shape.left, site)
            if not any(isinstance(value, Table | Sequence | Many) for value in left):
                return (Alternatives(node, site),)
        left, right = self.evaluate(shape.left, site), self.evaluate(shape.right, site)
        values = () if shape.op == "%" else containers.added(self, left, right)
        if shape.op != "|" and any(_is_string(value) for value in (*left, *right)):
            return (*values, Computed("a concatenation" if shape.op == "+" else "the operator %"))
        return values

    def _formatted(self, node: s.Node, shape: s.Formatted, site: Site) -> Values:
        return (Computed("an f-string"),)

    def _walrus(self, node: s.Node, shape: s.Walrus, site: Site) -> Values:
        return self.evaluate(shape.value, site)

    def _awaited(self, node: s.Node, shape: s.Await, site: Site) -> Values:
        return containers.inside(self.evaluate(shape.value, site), "awaitable")

    def _lambda(self, node: s.Node, shape: s.Lambda, site: Site) -> Values:
        scope = site.block.scope.module.lambdas.get(id(node))
        return () if scope is None else (Routine(scope),)

    def _comprehension(self, node: s.Node, shape: s.Comprehension, site: Site) -> Values:
        inner = site.block.scope.module.comprehensions.get(id(node))
        return () if inner is None else containers.comprehension(self, shape, inner.here().seen_from(site))

    # What is known of each shape; of any other nothing is.
    _STEPS: ClassVar[dict[type[s.View], Callable[..., Values]]] = {
        s.Name: _name,
        s.Attribute: _attribute,
        s.Constant: _constant,
        s.Call: _call,
        s.Decorated: _decorated,
        s.Subscript: _subscript,
        s.Items: _items,
        s.Pairs: _pairs,
        s.Conditional: _conditional,
        s.Boolean: _boolean,
        s.Binary: _binary,
        s.Formatted: _formatted,
        s.Walrus: _walrus,
        s.Await: _awaited,
        s.Lambda: _lambda,
        s.Comprehension: _comprehension,
    }


def _offered(module: str, name: str) -> Values:
    """Return what a wildcard brings from outside the project."""
    return (External(canonical(f"{module}.{name}")),) if name in OFFERED.get(module, ()) else ()


def _is_put(reached: Reached) -> bool:
    """Say whether a name is only reached as what something was put into."""
    return reached.binding is not None and isinstance(reached.binding.source, sc.Stored)


def _is_string(value: Value) -> bool:
    return isinstance(value, Computed) or (isinstance(value, Literal) and isinstance(value.value, str))
