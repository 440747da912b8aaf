"""Shapes of libcst's raw nodes. Importing this module imports libcst."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import libcst as cst

from sessionstream_lint import syntax as s

N = TypeVar("N", bound=cst.CSTNode)


def _shape(kind: type[N]) -> Callable[[Callable[[N], s.View]], Callable[[N], s.View]]:
    def register(function: Callable[[N], s.View]) -> Callable[[N], s.View]:
        s.VIEWS[kind] = function  # type: ignore[assignment]
        return function

    return register


def parse(source: str) -> cst.Module:
    """Parse a file, or whole statements of one. Raises whatever libcst raises, which is more than ParserSyntaxError."""
    return cst.parse_module(source)


def _body(suite: cst.BaseSuite | None) -> s.Nodes:
    """The statements of a block, those that share a line one by one."""
    return () if suite is None else tuple(_statements(suite.body))


def _statements(body: Sequence[cst.CSTNode]) -> Iterator[s.Node]:
    for statement in body:
        if isinstance(statement, cst.SimpleStatementLine):
            yield from statement.body
        else:
            yield statement


@_shape(cst.Module)
def _module(node: cst.Module) -> s.View:
    return s.Other(tuple(_statements(node.body)))


# Expressions ---------------------------------------------------------------------------------------------

_COMPARE: dict[type[cst.CSTNode], str] = {
    cst.Is: "is",
    cst.IsNot: "is not",
    cst.Equal: "==",
    cst.NotEqual: "!=",
    cst.In: "in",
    cst.NotIn: "not in",
}
_SINGLETONS = {"None": None, "True": True, "False": False}


@_shape(cst.Name)
def _name(node: cst.Name) -> s.View:
    if node.value in _SINGLETONS:
        return s.Constant(_SINGLETONS[node.value])
    return s.Name(node.value)


@_shape(cst.SimpleString)
def _string(node: cst.SimpleString) -> s.View:
    return s.Constant(_text(node))


def _text(node: cst.SimpleString) -> object:
    if "\\" not in node.value and "b" not in node.prefix:
        return node.raw_value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.literal_eval(node.value)


def _plain(node: cst.FormattedString) -> object:
    """The text of an f-string without an expression in it."""
    text = "".join(part.value for part in node.parts if isinstance(part, cst.FormattedStringText))
    prefix = node.start.rstrip("'\"").lower().replace("f", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            ast.literal_eval(prefix + node.start.lstrip("fFrR") + text + node.end).replace("{{", "{").replace("}}", "}")
        )


def _number(node: cst.Integer | cst.Float | cst.Imaginary) -> s.View:
    return s.Constant(ast.literal_eval(node.value))


_shape(cst.Integer)(_number)
_shape(cst.Float)(_number)
_shape(cst.Imaginary)(_number)


@_shape(cst.Ellipsis)
def _ellipsis(_: cst.Ellipsis) -> s.View:
    return s.Constant(...)


@_shape(cst.ConcatenatedString)
def _concatenated(node: cst.ConcatenatedString) -> s.View:
    parts: list[cst.CSTNode] = []
    rest: cst.CSTNode = node
    while isinstance(rest, cst.ConcatenatedString):
        parts.append(rest.left)
        rest = rest.right
    parts.append(rest)
    shapes = [s.view(part) for part in parts]
    if all(isinstance(shape, s.Constant) for shape in shapes):
        texts = [shape.value for shape in shapes if isinstance(shape, s.Constant)]
        plain = [text for text in texts if isinstance(text, str)]
        return s.Constant("".join(plain) if len(plain) == len(texts) else b"")
    kind = s.Formatted if any(isinstance(shape, s.Formatted) for shape in shapes) else s.Other
    return kind(tuple(part for part in parts if not isinstance(part, cst.SimpleString)))


@_shape(cst.FormattedString)
def _formatted(node: cst.FormattedString) -> s.View:
    parts = tuple(part for part in node.parts if not isinstance(part, cst.FormattedStringText))
    return s.Formatted(parts) if parts else s.Constant(_plain(node))


@_shape(cst.FormattedStringExpression)
def _formatted_expression(node: cst.FormattedStringExpression) -> s.View:
    return s.Other((node.expression, *(node.format_spec or ())))


def _template(node: Any) -> s.View:
    """Template strings (Python 3.14): text, and expressions with a format."""
    parts = [getattr(node, "expression", None), *(getattr(node, "format_spec", None) or ())]
    return s.Other(tuple(part for part in (*parts, *getattr(node, "parts", ())) if part is not None))


for _kind in ("TemplatedString", "TemplatedStringExpression"):
    if hasattr(cst, _kind):
        s.VIEWS[getattr(cst, _kind)] = _template


@_shape(cst.Attribute)
def _attribute(node: cst.Attribute) -> s.View:
    return s.Attribute(node.value, node.attr.value)


def _arguments(args: Sequence[cst.Arg]) -> tuple[s.Argument, ...]:
    return tuple(s.Argument(arg.value, arg.keyword.value if arg.keyword else None, arg.star) for arg in args)


@_shape(cst.Call)
def _call(node: cst.Call) -> s.View:
    return s.Call(node.func, _arguments(node.args))


@_shape(cst.Subscript)
def _subscript(node: cst.Subscript) -> s.View:
    parts: list[s.Node] = []
    for element in node.slice:
        part = element.slice
        parts.append(part.value if isinstance(part, cst.Index) else part)
    if len(parts) == 1 and isinstance(parts[0], cst.Tuple):
        parts = list(_elements(parts[0].elements))
    return s.Subscript(node.value, tuple(parts))


@_shape(cst.Slice)
def _slice(node: cst.Slice) -> s.View:
    return s.Slice(node.lower, node.upper, node.step)


def _elements(elements: Sequence[cst.BaseElement]) -> Iterator[s.Node]:
    for element in elements:
        yield element if isinstance(element, cst.StarredElement) else element.value


@_shape(cst.Tuple)
def _tuple(node: cst.Tuple) -> s.View:
    return s.Items("tuple", tuple(_elements(node.elements)))


@_shape(cst.List)
def _list(node: cst.List) -> s.View:
    return s.Items("list", tuple(_elements(node.elements)))


@_shape(cst.Set)
def _set(node: cst.Set) -> s.View:
    return s.Items("set", tuple(_elements(node.elements)))


@_shape(cst.StarredElement)
def _starred(node: cst.StarredElement) -> s.View:
    return s.Starred(node.value)


@_shape(cst.Dict)
def _dict(node: cst.Dict) -> s.View:
    return s.Pairs(
        tuple(
            (element.key if isinstance(element, cst.DictElement) else None, element.value) for element in node.elements
        )
    )


@_shape(cst.IfExp)
def _conditional(node: cst.IfExp) -> s.View:
    return s.Conditional(node.test, node.body, node.orelse)


@_shape(cst.BooleanOperation)
def _boolean(node: cst.BooleanOperation) -> s.View:
    """One shape for the whole chain, which libcst nests to the left."""
    kind = type(node.operator)
    operands: list[s.Node] = [node.right]
    left: cst.BaseExpression = node.left
    while isinstance(left, cst.BooleanOperation) and type(left.operator) is kind and not left.lpar:
        operands.append(left.right)
        left = left.left
    operands.append(left)
    return s.Boolean("and" if kind is cst.And else "or", tuple(reversed(operands)))


@_shape(cst.UnaryOperation)
def _unary(node: cst.UnaryOperation) -> s.View:
    if isinstance(node.operator, cst.Not):
        return s.Not(node.expression)
    if isinstance(node.operator, cst.Minus) and isinstance(node.expression, cst.Integer):
        return s.Constant(-ast.literal_eval(node.expression.value))
    return s.Other((node.expression,))


@_shape(cst.BinaryOperation)
def _binary(node: cst.BinaryOperation) -> s.View:
    if isinstance(node.operator, cst.Add):
        return s.Binary("+", node.left, node.right)
    if isinstance(node.operator, cst.Modulo):
        return s.Binary("%", node.left, node.right)
    if isinstance(node.operator, cst.BitOr):
        return s.Binary("|", node.left, node.right)
    return s.Other((node.left, node.right))


@_shape(cst.Comparison)
def _compare(node: cst.Comparison) -> s.View:
    first = node.comparisons[0]
    if len(node.comparisons) == 1 and type(first.operator) in _COMPARE:
        return s.Comparison(_COMPARE[type(first.operator)], node.left, first.comparator)
    return s.Other((node.left, *(part.comparator for part in node.comparisons)))


@_shape(cst.NamedExpr)
def _walrus(node: cst.NamedExpr) -> s.View:
    return s.Walrus(node.target, node.value)


@_shape(cst.Await)
def _await(node: cst.Await) -> s.View:
    return s.Await(node.expression)


@_shape(cst.Yield)
def _yield(node: cst.Yield) -> s.View:
    if isinstance(node.value, cst.From):
        return s.Yield(node.value.item, whole=True)
    return s.Yield(node.value, whole=False)


def _param(param: cst.Param, kind: str = "any", star: str = "") -> s.Parameter:
    annotation = param.annotation.annotation if param.annotation else None
    return s.Parameter(param.name.value, annotation, param.default, kind, star)


def _parameters(node: cst.Parameters) -> tuple[s.Parameter, ...]:
    found = [_param(param, "positional") for param in node.posonly_params]
    found += [_param(param) for param in node.params]
    if isinstance(node.star_arg, cst.Param):
        found.append(_param(node.star_arg, star="*"))
    found += [_param(param, "keyword") for param in node.kwonly_params]
    if node.star_kwarg:
        found.append(_param(node.star_kwarg, star="**"))
    return tuple(found)


@_shape(cst.Lambda)
def _lambda(node: cst.Lambda) -> s.View:
    return s.Lambda(_parameters(node.params), node.body)


def _clauses(first: cst.CompFor) -> tuple[s.Clause, ...]:
    found: list[s.Clause] = []
    clause: cst.CompFor | None = first
    while clause is not None:
        found.append(s.Clause(clause.target, clause.iter, tuple(part.test for part in clause.ifs)))
        clause = clause.inner_for_in
    return tuple(found)


@_shape(cst.ListComp)
def _list_comprehension(node: cst.ListComp) -> s.View:
    return s.Comprehension("list", None, node.elt, _clauses(node.for_in))


@_shape(cst.SetComp)
def _set_comprehension(node: cst.SetComp) -> s.View:
    return s.Comprehension("set", None, node.elt, _clauses(node.for_in))


@_shape(cst.GeneratorExp)
def _generator(node: cst.GeneratorExp) -> s.View:
    return s.Comprehension("iterator", None, node.elt, _clauses(node.for_in))


@_shape(cst.DictComp)
def _dict_comprehension(node: cst.DictComp) -> s.View:
    return s.Comprehension("dict", node.key, node.value, _clauses(node.for_in))


# Statements ----------------------------------------------------------------------------------------------


@_shape(cst.Expr)
def _expression(node: cst.Expr) -> s.View:
    return s.Expressions((node.value,))


@_shape(cst.Assign)
def _assign(node: cst.Assign) -> s.View:
    return s.Assign(tuple(target.target for target in node.targets), node.value)


@_shape(cst.AnnAssign)
def _declare(node: cst.AnnAssign) -> s.View:
    return s.Declare(node.target, node.annotation.annotation, node.value)


@_shape(cst.AugAssign)
def _augment(node: cst.AugAssign) -> s.View:
    return s.Augment(node.target, node.value)


@_shape(cst.Del)
def _delete(node: cst.Del) -> s.View:
    return s.Delete((node.target,))


def _dotted(node: cst.CSTNode | None) -> str:
    return "" if node is None else s.dotted(node) or ""


def _aliases(names: Sequence[cst.ImportAlias]) -> tuple[tuple[str, str | None], ...]:
    return tuple((_dotted(a.name), _dotted(a.asname.name) if a.asname else None) for a in names)


@_shape(cst.Import)
def _import(node: cst.Import) -> s.View:
    return s.Import(_aliases(node.names))


@_shape(cst.ImportFrom)
def _import_from(node: cst.ImportFrom) -> s.View:
    names = (("*", None),) if isinstance(node.names, cst.ImportStar) else _aliases(node.names)
    return s.ImportFrom(_dotted(node.module), len(node.relative), names)


def _orelse(node: cst.If | cst.Else | None) -> s.Nodes:
    return (node,) if isinstance(node, cst.If) else _body(node.body if node else None)


@_shape(cst.If)
def _if(node: cst.If) -> s.View:
    return s.If(node.test, _body(node.body), _orelse(node.orelse))


@_shape(cst.While)
def _while(node: cst.While) -> s.View:
    return s.While(node.test, _body(node.body), _orelse(node.orelse))


@_shape(cst.For)
def _for(node: cst.For) -> s.View:
    return s.For(node.target, node.iter, _body(node.body), _orelse(node.orelse))


@_shape(cst.With)
def _with(node: cst.With) -> s.View:
    items = tuple((item.item, item.asname.name if item.asname else None) for item in node.items)
    return s.With(items, _body(node.body))


def _try(node: cst.Try | cst.TryStar) -> s.View:
    handlers = tuple(s.Handler(h.type, _dotted(h.name.name) if h.name else None, _body(h.body)) for h in node.handlers)
    final = _body(node.finalbody.body) if node.finalbody else ()
    return s.Try(_body(node.body), handlers, _orelse(node.orelse), final)


_shape(cst.Try)(_try)
_shape(cst.TryStar)(_try)


@_shape(cst.Match)
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
        return s.Pattern(name=name, captures=captures, values=values, typed=typed)
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
    return tuple(s.TypeParameter(p.param.name.value, getattr(p.param, "bound", None)) for p in node.params)


@_shape(cst.FunctionDef)
def _function(node: cst.FunctionDef) -> s.View:
    return s.Function(
        node.name.value,
        _parameters(node.params),
        node.returns.annotation if node.returns else None,
        tuple(decorator.decorator for decorator in node.decorators),
        _body(node.body),
        node.asynchronous is not None,
        _type_params(node.type_parameters),
    )


@_shape(cst.ClassDef)
def _class(node: cst.ClassDef) -> s.View:
    return s.Class(
        node.name.value,
        _arguments((*node.bases, *node.keywords)),
        tuple(decorator.decorator for decorator in node.decorators),
        _body(node.body),
        _type_params(node.type_parameters),
    )


@_shape(cst.TypeAlias)
def _type_alias(node: cst.TypeAlias) -> s.View:
    return s.TypeAliasStatement(node.name.value, node.value, _type_params(node.type_parameters))


@_shape(cst.Return)
def _return(node: cst.Return) -> s.View:
    return s.Leave("return", (node.value,) if node.value else ())


@_shape(cst.Raise)
def _raise(node: cst.Raise) -> s.View:
    cause = node.cause.item if node.cause else None
    return s.Leave("raise", tuple(part for part in (node.exc, cause) if part))


@_shape(cst.Break)
def _break(_: cst.Break) -> s.View:
    return s.Leave("break")


@_shape(cst.Continue)
def _continue(_: cst.Continue) -> s.View:
    return s.Leave("continue")


@_shape(cst.Assert)
def _assert(node: cst.Assert) -> s.View:
    return s.Assert(node.test, node.msg)


@_shape(cst.Global)
def _global(node: cst.Global) -> s.View:
    return s.Outer("global", tuple(item.name.value for item in node.names))


@_shape(cst.Nonlocal)
def _nonlocal(node: cst.Nonlocal) -> s.View:
    return s.Outer("nonlocal", tuple(item.name.value for item in node.names))
