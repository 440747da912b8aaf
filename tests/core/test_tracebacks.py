"""The frame of the application in a traceback, and the limit of a formatted traceback."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sessionstream import InvalidIdError
from sessionstream.ids import check_id
from sessionstream.tracebacks import MAX_TRACEBACK, app_frame, formatted, where


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("nothing was raised")


def module(path: Path, source: str, name: str) -> ModuleType:
    """A module of this name, whose code lies in this file."""
    made = ModuleType(name)
    exec(compile(textwrap.dedent(source), str(path), "exec"), made.__dict__)
    return made


APP = """
def project(inner):
    inner()
    return None

def parse(text):
    int(text)
"""


@pytest.mark.parametrize(
    ("name", "file", "place"),
    [
        ("app", "app.py", "app.py:3 in project"),
        ("__main__", "app.py", "app.py:3 in project"),
        ("shop.billing.projections", "shop/billing/projections.py", "shop/billing/projections.py:3 in project"),
    ],
)
def test_the_frame_is_named_with_its_file_as_the_app_imports_it(
    tmp_path: Path, name: str, file: str, place: str
) -> None:
    app = module(tmp_path / file, APP, name)
    for inner in ("json.decoder", "a.library"):
        library = module(
            Path("/usr/lib/python3/dist-packages/a/library.py")
            if inner == "a.library"
            else Path(sys.modules["json"].__file__ or "").with_name("decoder.py"),
            "def fail():\n    raise KeyError('inner')\n",
            inner,
        )
        assert where(raised(partial(app.project, library.fail))) == place


def test_of_the_app_s_frames_it_is_the_innermost(tmp_path: Path) -> None:
    app = module(tmp_path / "app.py", APP, "app")
    assert where(raised(lambda: app.project(lambda: app.parse("x")))) == "app.py:7 in parse"


def test_of_an_installed_app_it_is_the_function_that_was_called(tmp_path: Path) -> None:
    app = module(tmp_path / "site-packages" / "app.py", APP, "app")
    driver = module(tmp_path / "site-packages" / "driver.py", "def fail():\n    raise OSError('gone')\n", "driver")
    error = raised(partial(app.project, driver.fail))
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this test's own frame
    assert where(error) == "app.py:3 in project"


def test_without_a_frame_of_the_app_it_is_what_is_given_or_the_innermost_frame() -> None:
    error = raised(partial(check_id, "session id", ""))
    while error.__traceback__ and error.__traceback__.tb_frame.f_code.co_filename == __file__:
        error.__traceback__ = error.__traceback__.tb_next
    assert app_frame(error) == ""
    assert where(error, "UI projection app.project") == "UI projection app.project"
    assert where(error).startswith("sessionstream/ids.py:")
    assert where(InvalidIdError("session id", "", "it is empty")) == ""


def test_of_a_group_it_is_the_frame_of_its_first_exception(tmp_path: Path) -> None:
    app = module(tmp_path / "app.py", APP, "app")

    def both() -> None:
        inner = BaseExceptionGroup("inner", [raised(lambda: app.parse("x")), ValueError("never raised")])
        raise BaseExceptionGroup("outer", [inner])

    error = raised(both)
    assert where(error).startswith("tests/core/test_tracebacks.py:")  # the inner group was never raised
    inner = raised(lambda: (_ for _ in ()).throw(BaseExceptionGroup("g", [raised(lambda: app.parse("x"))])))
    assert where(inner) == "app.py:7 in parse"
    assert "invalid literal for int" in formatted(error)


class Hostile(Exception):
    """Raises whenever it is asked for its words."""

    def __str__(self) -> str:
        raise LookupError("no words")

    def __repr__(self) -> str:
        raise LookupError("no repr")


class HostileSyntaxError(SyntaxError):
    """Raises when it is asked where it is."""

    @property
    def filename(self) -> str:  # type: ignore[override]
        raise LookupError("no file")


def recurse(depth: int) -> int:
    return 1 + other(depth + 1)


def other(depth: int) -> int:
    return 1 + recurse(depth + 1)


def wide() -> None:
    raise ExceptionGroup("wide", [ValueError("x" * 1000) for _ in range(1000)])


def chained() -> None:
    failure: Exception = ValueError(0)
    for number in range(500):
        try:
            raise KeyError(number) from failure
        except KeyError as last:
            failure = last
    raise failure


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (partial(fail, Hostile()), "Hostile"),
        (partial(fail, HostileSyntaxError("no")), "HostileSyntaxError"),
        (partial(recurse, 0), "RecursionError"),
        (wide, "ExceptionGroup"),
        (chained, "KeyError"),
        (partial(fail, ValueError("x" * 100_000)), "x\n"),
        (partial(fail, ValueError("\udcff\x00\n\x1b[31m")), "ValueError"),
        (partial(compile, "def (:", "app.py", "exec"), 'File "app.py", line 1'),
    ],
    ids=["hostile", "hostile place", "recursion", "wide group", "chain", "long words", "odd words", "syntax"],
)
def test_whatever_is_raised_has_a_bounded_traceback(make: Callable[[], Any], said: str) -> None:
    error = raised(make)
    text = formatted(error)
    assert said in text
    assert len(text) < MAX_TRACEBACK + 100
    assert text.startswith(
        ("Traceback (most recent call last):\n", "  + Exception Group Traceback", "  File ", "ValueError: 0")
    )
    assert where(error).startswith("tests/core/test_tracebacks.py:")


def test_what_is_cut_out_is_the_middle_and_is_counted() -> None:
    text = formatted(raised(partial(recurse, 0)))
    assert text.startswith("Traceback (most recent call last):\n")
    assert "RecursionError" in text[-200:]
    assert "characters left out" in text


def test_no_local_variable_is_in_it() -> None:
    def login(password: str) -> None:
        raise PermissionError("denied")

    assert "hunter2" not in formatted(raised(partial(login, "".join(["hun", "ter2"]))))
