"""Records of the library's loggers: which session, ordinal and event they concern."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from sessionstream import ProjectionError
from sessionstream.logs import BoundedLog, SessionLog

from ..hub.support import App


def facts(entry: logging.LogRecord) -> tuple[Any, ...]:
    found: Any = entry
    return found.sessionstream_session, found.sessionstream_ordinal, found.sessionstream_event


def test_a_record_without_a_session_has_empty_attributes(caplog: pytest.LogCaptureFixture) -> None:
    SessionLog().warning("the disk is %s", "full")
    (entry,) = caplog.records
    assert (entry.name, entry.getMessage(), *facts(entry)) == ("sessionstream", "the disk is full", "", 0, "")
    assert (entry.filename, entry.funcName) == ("test_logs.py", "test_a_record_without_a_session_has_empty_attributes")
    assert logging.Formatter("%(sessionstream_session)s: %(message)s").format(entry) == ": the disk is full"


async def test_an_error_of_a_projection(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.broken["timeline"] = {"bad"}
    with pytest.raises(ProjectionError):
        await app.publish("bad")
    (entry,) = caplog.records
    assert facts(entry) == ("s", 1, "Said")
    assert getattr(entry, "error_record", None) == app.recorder.errors[0]


def test_lines_that_clients_cause(caplog: pytest.LogCaptureFixture) -> None:
    log = BoundedLog()
    log.log("lines", "one", session_id="s", ordinal=3)
    log.log("lines", "two")
    assert [facts(entry) for entry in caplog.records] == [("s", 3, ""), ("", 0, "")]
