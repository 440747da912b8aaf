"""Shapes of the expressions of ``ast``."""

from __future__ import annotations

import ast
from typing import Any

from sessionstream_lint import syntax as s

_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}


@s.shape(ast.Name)
def _name(node: ast.Name) -> s.View:
    return s.Name(node.id)


@s.shape(ast.Constant)
def _constant(node: ast.Constant) -> s.View:
    return s.Constant(node.value)


@s.shape(ast.Attribute)
def _attribute(node: ast.Attribute) -> s.View:
    return s.Attribute(node.value, node.attr)


def arguments(args: list[ast.expr], keywords: list[ast.keyword]) -> tuple[s.Argument, ...]:
    """Arguments in the order of the source, which ``ast`` tears apart."""
    found = [s.Argument(arg.value, star="*") if isinstance(arg, ast.Starred) else s.Argument(arg) for arg in args]
    if not keywords:
        return tuple(found)
    found += [s.Argument(k.value, k.arg, "" if k.arg else "**") for k in keywords]
    return tuple(sorted(found, key=lambda arg: _position(arg.value)))


def _position(node: Any) -> tuple[int, int]:
    return (node.lineno, node.col_offset)


@s.shape(ast.Call)
def _call(node: ast.Call) -> s.View:
    return s.Call(node.func, arguments(node.args, node.keywords))


@s.shape(ast.Subscript)
def _subscript(node: ast.Subscript) -> s.View:
    index = node.slice
    if isinstance(index, ast.Tuple):
        return s.Subscript(node.value, tuple(index.elts))
    return s.Subscript(node.value, (index,))


@s.shape(ast.Slice)
def _slice(node: ast.Slice) -> s.View:
    return s.Slice(node.lower, node.upper, node.step)


@s.shape(ast.Tuple)
def _tuple(node: ast.Tuple) -> s.View:
    return s.Items("tuple", tuple(node.elts))


@s.shape(ast.List)
def _list(node: ast.List) -> s.View:
    return s.Items("list", tuple(node.elts))


@s.shape(ast.Set)
def _set(node: ast.Set) -> s.View:
    return s.Items("set", tuple(node.elts))


@s.shape(ast.Starred)
def _starred(node: ast.Starred) -> s.View:
    return s.Starred(node.value)


@s.shape(ast.Dict)
def _dict(node: ast.Dict) -> s.View:
    return s.Pairs(tuple(zip(node.keys, node.values, strict=True)))


@s.shape(ast.IfExp)
def _conditional(node: ast.IfExp) -> s.View:
    return s.Conditional(node.test, node.body, node.orelse)


@s.shape(ast.BoolOp)
def _boolean(node: ast.BoolOp) -> s.View:
    return s.Boolean("and" if isinstance(node.op, ast.And) else "or", tuple(node.values))


@s.shape(ast.UnaryOp)
def _unary(node: ast.UnaryOp) -> s.View:
    if isinstance(node.op, ast.Not):
        return s.Not(node.operand)
    if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if type(value) is int:
            return s.Constant(-value)
    return s.Other((node.operand,))


@s.shape(ast.BinOp)
def _binary(node: ast.BinOp) -> s.View:
    if isinstance(node.op, ast.Add):
        return s.Binary("+", node.left, node.right)
    if isinstance(node.op, ast.Mod):
        return s.Binary("%", node.left, node.right)
    if isinstance(node.op, ast.BitOr):
        return s.Binary("|", node.left, node.right)
    return s.Other((node.left, node.right))


@s.shape(ast.Compare)
def _compare(node: ast.Compare) -> s.View:
    if len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        return s.Comparison(_COMPARE[type(node.ops[0])], node.left, node.comparators[0])
    return s.Other((node.left, *node.comparators))


@s.shape(ast.NamedExpr)
def _walrus(node: ast.NamedExpr) -> s.View:
    return s.Walrus(node.target, node.value)


@s.shape(ast.Await)
def _await(node: ast.Await) -> s.View:
    return s.Await(node.value)


@s.shape(ast.Yield)
def _yield(node: ast.Yield) -> s.View:
    return s.Yield(node.value, whole=False)


@s.shape(ast.YieldFrom)
def _yield_from(node: ast.YieldFrom) -> s.View:
    return s.Yield(node.value, whole=True)


@s.shape(ast.JoinedStr)
def _joined(node: ast.JoinedStr) -> s.View:
    if all(isinstance(part, ast.Constant) for part in node.values):
        return s.Constant("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
    return s.Formatted(tuple(part for part in node.values if not isinstance(part, ast.Constant)))


@s.shape(ast.FormattedValue)
def _formatted(node: ast.FormattedValue) -> s.View:
    if node.format_spec is None:
        return s.Other((node.value,))
    return s.Other((node.value, node.format_spec))


def _template(node: ast.AST) -> s.View:
    """Template strings (Python 3.14) hold interpolations, and those an expression and a format."""
    parts = [*getattr(node, "values", ()), getattr(node, "value", None), getattr(node, "format_spec", None)]
    return s.Other(tuple(part for part in parts if isinstance(part, ast.AST) and not isinstance(part, ast.Constant)))


for _kind in ("TemplateStr", "Interpolation"):
    if hasattr(ast, _kind):
        s.VIEWS[getattr(ast, _kind)] = _template  # type: ignore[assignment]


def parameters(args: ast.arguments) -> tuple[s.Parameter, ...]:
    """Return the parameters, in the order of the source."""
    positional = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    defaults += args.defaults
    found = [
        s.Parameter(arg.arg, arg.annotation, default, "positional" if n < len(args.posonlyargs) else "any")
        for n, (arg, default) in enumerate(zip(positional, defaults, strict=True))
    ]
    if args.vararg:
        found.append(s.Parameter(args.vararg.arg, args.vararg.annotation, None, star="*"))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append(s.Parameter(arg.arg, arg.annotation, default, "keyword"))
    if args.kwarg:
        found.append(s.Parameter(args.kwarg.arg, args.kwarg.annotation, None, star="**"))
    return tuple(found)


@s.shape(ast.Lambda)
def _lambda(node: ast.Lambda) -> s.View:
    return s.Lambda(parameters(node.args), node.body)


def _clauses(generators: list[ast.comprehension]) -> tuple[s.Clause, ...]:
    return tuple(s.Clause(part.target, part.iter, tuple(part.ifs)) for part in generators)


@s.shape(ast.ListComp)
def _list_comprehension(node: ast.ListComp) -> s.View:
    return s.Comprehension("list", None, node.elt, _clauses(node.generators))


@s.shape(ast.SetComp)
def _set_comprehension(node: ast.SetComp) -> s.View:
    return s.Comprehension("set", None, node.elt, _clauses(node.generators))


@s.shape(ast.GeneratorExp)
def _generator(node: ast.GeneratorExp) -> s.View:
    return s.Comprehension("iterator", None, node.elt, _clauses(node.generators))


@s.shape(ast.DictComp)
def _dict_comprehension(node: ast.DictComp) -> s.View:
    # Python 3.15 may unpack here, and then has no value.
    return s.Comprehension("dict", node.key, node.value, _clauses(node.generators))
