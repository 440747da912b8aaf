"""Back up, restore, upgrade and copy: the commands that are of whole files; and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sessionstream.admin.looking import look
from sessionstream.admin.outcome import FAILED, OK, Answer, Refused
from sessionstream.admin.progress import ProgressFunction
from sessionstream.admin.tables import Table, counted
from sessionstream.errors import StoreError
from sessionstream.hydration import stores
from sessionstream.hydration.copying import CopyReport, copy
from sessionstream.hydration.sqlite import SQLiteStore, Upgrade


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made, of a file or in its place.

    Attributes:
        file: which was copied or restored.
        copy: the backup.
        sessions: number of sessions in it.
        size: of the copy, in bytes.
    """

    file: str
    copy: str
    sessions: int
    size: int


def back_up(path: str, copy: str, progress: ProgressFunction | None) -> Backup:
    """Copy a file to a new one.

    Args:
        progress: called with the number of pages that are copied, and of all.

    Raises:
        Refused: the file cannot be used, or one of them is a URL.
        StoreError: there is something at ``copy``, or it cannot be written.
    """
    _check_paths("backup", path, copy)
    look(path, lambda state: state.version)
    SQLiteStore.back_up(path, copy, progress)
    return Backup(path, copy, look(copy, lambda state: len(state.sessions())), Path(copy).stat().st_size)


def restore(copy: str, path: str, progress: ProgressFunction | None, *, replace: bool) -> Backup:
    """Put a copy in the place of a file.

    Args:
        progress: called with the number of pages that are copied, and of all.

    Raises:
        Refused: the copy cannot be used, or one of them is a URL.
        StoreError: the file cannot be written, is open, or is there and not to be replaced.
    """
    _check_paths("restore", copy, path)
    look(copy, lambda state: state.version)
    SQLiteStore.restore(copy, path, replace=replace, progress=progress)
    return Backup(path, copy, look(path, lambda state: len(state.sessions())), Path(path).stat().st_size)


def _check_paths(command: str, *places: str) -> None:
    for each in places:
        if stores.is_url(each):
            raise Refused(
                f"{stores.shown(each)} is a URL, and {command} copies SQLite files: back up a database with its own "
                f"tool, such as PostgreSQL's pg_dump"
            )


def upgrade(path: str, *, dry_run: bool) -> Upgrade:
    """Bring a file to the present schema version, or say what that would change.

    Raises:
        Refused: the file cannot be used, or is a URL.
        StoreError: it cannot be written.
    """
    if stores.is_url(path):
        raise Refused(f"{stores.shown(path)} is a URL: the first app that opens a database upgrades its tables")
    look(path, lambda state: state.version)
    return SQLiteStore.upgrade(path, dry_run=dry_run)


def copy_to(path: str, location: str, progress: ProgressFunction | None) -> CopyReport:
    """Copy the sessions of a file to a database.

    Raises:
        Refused: the file or the database cannot be used, or they are not what they should be.
        StoreError: the database failed meanwhile.
    """
    if stores.is_url(path):
        raise Refused(
            f"{stores.shown(path)} is a URL, and copy reads SQLite files: copy a database with its own tool, such as "
            f"PostgreSQL's pg_dump"
        )
    look(path, lambda state: state.version)
    try:
        with stores.loading(location):
            pass
    except StoreError as error:
        raise Refused(str(error)) from error
    return copy(path, location, progress)


# -- answers ----------------------------------------------------------------------------------------------------------


def backed_up(made: Backup) -> Answer:
    """Answer what a backup made."""
    return _made(made, "backup", f"copied {made.file} to {made.copy}")


def restored(made: Backup) -> Answer:
    """Answer what a restore made."""
    return _made(made, "restore", f"restored {made.file} from {made.copy}")


def _made(made: Backup, command: str, words: str) -> Answer:
    document = {
        "store": made.file,
        "command": command,
        "copy": made.copy,
        "sessions": made.sessions,
        "bytes": made.size,
    }
    what = f"{counted(made.sessions, 'session')}, {made.size:,} bytes"
    return Answer(document, (f"{words}: {what}, checked by SQLite",))


def upgraded(file: str, found: Upgrade, *, dry_run: bool) -> Answer:
    """Answer what an upgrade has changed, or would change."""
    document = {
        "store": file,
        "command": "upgrade",
        "dryRun": dry_run,
        "before": found.before,
        "after": found.after,
        "changes": list(found.changes),
    }
    if found.before == found.after:
        return Answer(document, (f"{file} has schema {found.after}, the present one: nothing to do",))
    table = Table(("ADDED",), [(each,) for each in found.changes])
    if dry_run:
        return Answer(document, (f"upgrade {file}, dry run: schema {found.before} would become {found.after}", table))
    return Answer(document, (f"upgraded {file}: schema {found.before} has become {found.after}", table))


def copied(file: str, target: str, report: CopyReport) -> Answer:
    """Answer what a copy to another store did."""
    document = {
        "store": file,
        "command": "copy",
        "target": target,
        "copied": report.copied,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "events": report.events,
        "left": [{"sessionId": each.session_id, "reason": each.reason} for each in report.left],
        "processes": report.processes,
    }
    text = (
        f"copied {file} to {target}: {counted(report.sessions, 'session')} there and verified, {report.copied} of them "
        f"copied with this run, {report.updated} brought up to date, {report.unchanged} unchanged; "
        f"{counted(report.events, 'event')} written"
    )
    blocks: list[str | Table] = [text]
    if report.left:
        rows = [(each.session_id or "-", each.reason) for each in report.left]
        blocks.append(Table(("SESSION", "WHY"), rows, "none", "not copied"))
    if report.processes:
        blocks.append(
            f"{counted(report.processes, 'process', 'processes')} had {file} open and did not close it. If one still "
            "runs, what it writes from now on is not in the copy: end it and copy again, which brings the copy up to "
            "date. Those that were killed are named for a day, and change nothing"
        )
    return Answer(document, tuple(blocks), FAILED if report.left else OK)
