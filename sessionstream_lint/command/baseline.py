"""``--baseline``: findings that were there before, as ``--format json`` printed them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sessionstream_lint.command.report import Located
from sessionstream_lint.options import UsageError


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
