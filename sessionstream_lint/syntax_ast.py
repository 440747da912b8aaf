"""Shapes of the standard library's ``ast`` nodes."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sessionstream_lint import syntax as s

N = TypeVar("N", bound=ast.AST)


def _shape(kind: type[N]) -> Callable[[Callable[[N], s.View]], Callable[[N], s.View]]:
    def register(function: Callable[[N], s.View]) -> Callable[[N], s.View]:
        s.VIEWS[kind] = function  # type: ignore[assignment]
        return function

    return register


def parse(source: str | bytes) -> ast.Module:
    """Parse a whole file, without warnings; raises SyntaxError, ValueError, RecursionError or MemoryError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def parsed(source: bytes) -> ast.Module | None:
    """Parse a whole file; None when that is not possible."""
    try:
        return parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements directly inside a module, a statement or one of its clauses, and those clauses."""
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        inner = getattr(node, name, ())
        yield from inner if isinstance(inner, list) else ()


# Expressions ---------------------------------------------------------------------------------------------

_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}


@_shape(ast.Name)
def _name(node: ast.Name) -> s.View:
    return s.Name(node.id)


@_shape(ast.Constant)
def _constant(node: ast.Constant) -> s.View:
    return s.Constant(node.value)


@_shape(ast.Attribute)
def _attribute(node: ast.Attribute) -> s.View:
    return s.Attribute(node.value, node.attr)


def _arguments(args: list[ast.expr], keywords: list[ast.keyword]) -> tuple[s.Argument, ...]:
    """Arguments in the order of the source, which ``ast`` tears apart."""
    found = [s.Argument(arg.value, star="*") if isinstance(arg, ast.Starred) else s.Argument(arg) for arg in args]
    if not keywords:
        return tuple(found)
    found += [s.Argument(k.value, k.arg, "" if k.arg else "**") for k in keywords]
    return tuple(sorted(found, key=lambda arg: _position(arg.value)))


def _position(node: Any) -> tuple[int, int]:
    return (node.lineno, node.col_offset)


@_shape(ast.Call)
def _call(node: ast.Call) -> s.View:
    return s.Call(node.func, _arguments(node.args, node.keywords))


@_shape(ast.Subscript)
def _subscript(node: ast.Subscript) -> s.View:
    index = node.slice
    if isinstance(index, ast.Tuple):
        return s.Subscript(node.value, tuple(index.elts))
    return s.Subscript(node.value, (index,))


@_shape(ast.Slice)
def _slice(node: ast.Slice) -> s.View:
    return s.Slice(node.lower, node.upper, node.step)


@_shape(ast.Tuple)
def _tuple(node: ast.Tuple) -> s.View:
    return s.Items("tuple", tuple(node.elts))


@_shape(ast.List)
def _list(node: ast.List) -> s.View:
    return s.Items("list", tuple(node.elts))


@_shape(ast.Set)
def _set(node: ast.Set) -> s.View:
    return s.Items("set", tuple(node.elts))


@_shape(ast.Starred)
def _starred(node: ast.Starred) -> s.View:
    return s.Starred(node.value)


@_shape(ast.Dict)
def _dict(node: ast.Dict) -> s.View:
    return s.Pairs(tuple(zip(node.keys, node.values, strict=True)))


@_shape(ast.IfExp)
def _conditional(node: ast.IfExp) -> s.View:
    return s.Conditional(node.test, node.body, node.orelse)


@_shape(ast.BoolOp)
def _boolean(node: ast.BoolOp) -> s.View:
    return s.Boolean("and" if isinstance(node.op, ast.And) else "or", tuple(node.values))


@_shape(ast.UnaryOp)
def _unary(node: ast.UnaryOp) -> s.View:
    if isinstance(node.op, ast.Not):
        return s.Not(node.operand)
    if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if type(value) is int:
            return s.Constant(-value)
    return s.Other((node.operand,))


@_shape(ast.BinOp)
def _binary(node: ast.BinOp) -> s.View:
    if isinstance(node.op, ast.Add):
        return s.Binary("+", node.left, node.right)
    if isinstance(node.op, ast.Mod):
        return s.Binary("%", node.left, node.right)
    if isinstance(node.op, ast.BitOr):
        return s.Binary("|", node.left, node.right)
    return s.Other((node.left, node.right))


@_shape(ast.Compare)
def _compare(node: ast.Compare) -> s.View:
    if len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        return s.Comparison(_COMPARE[type(node.ops[0])], node.left, node.comparators[0])
    return s.Other((node.left, *node.comparators))


@_shape(ast.NamedExpr)
def _walrus(node: ast.NamedExpr) -> s.View:
    return s.Walrus(node.target, node.value)


@_shape(ast.Await)
def _await(node: ast.Await) -> s.View:
    return s.Await(node.value)


@_shape(ast.Yield)
def _yield(node: ast.Yield) -> s.View:
    return s.Yield(node.value, whole=False)


@_shape(ast.YieldFrom)
def _yield_from(node: ast.YieldFrom) -> s.View:
    return s.Yield(node.value, whole=True)


@_shape(ast.JoinedStr)
def _joined(node: ast.JoinedStr) -> s.View:
    if all(isinstance(part, ast.Constant) for part in node.values):
        return s.Constant("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
    return s.Formatted(tuple(part for part in node.values if not isinstance(part, ast.Constant)))


@_shape(ast.FormattedValue)
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


def _parameters(args: ast.arguments) -> tuple[s.Parameter, ...]:
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


@_shape(ast.Lambda)
def _lambda(node: ast.Lambda) -> s.View:
    return s.Lambda(_parameters(node.args), node.body)


def _clauses(generators: list[ast.comprehension]) -> tuple[s.Clause, ...]:
    return tuple(s.Clause(part.target, part.iter, tuple(part.ifs)) for part in generators)


@_shape(ast.ListComp)
def _list_comprehension(node: ast.ListComp) -> s.View:
    return s.Comprehension("list", None, node.elt, _clauses(node.generators))


@_shape(ast.SetComp)
def _set_comprehension(node: ast.SetComp) -> s.View:
    return s.Comprehension("set", None, node.elt, _clauses(node.generators))


@_shape(ast.GeneratorExp)
def _generator(node: ast.GeneratorExp) -> s.View:
    return s.Comprehension("iterator", None, node.elt, _clauses(node.generators))


@_shape(ast.DictComp)
def _dict_comprehension(node: ast.DictComp) -> s.View:
    # Python 3.15 may unpack here, and then has no value.
    return s.Comprehension("dict", node.key, node.value, _clauses(node.generators))


# Statements ----------------------------------------------------------------------------------------------


@_shape(ast.Expr)
def _expression(node: ast.Expr) -> s.View:
    return s.Expressions((node.value,))


@_shape(ast.Assign)
def _assign(node: ast.Assign) -> s.View:
    return s.Assign(tuple(node.targets), node.value)


@_shape(ast.AnnAssign)
def _declare(node: ast.AnnAssign) -> s.View:
    return s.Declare(node.target, node.annotation, node.value)


@_shape(ast.AugAssign)
def _augment(node: ast.AugAssign) -> s.View:
    return s.Augment(node.target, node.value)


@_shape(ast.Delete)
def _delete(node: ast.Delete) -> s.View:
    return s.Delete(tuple(node.targets))


@_shape(ast.Import)
def _import(node: ast.Import) -> s.View:
    return s.Import(tuple((alias.name, alias.asname) for alias in node.names))


@_shape(ast.ImportFrom)
def _import_from(node: ast.ImportFrom) -> s.View:
    names = tuple((alias.name, alias.asname) for alias in node.names)
    return s.ImportFrom(node.module or "", node.level or 0, names)


@_shape(ast.If)
def _if(node: ast.If) -> s.View:
    return s.If(node.test, tuple(node.body), tuple(node.orelse))


@_shape(ast.While)
def _while(node: ast.While) -> s.View:
    return s.While(node.test, tuple(node.body), tuple(node.orelse))


def _for(node: ast.For | ast.AsyncFor) -> s.View:
    return s.For(node.target, node.iter, tuple(node.body), tuple(node.orelse))


_shape(ast.For)(_for)
_shape(ast.AsyncFor)(_for)


def _with(node: ast.With | ast.AsyncWith) -> s.View:
    return s.With(tuple((item.context_expr, item.optional_vars) for item in node.items), tuple(node.body))


_shape(ast.With)(_with)
_shape(ast.AsyncWith)(_with)


def _try(node: ast.Try | ast.TryStar) -> s.View:
    handlers = tuple(s.Handler(h.type, h.name, tuple(h.body)) for h in node.handlers)
    return s.Try(tuple(node.body), handlers, tuple(node.orelse), tuple(node.finalbody))


_shape(ast.Try)(_try)
_shape(ast.TryStar)(_try)


@_shape(ast.Match)
def _match(node: ast.Match) -> s.View:
    cases = tuple(s.Case(_pattern(case.pattern), case.guard, tuple(case.body)) for case in node.cases)
    return s.Match(node.subject, cases)


def _pattern(node: ast.pattern) -> s.Pattern:
    name = None
    if isinstance(node, ast.MatchAs):
        if node.pattern is None:
            return s.Pattern(exact=True, name=node.name)
        name, node = node.name, node.pattern
    options = node.patterns if isinstance(node, ast.MatchOr) else [node]
    classes = [option for option in options if isinstance(option, ast.MatchClass)]
    captures, values, typed = _pattern_parts(node)
    if len(classes) != len(options):
        return s.Pattern(name=name, captures=captures, values=values, typed=typed)
    bare = all(not (option.patterns or option.kwd_patterns) for option in classes)
    return s.Pattern(tuple(option.cls for option in classes), bare, name, captures, values, typed)


def _pattern_parts(node: ast.pattern) -> tuple[tuple[str, ...], s.Nodes, tuple[tuple[str, s.Nodes], ...]]:
    """The names that a pattern binds, and the expressions in it, in the order of the source; names of one class."""
    names: list[str] = []
    typed: list[tuple[str, s.Nodes]] = []
    values: list[s.Node] = []
    stack: list[ast.AST] = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, ast.expr):
            values.append(part)
            continue
        if isinstance(part, ast.MatchAs) and part.name and isinstance(part.pattern, ast.MatchClass):
            typed.append((part.name, (part.pattern.cls,)))
        for field in ("name", "rest"):
            bound = getattr(part, field, None)
            if isinstance(bound, str):
                names.append(bound)
        stack.extend(reversed(list(ast.iter_child_nodes(part))))
    return tuple(sorted(names)), tuple(values), tuple(sorted(typed, key=lambda one: one[0]))


def _type_params(node: ast.AST) -> tuple[s.TypeParameter, ...]:
    return tuple(
        s.TypeParameter(param.name, getattr(param, "bound", None)) for param in getattr(node, "type_params", ())
    )


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> s.View:
    return s.Function(
        node.name,
        _parameters(node.args),
        node.returns,
        tuple(node.decorator_list),
        tuple(node.body),
        isinstance(node, ast.AsyncFunctionDef),
        _type_params(node),
    )


_shape(ast.FunctionDef)(_function)
_shape(ast.AsyncFunctionDef)(_function)


@_shape(ast.ClassDef)
def _class(node: ast.ClassDef) -> s.View:
    bases = _arguments(node.bases, node.keywords)
    return s.Class(node.name, bases, tuple(node.decorator_list), tuple(node.body), _type_params(node))


def _type_alias(node: Any) -> s.View:
    return s.TypeAliasStatement(node.name.id, node.value, _type_params(node))


if hasattr(ast, "TypeAlias"):
    s.VIEWS[getattr(ast, "TypeAlias")] = _type_alias  # noqa: B009 - not in 3.11's


@_shape(ast.Return)
def _return(node: ast.Return) -> s.View:
    return s.Leave("return", (node.value,) if node.value else ())


@_shape(ast.Raise)
def _raise(node: ast.Raise) -> s.View:
    return s.Leave("raise", tuple(part for part in (node.exc, node.cause) if part))


@_shape(ast.Break)
def _break(_: ast.Break) -> s.View:
    return s.Leave("break")


@_shape(ast.Continue)
def _continue(_: ast.Continue) -> s.View:
    return s.Leave("continue")


@_shape(ast.Assert)
def _assert(node: ast.Assert) -> s.View:
    return s.Assert(node.test, node.msg)


@_shape(ast.Global)
def _global(node: ast.Global) -> s.View:
    return s.Outer("global", tuple(node.names))


@_shape(ast.Nonlocal)
def _nonlocal(node: ast.Nonlocal) -> s.View:
    return s.Outer("nonlocal", tuple(node.names))


@_shape(ast.Module)
def _module(node: ast.Module) -> s.View:
    return s.Other(tuple(node.body))
