"""Checks the functions of the application: at registration, and what a call returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from inspect import (
    isasyncgen,
    isasyncgenfunction,
    iscoroutine,
    iscoroutinefunction,
    isgenerator,
    isgeneratorfunction,
    signature,
)
from typing import Any, Final, ParamSpec

P = ParamSpec("P")

_ENQUEUE: Final = "hand over its arguments, as with queue.put_nowait, or start a task, and return"


def handler_of(what: str, candidate: object) -> Callable[..., Any]:
    """Return a command handler, plain or async.

    Raises:
        TypeError: it is not a function, or is a class, or a generator function, which a call would not run.
    """
    function = _function(what, "(command, session, publisher)", candidate)
    _refuse_generators(what, function)
    return function


def projection_of(what: str, candidate: object) -> Callable[..., Any]:
    """Return a projection, plain, async, or a plain generator function; or the ``project`` method of an object.

    Raises:
        TypeError: it is neither, or is a class, or an async generator function.
    """
    function = _function(what, "(event, session, view)", candidate, method="project")
    if _is(isasyncgenfunction, function):
        raise TypeError(
            f"{what} {candidate!r} is an async generator function, which is not supported: collect what it "
            f"yields and return a list"
        )
    return function


def plain_callback(
    what: str, arguments: str, candidate: object, *, method: str = "", check_result: bool = True
) -> Callable[..., Any]:
    """Return a plain function whose result is ignored, or such a method of an object.

    If a call returns a coroutine or a generator, which would never run, that is closed, and the call raises TypeError.
    Without ``check_result`` the caller passes each result to ``refuse_coroutine`` itself.

    Raises:
        TypeError: it is neither, or is a class, or async, or a generator function.
    """
    function = _plain(what, arguments, candidate, method=method, instead=f": {_ENQUEUE}")
    return _checked(what, function) if check_result else function


def plain_function(what: str, arguments: str, candidate: object) -> Callable[..., Any]:
    """Return a plain function whose result is used without awaiting it.

    Raises:
        TypeError: it is not a function, or is a class, or async, or a generator function.
    """
    return _plain(what, arguments, candidate)


def refuse_generator(what: str, result: object) -> None:
    """Check that a call did not return a generator instead of doing its work.

    Raises:
        TypeError: ``result`` is one; it is closed.
    """
    if isgenerator(result):
        result.close()
    elif not isasyncgen(result):
        return
    raise TypeError(f"{what} returned {kind_of(result)}, which never runs: write it without yield")


def refuse_unasked(error: asyncio.CancelledError, message: str) -> None:
    """Check that a CancelledError means that the current task was cancelled.

    Raises:
        RuntimeError: the task was not cancelled: it only waited for something that was. It has this ``message``.
    """
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise RuntimeError(message) from error


def refuse_coroutine(what: str, result: object) -> None:
    """Check that a call did not return a coroutine or a generator instead of doing its work.

    Raises:
        TypeError: ``result`` is one; it is closed.
    """
    if iscoroutine(result):
        result.close()  # or there would be a warning that it was never awaited
        raise TypeError(f"{what} returned a coroutine, which is never awaited: {_ENQUEUE}")
    refuse_generator(what, result)


def _checked(what: str, function: Callable[P, object]) -> Callable[P, None]:
    """Return the function, with a check that its result is not a coroutine or a generator."""

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        refuse_coroutine(what, function(*args, **kwargs))

    return call


def _plain(what: str, arguments: str, candidate: object, *, method: str = "", instead: str = "") -> Callable[..., Any]:
    """Return a function that is neither async nor a generator function."""
    function = _function(what, arguments, candidate, method=method)
    _refuse_generators(what, function)
    if _is(iscoroutinefunction, function):
        raise TypeError(f"{what} {candidate!r} has to be plain, not async, as it is never awaited{instead}")
    return function


def _function(what: str, arguments: str, candidate: object, *, method: str = "") -> Callable[..., Any]:
    """Return a function, or the method of an object."""
    _refuse_class(what, candidate)
    function = getattr(candidate, method, candidate) if method else candidate
    _refuse_class(what, function)
    if not callable(function):
        either = f", or an object with such a method {method}" if method else ""
        raise TypeError(f"{what} is a function {arguments}{either}; {candidate!r} is not")
    _refuse_signature(what, arguments, function)
    return function


def _refuse_signature(what: str, arguments: str, function: Callable[..., Any]) -> None:
    """Raise TypeError if the function cannot be called with the arguments."""
    try:
        takes = signature(function)
    except ValueError:  # some functions written in C do not tell
        return
    try:
        takes.bind(*arguments.strip("()").split(", "))
    except TypeError as error:
        parameters = [each.replace(annotation=each.empty) for each in takes.parameters.values()]
        takes = takes.replace(parameters=parameters, return_annotation=takes.empty)
        raise TypeError(f"{what} is a function {arguments}; {function!r} takes {takes}: {error}") from None


def _refuse_class(what: str, candidate: object) -> None:
    """Raise TypeError if the candidate is a class."""
    cls = _unwrapped(candidate)
    if isinstance(cls, type):
        raise TypeError(f"{what} {cls.__qualname__} is a class: give an instance of it, {cls.__name__}(…)")


def _refuse_generators(what: str, function: Callable[..., Any]) -> None:
    """Raise TypeError if the function is a generator function."""
    if _is(isgeneratorfunction, function) or _is(isasyncgenfunction, function):
        raise TypeError(f"{what} {function!r} is a generator function, which would never run: write it without yield")


def _unwrapped(function: object) -> object:
    """Return the function within partials."""
    while isinstance(function, partial):
        function = function.func
    return function


def _is(kind: Callable[[object], bool], function: object) -> bool:
    """Whether a function, or the ``__call__`` of an object, is of a kind; partials are unwrapped."""
    function = _unwrapped(function)
    return kind(function) or kind(getattr(type(function), "__call__", None))  # noqa: B004 - the function itself is needed


def kind_of(result: object) -> str:
    """Return the name of an object's type with its article, for messages: ``an int``."""
    name = type(result).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
