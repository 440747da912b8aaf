"""Calls that never come back, by their spelling: what was imported or defined so far says whose they are.

Of functions that are imported from other files of the project their annotations say so.
"""

from __future__ import annotations

from sessionstream_lint.program.names import absolute
from sessionstream_lint.program.scopes import Assigned, Block, Defined, Imported, Scope, Source
from sessionstream_lint.reading import shapes as s
from sessionstream_lint.reading.nodes import quoted

NEVER = {"NoReturn", "Never"}
MAX_ALIASES = 5
OUTSIDE = {
    "builtins.exit", "builtins.quit", "sys.exit", "os._exit", "os.abort", "os.execl", "os.execle", "os.execlp",
    "os.execlpe", "os.execv", "os.execve", "os.execvp", "os.execvpe", "typing.assert_never",
    "typing_extensions.assert_never", "pytest.exit", "pytest.fail", "pytest.skip", "pytest.xfail", "flask.abort",
    "werkzeug.exceptions.abort",
}  # fmt: skip
# Methods of a test case; where a class of its own defines one of them, that is followed.
OF_TESTS = {"fail", "skipTest"}


def declared(statements: s.Nodes) -> frozenset[str]:
    """Return the names of functions, and ``class.name`` of methods, among these that are said never to return."""
    found: set[str] = set()
    todo = [("", node) for node in statements]
    while todo:
        owner, node = todo.pop()
        shape = s.view(node)
        if isinstance(shape, s.Class) and not owner:
            todo += [(f"{shape.name}.", inner) for inner in shape.body]
        elif isinstance(shape, s.If | s.Try | s.For | s.While):
            todo += [(owner, inner) for inner in (*shape.body, *shape.orelse)]
        elif isinstance(shape, s.With):
            todo += [(owner, inner) for inner in shape.body]
        elif isinstance(shape, s.Function):
            if shape.returns is not None and _is_never(shape.returns):
                found.add(owner + shape.name)
            todo += [("", inner) for inner in shape.body]
    return frozenset(found)


def _is_never(annotation: s.Node) -> bool:
    shape = s.view(annotation)
    if isinstance(shape, s.Constant) and isinstance(shape.value, str):
        inner = quoted(shape.value)
        return inner is not None and _is_never(inner)
    name = s.dotted(annotation)
    return name is not None and name.rpartition(".")[2] in NEVER


def ends(call: s.Call, block: Block, known: frozenset[str]) -> bool:
    """Say whether a call in that block, of which everything before is collected, never comes back.

    ``known`` are the functions and methods of the file that are said to be such.
    """
    name = s.dotted(call.func)
    return name is not None and _never_returns(name, block.scope, known, MAX_ALIASES)


def exported(tree: s.Node, package: str) -> tuple[frozenset[str], dict[str, str]]:
    """Return the functions of a file in that package that are said never to return, and where it has others from."""
    imported: dict[str, str] = {}
    statements = tuple(s.view(tree).parts())
    for node in statements:
        shape = s.view(node)
        if isinstance(shape, s.ImportFrom):
            module = absolute(shape.module, shape.level, package)
            imported |= {alias or name: f"{module}.{name}" for name, alias in shape.names}
    return declared(statements), imported


def _never_returns(name: str, inner: Scope, known: frozenset[str], aliases: int) -> bool:
    base, _, rest = name.partition(".")
    scope: Scope | None = inner
    while scope is not None:
        owner = scope.parent
        if owner is not None and owner.kind == "class" and scope.params and scope.params[0].name == base:
            return f"{owner.name}.{rest}" in known or (rest in OF_TESTS and rest not in owner.names)
        bound = scope.bindings.get(base)
        if bound is not None and (scope is inner or scope.kind != "class"):
            source = bound[-1].source
            other = s.dotted(source.value) if isinstance(source, Assigned) else None
            if other is not None:  # another name for it
                full = ".".join(part for part in (other, rest) if part)
                return aliases > 0 and _never_returns(full, scope, known, aliases - 1)
            return _is_ending(source, rest, scope)
        scope = owner
    return name in known or f"builtins.{name}" in OUTSIDE


def _is_ending(source: Source, rest: str, scope: Scope) -> bool:
    match source:
        case Imported(module, level, name):
            full = absolute(module, level, scope.module.package)
            whole = ".".join(part for part in (full, name, rest) if part)
            return whole in OUTSIDE or scope.module.never_returns(whole)
        case Defined(scope):
            shape = scope.shape
            return not rest and isinstance(shape, s.Function) and shape.returns is not None and _is_never(shape.returns)
        case _:
            return False
