"""Finds the application's frame of an exception, and formats its traceback as text of limited length.

Neither reads local variables. Neither raises, even if a method of the exception does.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

MAX_TRACEBACK: Final = 8192
"""The maximum length of a formatted traceback, in characters; a longer one is cut in the middle."""

_LIBRARY: Final = str(Path(__file__).parent) + os.sep
_STDLIB: Final = str(Path(traceback.__file__).parent) + os.sep
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def where(error: BaseException, otherwise: str = "") -> str:
    """Return the application's last frame of an exception; without one, ``otherwise``, or else the innermost frame.

    The result is empty for an exception that was never raised, if ``otherwise`` is empty.
    """
    return app_frame(error) or otherwise or next((_placed(*frame) for frame in reversed([*_frames(error)])), "")


def app_frame(error: BaseException) -> str:
    """Return the application's last frame of an exception, such as ``"chat/app.py:42 in project"``, if it has one.

    That is the innermost frame outside this library, the standard library and installed packages. If the application is
    itself an installed package, it is the frame that this library called. For an exception group, it is the frame of
    its first exception. For a ``RuntimeError`` that replaced a ``StopIteration`` or a cancellation from the
    application, it is the frame that raised the original exception.
    """
    leaf = _first_leaf(error)
    found = _last_of_app(leaf)
    if not found and isinstance(leaf.__cause__, StopIteration | asyncio.CancelledError):
        return _last_of_app(leaf.__cause__)
    return found


def _last_of_app(error: BaseException) -> str:
    frames = list(_frames(error))
    called = [frame for frame in frames if not _is_of_python(frame[0].f_code)]
    own = [frame for frame in called if not any(part in frame[0].f_code.co_filename for part in _INSTALLED)]
    if own:
        return _placed(*own[-1])
    return _placed(*called[0]) if called else ""


def formatted(error: BaseException) -> str:
    """Return the traceback of an exception with its causes.

    A longer text than ``MAX_TRACEBACK`` is cut to this length, and a note in its middle says how much is missing.
    """
    try:
        text = "".join(traceback.TracebackException.from_exception(error, compact=True).format())
    except Exception as failure:  # noqa: BLE001 - an exception that cannot be formatted still has frames
        frames = "".join(traceback.format_tb(error.__traceback__))
        text = f"{frames}{type(error).__name__} (which cannot be formatted: {type(failure).__name__})\n"
    left_out = len(text) - MAX_TRACEBACK
    if left_out <= 0:
        return text
    half = MAX_TRACEBACK // 2
    return f"{text[:half]}\n... {left_out:,} characters left out ...\n{text[-half:]}"


def _first_leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and error.exceptions[0].__traceback__ is not None:
        error = error.exceptions[0]
    return error


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames of an exception's traceback with their lines, outermost first."""
    entry = error.__traceback__
    while entry is not None:
        yield entry.tb_frame, entry.tb_lineno
        entry = entry.tb_next


def _is_of_python(code: CodeType) -> bool:
    """Whether code belongs to this library or to the standard library."""
    name = code.co_filename
    if name.startswith((_LIBRARY, "<frozen ")):
        return True
    return name.startswith(_STDLIB) and not any(part in name for part in _INSTALLED)


def _placed(frame: FrameType, line: int) -> str:
    """Describe a frame; the path of its file begins at the top-level package of its module."""
    module = str(frame.f_globals.get("__name__", ""))
    parts = Path(frame.f_code.co_filename).parts
    return f"{'/'.join(parts[-1 - module.count('.') :])}:{line} in {frame.f_code.co_name}"


def storable(text: str) -> str:
    """Return a text of an error record with what some stores cannot keep spelled out: NUL, half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
