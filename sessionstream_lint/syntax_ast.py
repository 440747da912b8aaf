"""Shapes of the standard library's ``ast`` nodes."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import Any

from sessionstream_lint import syntax as s
from sessionstream_lint.syntax_ast_expressions import arguments, parameters


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


@s.shape(ast.Expr)
def _expression(node: ast.Expr) -> s.View:
    return s.Expressions((node.value,))


@s.shape(ast.Assign)
def _assign(node: ast.Assign) -> s.View:
    return s.Assign(tuple(node.targets), node.value)


@s.shape(ast.AnnAssign)
def _declare(node: ast.AnnAssign) -> s.View:
    return s.Declare(node.target, node.annotation, node.value)


@s.shape(ast.AugAssign)
def _augment(node: ast.AugAssign) -> s.View:
    return s.Augment(node.target, node.value)


@s.shape(ast.Delete)
def _delete(node: ast.Delete) -> s.View:
    return s.Delete(tuple(node.targets))


@s.shape(ast.Import)
def _import(node: ast.Import) -> s.View:
    return s.Import(tuple((alias.name, alias.asname) for alias in node.names))


@s.shape(ast.ImportFrom)
def _import_from(node: ast.ImportFrom) -> s.View:
    names = tuple((alias.name, alias.asname) for alias in node.names)
    return s.ImportFrom(node.module or "", node.level or 0, names)


@s.shape(ast.If)
def _if(node: ast.If) -> s.View:
    return s.If(node.test, tuple(node.body), tuple(node.orelse))


@s.shape(ast.While)
def _while(node: ast.While) -> s.View:
    return s.While(node.test, tuple(node.body), tuple(node.orelse))


def _for(node: ast.For | ast.AsyncFor) -> s.View:
    return s.For(node.target, node.iter, tuple(node.body), tuple(node.orelse))


s.shape(ast.For)(_for)
s.shape(ast.AsyncFor)(_for)


def _with(node: ast.With | ast.AsyncWith) -> s.View:
    return s.With(tuple((item.context_expr, item.optional_vars) for item in node.items), tuple(node.body))


s.shape(ast.With)(_with)
s.shape(ast.AsyncWith)(_with)


def _try(node: ast.Try | ast.TryStar) -> s.View:
    handlers = tuple(s.Handler(h.type, h.name, tuple(h.body)) for h in node.handlers)
    return s.Try(tuple(node.body), handlers, tuple(node.orelse), tuple(node.finalbody))


s.shape(ast.Try)(_try)
s.shape(ast.TryStar)(_try)


@s.shape(ast.Match)
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
        equal = tuple(option.value for option in options if isinstance(option, ast.MatchValue))
        constants = equal if len(equal) == len(options) else ()
        return s.Pattern(name=name, captures=captures, values=values, typed=typed, constants=constants)
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
        s.TypeParameter(param.name, getattr(param, "bound", None), getattr(param, "default_value", None))
        for param in getattr(node, "type_params", ())
    )


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> s.View:
    return s.Function(
        node.name,
        parameters(node.args),
        node.returns,
        tuple(node.decorator_list),
        tuple(node.body),
        isinstance(node, ast.AsyncFunctionDef),
        _type_params(node),
    )


s.shape(ast.FunctionDef)(_function)
s.shape(ast.AsyncFunctionDef)(_function)


@s.shape(ast.ClassDef)
def _class(node: ast.ClassDef) -> s.View:
    bases = arguments(node.bases, node.keywords)
    return s.Class(node.name, bases, tuple(node.decorator_list), tuple(node.body), _type_params(node))


def _type_alias(node: Any) -> s.View:
    return s.TypeAliasStatement(node.name.id, node.value, _type_params(node))


if hasattr(ast, "TypeAlias"):
    s.VIEWS[getattr(ast, "TypeAlias")] = _type_alias  # noqa: B009 - not in 3.11's


@s.shape(ast.Return)
def _return(node: ast.Return) -> s.View:
    return s.Leave("return", (node.value,) if node.value else ())


@s.shape(ast.Raise)
def _raise(node: ast.Raise) -> s.View:
    return s.Leave("raise", tuple(part for part in (node.exc, node.cause) if part))


@s.shape(ast.Break)
def _break(_: ast.Break) -> s.View:
    return s.Leave("break")


@s.shape(ast.Continue)
def _continue(_: ast.Continue) -> s.View:
    return s.Leave("continue")


@s.shape(ast.Assert)
def _assert(node: ast.Assert) -> s.View:
    return s.Assert(node.test, node.msg)


@s.shape(ast.Global)
def _global(node: ast.Global) -> s.View:
    return s.Outer("global", tuple(node.names))


@s.shape(ast.Nonlocal)
def _nonlocal(node: ast.Nonlocal) -> s.View:
    return s.Outer("nonlocal", tuple(node.names))


@s.shape(ast.Module)
def _module(node: ast.Module) -> s.View:
    return s.Other(tuple(node.body))
