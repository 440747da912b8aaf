"""The loggers of the library: each record says which session, ordinal and event it concerns."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any


class SessionLog(logging.LoggerAdapter[logging.Logger]):
    """Logs records with three attributes; they are empty where a record concerns none. (Reference: Logs.)

    Its methods take ``session_id``, ``ordinal`` and ``event``, the name of an event, as further keyword arguments. The
    records have them as ``sessionstream_session``, ``sessionstream_ordinal`` and ``sessionstream_event``.
    """

    def __init__(self, name: str = "sessionstream") -> None:
        super().__init__(logging.getLogger(name))

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Turn the three arguments into attributes of the record."""
        facts = {
            "sessionstream_session": kwargs.pop("session_id", ""),
            "sessionstream_ordinal": kwargs.pop("ordinal", 0),
            "sessionstream_event": kwargs.pop("event", ""),
        }
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **facts}
        return msg, kwargs
