"""Shapes of libcst's raw nodes. Importing this module imports libcst."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from sessionstream_lint.reading import shapes as s
from sessionstream_lint.reading.expressions import arguments, identifier, parameters
from sessionstream_lint.reading.outline import is_deep, relevant

MAX_QUOTED = 1000


def read(source: str, tree: ast.Module, whole: bool = True) -> cst.Module:
    """Parse what matters of a file of which ``tree`` is what ``ast`` says; positions are those of the source.

    Raises:
        Exception: libcst cannot read it; it raises more than ParserSyntaxError.
        TooDeep: a statement that mentions a registration is nested too deeply.
    """
    return cst.parse_module(relevant(source, tree, whole))


_QUOTED: dict[str, cst.BaseExpression | None] = {}


def quoted(text: str) -> cst.BaseExpression | None:
    """Parse an annotation written as a string; None when it is none."""
    if text not in _QUOTED:
        try:
            deep = len(text) > MAX_QUOTED or is_deep(ast.parse(text.strip(), mode="eval"))
            _QUOTED[text] = None if deep else cst.parse_expression(text.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError, cst.ParserSyntaxError):
            _QUOTED[text] = None
    return _QUOTED[text]


def positions(root: s.Node) -> Callable[[s.Node], tuple[int, int]]:
    """Return the question where a node of a file stands: line from 1, column from 0 in characters.

    It takes four times as long as parsing the file.
    """
    found = MetadataWrapper(cast("cst.Module", root), unsafe_skip_copy=True).resolve(PositionProvider)

    def position(node: s.Node) -> tuple[int, int]:
        if isinstance(node, s.Decorated):
            node = node.decorator
        if isinstance(node, cst.Tuple | cst.GeneratorExp) and node.lpar:
            node = node.lpar[0]
        start = found[node].start  # type: ignore[index]
        return start.line, start.column

    return position


def _body(suite: cst.BaseSuite | None) -> s.Nodes:
    """The statements of a block, those that share a line one by one."""
    return () if suite is None else tuple(_statements(suite.body))


def _statements(body: Sequence[cst.CSTNode]) -> Iterator[s.Node]:
    for statement in body:
        if isinstance(statement, cst.SimpleStatementLine):
            yield from statement.body
        else:
            yield statement


@s.shape(cst.Module)
def _module(node: cst.Module) -> s.View:
    return s.Other(tuple(_statements(node.body)))


@s.shape(cst.Expr)
def _expression(node: cst.Expr) -> s.View:
    return s.Expressions((node.value,))


@s.shape(cst.Assign)
def _assign(node: cst.Assign) -> s.View:
    return s.Assign(tuple(target.target for target in node.targets), node.value)


@s.shape(cst.AnnAssign)
def _declare(node: cst.AnnAssign) -> s.View:
    return s.Declare(node.target, node.annotation.annotation, node.value)


@s.shape(cst.AugAssign)
def _augment(node: cst.AugAssign) -> s.View:
    return s.Augment(node.target, node.value)


@s.shape(cst.Del)
def _delete(node: cst.Del) -> s.View:
    return s.Delete((node.target,))


def _dotted(node: cst.CSTNode | None) -> str:
    return "" if node is None else s.dotted(node) or ""


def _aliases(names: Sequence[cst.ImportAlias]) -> tuple[tuple[str, str | None], ...]:
    return tuple((_dotted(a.name), _dotted(a.asname.name) if a.asname else None) for a in names)


@s.shape(cst.Import)
def _import(node: cst.Import) -> s.View:
    return s.Import(_aliases(node.names))


@s.shape(cst.ImportFrom)
def _import_from(node: cst.ImportFrom) -> s.View:
    names = (("*", None),) if isinstance(node.names, cst.ImportStar) else _aliases(node.names)
    return s.ImportFrom(_dotted(node.module), len(node.relative), names)


def _orelse(node: cst.If | cst.Else | None) -> s.Nodes:
    return (node,) if isinstance(node, cst.If) else _body(node.body if node else None)


@s.shape(cst.If)
def _if(node: cst.If) -> s.View:
    return s.If(node.test, _body(node.body), _orelse(node.orelse))


@s.shape(cst.While)
def _while(node: cst.While) -> s.View:
    return s.While(node.test, _body(node.body), _orelse(node.orelse))


@s.shape(cst.For)
def _for(node: cst.For) -> s.View:
    return s.For(node.target, node.iter, _body(node.body), _orelse(node.orelse))


@s.shape(cst.With)
def _with(node: cst.With) -> s.View:
    items = tuple((item.item, item.asname.name if item.asname else None) for item in node.items)
    return s.With(items, _body(node.body))


def _try(node: cst.Try | cst.TryStar) -> s.View:
    handlers = tuple(s.Handler(h.type, _dotted(h.name.name) if h.name else None, _body(h.body)) for h in node.handlers)
    final = _body(node.finalbody.body) if node.finalbody else ()
    return s.Try(_body(node.body), handlers, _orelse(node.orelse), final)


s.shape(cst.Try)(_try)
s.shape(cst.TryStar)(_try)


@s.shape(cst.Match)
def _match(node: cst.Match) -> s.View:
    cases = tuple(s.Case(_pattern(case.pattern), case.guard, _body(case.body)) for case in node.cases)
    return s.Match(node.subject, cases)


def _pattern(node: cst.MatchPattern) -> s.Pattern:
    name = None
    if isinstance(node, cst.MatchAs):
        name = node.name.value if node.name else None
        if node.pattern is None:
            return s.Pattern(exact=True, name=name)
        node = node.pattern
    options = [option.pattern for option in node.patterns] if isinstance(node, cst.MatchOr) else [node]
    classes = [option for option in options if isinstance(option, cst.MatchClass)]
    captures, values, typed = _pattern_parts(node)
    if len(classes) != len(options):
        equal = tuple(option.value for option in options if isinstance(option, cst.MatchValue))
        constants = equal if len(equal) == len(options) else ()
        return s.Pattern(name=name, captures=captures, values=values, typed=typed, constants=constants)
    bare = all(not (option.patterns or option.kwds) for option in classes)
    return s.Pattern(tuple(option.cls for option in classes), bare, name, captures, values, typed)


def _pattern_parts(node: cst.MatchPattern) -> tuple[tuple[str, ...], s.Nodes, tuple[tuple[str, s.Nodes], ...]]:
    """The names that a pattern binds, and the expressions in it, in the order of the source; names of one class."""
    names: list[str] = []
    typed: list[tuple[str, s.Nodes]] = []
    values: list[s.Node] = []
    stack: list[cst.CSTNode] = [node]
    while stack:
        part = stack.pop()
        inner: list[cst.CSTNode] = []
        match part:
            case cst.MatchAs() | cst.MatchStar():
                names += [part.name.value] if part.name else []
                inner = [part.pattern] if isinstance(part, cst.MatchAs) and part.pattern else []
                if part.name and inner and isinstance(inner[0], cst.MatchClass):
                    typed.append((part.name.value, (inner[0].cls,)))
            case cst.MatchOr():
                inner = [option.pattern for option in part.patterns]
            case cst.MatchClass():
                values.append(part.cls)
                inner = [*part.patterns, *(kwd.pattern for kwd in part.kwds)]
            case cst.MatchSequenceElement():
                inner = [part.value]
            case cst.MatchList() | cst.MatchTuple():
                inner = list(part.patterns)
            case cst.MatchMapping():
                names += [part.rest.value] if part.rest else []
                values += [element.key for element in part.elements]
                inner = [element.pattern for element in part.elements]
            case cst.MatchValue():
                values.append(part.value)
            case _:
                pass
        stack.extend(reversed(inner))
    return tuple(sorted(names)), tuple(values), tuple(sorted(typed, key=lambda one: one[0]))


def _type_params(node: cst.TypeParameters | None) -> tuple[s.TypeParameter, ...]:
    if node is None:
        return ()
    return tuple(s.TypeParameter(p.param.name.value, getattr(p.param, "bound", None), p.default) for p in node.params)


@s.shape(cst.FunctionDef)
def _function(node: cst.FunctionDef) -> s.View:
    return s.Function(
        identifier(node.name),
        parameters(node.params),
        node.returns.annotation if node.returns else None,
        tuple(decorator.decorator for decorator in node.decorators),
        _body(node.body),
        node.asynchronous is not None,
        _type_params(node.type_parameters),
    )


@s.shape(cst.ClassDef)
def _class(node: cst.ClassDef) -> s.View:
    return s.Class(
        identifier(node.name),
        arguments((*node.bases, *node.keywords)),
        tuple(decorator.decorator for decorator in node.decorators),
        _body(node.body),
        _type_params(node.type_parameters),
    )


@s.shape(cst.TypeAlias)
def _type_alias(node: cst.TypeAlias) -> s.View:
    return s.TypeAliasStatement(node.name.value, node.value, _type_params(node.type_parameters))


@s.shape(cst.Return)
def _return(node: cst.Return) -> s.View:
    return s.Leave("return", (node.value,) if node.value else ())


@s.shape(cst.Raise)
def _raise(node: cst.Raise) -> s.View:
    cause = node.cause.item if node.cause else None
    return s.Leave("raise", tuple(part for part in (node.exc, cause) if part))


@s.shape(cst.Break)
def _break(_: cst.Break) -> s.View:
    return s.Leave("break")


@s.shape(cst.Continue)
def _continue(_: cst.Continue) -> s.View:
    return s.Leave("continue")


@s.shape(cst.Assert)
def _assert(node: cst.Assert) -> s.View:
    return s.Assert(node.test, node.msg)


@s.shape(cst.Global)
def _global(node: cst.Global) -> s.View:
    return s.Outer("global", tuple(item.name.value for item in node.names))


@s.shape(cst.Nonlocal)
def _nonlocal(node: cst.Nonlocal) -> s.View:
    return s.Outer("nonlocal", tuple(item.name.value for item in node.names))
