"""Shapes of the expressions of libcst."""

from __future__ import annotations

import ast
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import libcst as cst

from sessionstream_lint.reading import shapes as s

_COMPARE: dict[type[cst.CSTNode], str] = {
    cst.Is: "is",
    cst.IsNot: "is not",
    cst.Equal: "==",
    cst.NotEqual: "!=",
    cst.In: "in",
    cst.NotIn: "not in",
}
_SINGLETONS = {"None": None, "True": True, "False": False}


def identifier(node: cst.Name) -> str:
    """Return a name as Python understands it: normalised."""
    return node.value if node.value.isascii() else unicodedata.normalize("NFKC", node.value)


@s.shape(cst.Name)
def _name(node: cst.Name) -> s.View:
    if node.value in _SINGLETONS:
        return s.Constant(_SINGLETONS[node.value])
    return s.Name(identifier(node))


@s.shape(cst.SimpleString)
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


s.shape(cst.Integer)(_number)
s.shape(cst.Float)(_number)
s.shape(cst.Imaginary)(_number)


@s.shape(cst.Ellipsis)
def _ellipsis(_: cst.Ellipsis) -> s.View:
    return s.Constant(...)


@s.shape(cst.ConcatenatedString)
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


@s.shape(cst.FormattedString)
def _formatted(node: cst.FormattedString) -> s.View:
    parts = tuple(part for part in node.parts if not isinstance(part, cst.FormattedStringText))
    return s.Formatted(parts) if parts else s.Constant(_plain(node))


@s.shape(cst.FormattedStringExpression)
def _formatted_expression(node: cst.FormattedStringExpression) -> s.View:
    return s.Other((node.expression, *(node.format_spec or ())))


def _template(node: Any) -> s.View:
    """Template strings (Python 3.14): text, and expressions with a format."""
    parts = [getattr(node, "expression", None), *(getattr(node, "format_spec", None) or ())]
    return s.Other(tuple(part for part in (*parts, *getattr(node, "parts", ())) if part is not None))


for _kind in ("TemplatedString", "TemplatedStringExpression"):
    if hasattr(cst, _kind):
        s.VIEWS[getattr(cst, _kind)] = _template


@s.shape(cst.Attribute)
def _attribute(node: cst.Attribute) -> s.View:
    return s.Attribute(node.value, identifier(node.attr))


def arguments(args: Sequence[cst.Arg]) -> tuple[s.Argument, ...]:
    """Return the arguments, in the order of the source."""
    return tuple(s.Argument(arg.value, identifier(arg.keyword) if arg.keyword else None, arg.star) for arg in args)


@s.shape(cst.Call)
def _call(node: cst.Call) -> s.View:
    return s.Call(node.func, arguments(node.args))


@s.shape(cst.Subscript)
def _subscript(node: cst.Subscript) -> s.View:
    parts: list[s.Node] = []
    for element in node.slice:
        part = element.slice
        parts.append(part.value if isinstance(part, cst.Index) else part)
    if len(parts) == 1 and isinstance(parts[0], cst.Tuple):
        parts = list(_elements(parts[0].elements))
    return s.Subscript(node.value, tuple(parts))


@s.shape(cst.Slice)
def _slice(node: cst.Slice) -> s.View:
    return s.Slice(node.lower, node.upper, node.step)


def _elements(elements: Sequence[cst.BaseElement]) -> Iterator[s.Node]:
    for element in elements:
        yield element if isinstance(element, cst.StarredElement) else element.value


@s.shape(cst.Tuple)
def _tuple(node: cst.Tuple) -> s.View:
    return s.Items("tuple", tuple(_elements(node.elements)))


@s.shape(cst.List)
def _list(node: cst.List) -> s.View:
    return s.Items("list", tuple(_elements(node.elements)))


@s.shape(cst.Set)
def _set(node: cst.Set) -> s.View:
    return s.Items("set", tuple(_elements(node.elements)))


@s.shape(cst.StarredElement)
def _starred(node: cst.StarredElement) -> s.View:
    return s.Starred(node.value)


@s.shape(cst.Dict)
def _dict(node: cst.Dict) -> s.View:
    return s.Pairs(
        tuple(
            (element.key if isinstance(element, cst.DictElement) else None, element.value) for element in node.elements
        )
    )


@s.shape(cst.IfExp)
def _conditional(node: cst.IfExp) -> s.View:
    return s.Conditional(node.test, node.body, node.orelse)


@s.shape(cst.BooleanOperation)
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


@s.shape(cst.UnaryOperation)
def _unary(node: cst.UnaryOperation) -> s.View:
    if isinstance(node.operator, cst.Not):
        return s.Not(node.expression)
    if isinstance(node.operator, cst.Minus) and isinstance(node.expression, cst.Integer):
        return s.Constant(-ast.literal_eval(node.expression.value))
    return s.Other((node.expression,))


@s.shape(cst.BinaryOperation)
def _binary(node: cst.BinaryOperation) -> s.View:
    if isinstance(node.operator, cst.Add):
        return s.Binary("+", node.left, node.right)
    if isinstance(node.operator, cst.Modulo):
        return s.Binary("%", node.left, node.right)
    if isinstance(node.operator, cst.BitOr):
        return s.Binary("|", node.left, node.right)
    return s.Other((node.left, node.right))


@s.shape(cst.Comparison)
def _compare(node: cst.Comparison) -> s.View:
    first = node.comparisons[0]
    if len(node.comparisons) == 1 and type(first.operator) in _COMPARE:
        return s.Comparison(_COMPARE[type(first.operator)], node.left, first.comparator)
    return s.Other((node.left, *(part.comparator for part in node.comparisons)))


@s.shape(cst.NamedExpr)
def _walrus(node: cst.NamedExpr) -> s.View:
    return s.Walrus(node.target, node.value)


@s.shape(cst.Await)
def _await(node: cst.Await) -> s.View:
    return s.Await(node.expression)


@s.shape(cst.Yield)
def _yield(node: cst.Yield) -> s.View:
    if isinstance(node.value, cst.From):
        return s.Yield(node.value.item, whole=True)
    return s.Yield(node.value, whole=False)


def _param(param: cst.Param, kind: str = "any", star: str = "") -> s.Parameter:
    annotation = param.annotation.annotation if param.annotation else None
    return s.Parameter(identifier(param.name), annotation, param.default, kind, star)


def parameters(node: cst.Parameters) -> tuple[s.Parameter, ...]:
    """Return the parameters, in the order of the source."""
    found = [_param(param, "positional") for param in node.posonly_params]
    found += [_param(param) for param in node.params]
    if isinstance(node.star_arg, cst.Param):
        found.append(_param(node.star_arg, star="*"))
    found += [_param(param, "keyword") for param in node.kwonly_params]
    if node.star_kwarg:
        found.append(_param(node.star_kwarg, star="**"))
    return tuple(found)


@s.shape(cst.Lambda)
def _lambda(node: cst.Lambda) -> s.View:
    return s.Lambda(parameters(node.params), node.body)


def _clauses(first: cst.CompFor) -> tuple[s.Clause, ...]:
    found: list[s.Clause] = []
    clause: cst.CompFor | None = first
    while clause is not None:
        found.append(s.Clause(clause.target, clause.iter, tuple(part.test for part in clause.ifs)))
        clause = clause.inner_for_in
    return tuple(found)


@s.shape(cst.ListComp)
def _list_comprehension(node: cst.ListComp) -> s.View:
    return s.Comprehension("list", None, node.elt, _clauses(node.for_in))


@s.shape(cst.SetComp)
def _set_comprehension(node: cst.SetComp) -> s.View:
    return s.Comprehension("set", None, node.elt, _clauses(node.for_in))


@s.shape(cst.GeneratorExp)
def _generator(node: cst.GeneratorExp) -> s.View:
    return s.Comprehension("iterator", None, node.elt, _clauses(node.for_in))


@s.shape(cst.DictComp)
def _dict_comprehension(node: cst.DictComp) -> s.View:
    return s.Comprehension("dict", node.key, node.value, _clauses(node.for_in))
