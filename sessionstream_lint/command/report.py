"""Findings as text, JSON, GitHub annotations or SARIF 2.1.0, and as JSON read again: a baseline."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

from sessionstream_lint.command.output import one_line
from sessionstream_lint.engine import Diagnostic
from sessionstream_lint.options import OPT_IN, UsageError
from sessionstream_lint.rules.catalogue import SUMMARIES
from sessionstream_lint.rules.pages import page
from sessionstream_lint.version import VERSION

DOCUMENTATION = "https://pypi.org/project/sessionstream/"
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True, slots=True, order=True)
class Located:
    """A diagnostic in a file."""

    path: str
    diagnostic: Diagnostic


def render(found: Iterable[Located], kind: str, unread: Iterable[tuple[str, str]] = ()) -> str:
    """Return all findings in one of the four formats, ending with a newline unless empty.

    ``unread`` are the files that could not be read, each with the reason.
    """
    located = sorted(found)
    if kind in ("json", "sarif"):  # in ASCII, which any locale can write
        document = _sarif(located, unread) if kind == "sarif" else [_record(one) for one in located]
        return json.dumps(document, indent=2) + "\n"
    line = _github if kind == "github" else _text
    return "".join(line(one) + "\n" for one in located)


def _text(one: Located) -> str:
    found = one.diagnostic
    return f"{one_line(one.path)}:{found.line}:{found.column + 1}: {found.text}"


def _record(one: Located) -> dict[str, object]:
    found = one.diagnostic
    place: dict[str, object] = {"path": one.path, "line": found.line, "column": found.column + 1}
    return place | {"code": found.code, "message": found.message}


def _github(one: Located) -> str:
    found = one.diagnostic
    place = f"file={_property(one.path)},line={found.line},col={found.column + 1},title={found.code}"
    return f"::error {place}::{_data(found.text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(located: list[Located], unread: Iterable[tuple[str, str]]) -> dict[str, object]:
    driver = {"name": "sessionstream-lint", "version": VERSION, "informationUri": DOCUMENTATION}
    notes = [
        {"level": "error", "message": {"text": f"cannot read the file: {reason}"}, "locations": [_file(path)]}
        for path, reason in unread
    ]
    run = {
        "tool": {"driver": driver | {"rules": [_rule(code, summary) for code, summary in SUMMARIES.items()]}},
        "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(one) for one in located],
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str, summary: str) -> dict[str, object]:
    text = page(code)
    said = {"shortDescription": {"text": summary}, "fullDescription": {"text": _section(text, "What it says")}}
    shown = {"helpUri": DOCUMENTATION, "help": {"text": text, "markdown": text}}
    return {"id": code, **said, **shown, "defaultConfiguration": {"level": "error", "enabled": code not in OPT_IN}}


def _section(text: str, heading: str) -> str:
    """Return the paragraphs below a heading of a page, as one line."""
    return " ".join(text.partition(f"## {heading}\n")[2].partition("\n## ")[0].split())


def _result(one: Located) -> dict[str, object]:
    found = one.diagnostic
    place = _file(one.path, region={"startLine": found.line, "startColumn": found.column + 1})
    rule = {"ruleId": found.code, "ruleIndex": list(SUMMARIES).index(found.code)}
    return {**rule, "level": "error", "message": {"text": found.message}, "locations": [place]}


def _file(name: str, **region: object) -> dict[str, object]:
    path = PurePath(name)
    uri = path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, **region}}


# Baselines ---------------------------------------------------------------------------------------------------


def beyond(found: Iterable[Located], path: Path) -> list[Located]:
    """Return the findings that the baseline does not have; lines may have moved since, what is said may not.

    Raises:
        UsageError: the file cannot be read, or is not what ``--format json`` prints.
    """
    known = _read(path)
    left: list[Located] = []
    for one in sorted(found):
        key = _key(one.path, one.diagnostic.code, one.diagnostic.message)
        if known[key]:
            known[key] -= 1
        else:
            left.append(one)
    return left


def _read(path: Path) -> Counter[tuple[str, str, str]]:
    try:
        records = json.loads(path.read_bytes())
        return Counter(_key(one["path"], one["code"], one["message"]) for one in records)
    except OSError as error:
        raise UsageError(f"--baseline: cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        way_out = "make one with 'sessionstream-lint --format json'"
        raise UsageError(f"--baseline: {path} is not a list of findings in JSON; {way_out}") from error


def _key(path: str, code: str, message: str) -> tuple[str, str, str]:
    return os.path.normpath(Path.cwd() / path), code, message
