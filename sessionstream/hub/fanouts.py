"""The fan-outs of a hub: the one that was set, those that were added, and what the pipeline calls for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sessionstream.callables import plain_callback, refuse_coroutine
from sessionstream.codec import copy_ui_event
from sessionstream.errors import error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessionstream.fanout import FanoutFunction, UIFanout
    from sessionstream.hub.context import TurnContext
    from sessionstream.types import UIEvent


class Receiver:
    """A fan-out whose arguments were checked.

    Attributes:
        publish_ui: receives UI events; its result has to be checked by ``refuse_coroutine``.
        resync: receives positions of timelines that changed without events; None if the fan-out has no such method.

    Raises:
        TypeError: it is neither a function nor an object with a ``publish_ui`` method; or it is a class, async, or a
            generator function.
    """

    __slots__ = ("publish_ui", "resync")

    def __init__(self, fanout: UIFanout | FanoutFunction) -> None:
        self.publish_ui: Callable[[str, int, Sequence[UIEvent]], object] = plain_callback(
            "a fan-out", "(session_id, ordinal, events)", fanout, method="publish_ui", check_result=False
        )
        resync = getattr(fanout, "resync", None)
        self.resync: Callable[[str, int, int], object] | None = (
            None if resync is None else plain_callback("a resync", "(session_id, ordinal, epoch)", resync)
        )


class Fanouts:
    """Keeps a pipeline's ``fan_out`` and ``resync`` equal to the fan-outs of the hub.

    A single fan-out is called directly. If there are several, all are called, also when one of them raises; each gets
    UI events of its own, because it may change them.
    """

    __slots__ = ("_added", "_context", "_set")

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._set: Receiver | None = None
        self._added: tuple[Receiver, ...] = ()

    def set(self, fanout: UIFanout | FanoutFunction | None) -> None:
        """Replace the fan-out that was set before.

        Raises:
            TypeError: as ``Receiver``.
        """
        self._set = None if fanout is None else Receiver(fanout)
        self._update()

    def add(self, fanout: UIFanout | FanoutFunction) -> Callable[[], None]:
        """Add a fan-out; return the function that removes it.

        Raises:
            TypeError: as ``Receiver``.
        """
        receiver = Receiver(fanout)
        self._added = (*self._added, receiver)
        self._update()

        def remove() -> None:
            self._added = tuple([each for each in self._added if each is not receiver])
            self._update()

        return remove

    def _update(self) -> None:
        receivers = (() if self._set is None else (self._set,)) + self._added
        resyncs = [each.resync for each in receivers if each.resync is not None]
        publishes = [each.publish_ui for each in receivers]
        context = self._context
        context.fan_out = _all_of_ui(publishes) if len(publishes) > 1 else publishes[0] if publishes else None
        context.resync = _all_of(resyncs) if len(resyncs) > 1 else resyncs[0] if resyncs else None
        context.fan_out_misses_resyncs = len(resyncs) < len(receivers)


def _all_of_ui(calls: Sequence[Callable[[str, int, Sequence[UIEvent]], object]]) -> Callable[..., None]:
    *others, last = calls

    def publish_ui(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
        errors = [_error_of(call, session_id, ordinal, tuple(map(copy_ui_event, events))) for call in others]
        _raise([*errors, _error_of(last, session_id, ordinal, events)])

    return publish_ui


def _all_of(calls: Sequence[Callable[[str, int, int], object]]) -> Callable[..., None]:
    def resync(session_id: str, ordinal: int, epoch: int) -> None:
        _raise([_error_of(call, session_id, ordinal, epoch) for call in calls])

    return resync


def _error_of(call: Callable[..., object], *arguments: object) -> Exception | None:
    try:
        refuse_coroutine("a fan-out", call(*arguments))
    except Exception as error:  # noqa: BLE001 - raised when all were called
        return error
    except asyncio.CancelledError as error:  # a fan-out is not awaited, so nobody has cancelled it
        failure = RuntimeError(error_text(error))
        failure.__cause__ = error
        return failure
    return None


def _raise(found: Sequence[Exception | None]) -> None:
    errors = [error for error in found if error is not None]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup(f"{len(errors)} fan-outs failed: {'; '.join(map(error_text, errors))}", errors)
