"""The tables, and their migrations.

They are those of the SQLite store, in a schema (namespace) of their own. Migrations only add, so that processes of the
version before can go on meanwhile; ``meta`` says which version that is at least.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from sessionstream.errors import StoreError, StoreUpgraded
from sessionstream.hydration.rules import new_epoch

if TYPE_CHECKING:
    from sessionstream.hydration.postgres.connections import Link

# Ids are compared and sorted as in Python, by code points: collation "C". Epochs, numbers of sessions (sid) and of
# timelines have the meaning that they have in the SQLite store; so have the columns `depth`, `encoding`, `floor`,
# `superseded` and `digest`.
#
# A row of `sessions` is updated by every commit: the space that is left in its page lets PostgreSQL do that without
# touching the indexes.
#
# `changed` is the transaction that has changed the session last. An index of ranges (BRIN) lets such updates be as
# cheap, but for PostgreSQL 15, where `changes` reads the whole table instead.
#
# `ui_events` is not logged: after a crash of the server it is empty, and clients get snapshots instead.
_VERSION_1: Final = (
    """CREATE TABLE {s}.meta (
        schema_version integer NOT NULL,
        min_version integer NOT NULL,
        first_epoch bigint NOT NULL)""",
    "CREATE SEQUENCE {s}.sids",
    "CREATE SEQUENCE {s}.timelines",
    """CREATE TABLE {s}.sessions (
        session_id text COLLATE "C" NOT NULL UNIQUE,
        sid bigint PRIMARY KEY DEFAULT nextval('{s}.sids'),
        timeline bigint NOT NULL DEFAULT nextval('{s}.timelines'),
        event_cursor bigint NOT NULL,
        timeline_cursor bigint NOT NULL,
        epoch bigint NOT NULL,
        floor bigint NOT NULL DEFAULT 0,
        last_commit text NOT NULL DEFAULT '',
        last_time timestamptz NOT NULL DEFAULT '-infinity',
        changed bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint) WITH (fillfactor = 50)""",
    """DO $do$ BEGIN
        IF current_setting('server_version_num')::integer >= 160000 THEN
            CREATE INDEX sessions_by_change ON {s}.sessions USING brin (changed) WITH (pages_per_range = 16);
        END IF;
    END $do$""",
    """CREATE TABLE {s}.payload_types (
        type integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        digest bytea NOT NULL,
        descriptors bytea NOT NULL,
        UNIQUE (name, digest))""",
    """CREATE TABLE {s}.events (
        sid bigint NOT NULL,
        ordinal bigint NOT NULL,
        event_id text COLLATE "C" NOT NULL,
        name text,
        type integer NOT NULL,
        payload bytea,
        digest bytea,
        metadata text NOT NULL DEFAULT '',
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (sid, ordinal))""",
    "CREATE UNIQUE INDEX events_by_id ON {s}.events (sid, event_id)",
    """CREATE TABLE {s}.entities (
        timeline bigint NOT NULL,
        kind text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        created bigint NOT NULL,
        changed bigint NOT NULL,
        type integer,
        payload bytea,
        depth integer NOT NULL,
        PRIMARY KEY (timeline, kind, id)) WITH (fillfactor = 80)""",
    "CREATE INDEX entities_by_change ON {s}.entities (timeline, changed)",
    """CREATE TABLE {s}.entity_versions (
        timeline bigint NOT NULL,
        kind text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        created bigint NOT NULL,
        changed bigint NOT NULL,
        superseded bigint NOT NULL,
        type integer,
        encoding integer NOT NULL,
        payload bytea,
        PRIMARY KEY (timeline, kind, id, changed))""",
    """CREATE TABLE {s}.command_claims (
        session_id text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        digest bytea NOT NULL,
        node text NOT NULL,
        token uuid NOT NULL,
        finished boolean NOT NULL DEFAULT false,
        claimed_at timestamptz NOT NULL,
        PRIMARY KEY (session_id, key))""",
    "CREATE INDEX claims_by_time ON {s}.command_claims (session_id, claimed_at)",
    """CREATE TABLE {s}.errors (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        token uuid NOT NULL UNIQUE,
        session_id text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        ordinal text NOT NULL,
        event_name text NOT NULL,
        error text NOT NULL,
        raw_message bytea NOT NULL,
        metadata text NOT NULL,
        recorded_at timestamptz NOT NULL)""",
    "CREATE INDEX errors_by_session ON {s}.errors (session_id, seq)",
    """CREATE TABLE {s}.discarded (
        what text NOT NULL,
        number bigint NOT NULL,
        below bigint NOT NULL DEFAULT 0,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (what, number))""",
    "CREATE TABLE {s}.nodes (node text PRIMARY KEY, version integer NOT NULL, until timestamptz NOT NULL)",
    """CREATE TABLE {s}.leases (
        name text PRIMARY KEY,
        owner text NOT NULL,
        fence bigint NOT NULL,
        until timestamptz NOT NULL)""",
    """CREATE UNLOGGED TABLE {s}.ui_events (
        session_id text COLLATE "C" NOT NULL,
        epoch bigint NOT NULL,
        ordinal bigint NOT NULL,
        before bigint NOT NULL,
        data bytea,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (session_id, epoch, ordinal))""",
    "CREATE INDEX ui_events_by_age ON {s}.ui_events (at)",
)

# With which contents sessions were copied to here from another store (see loading.py).
_VERSION_2: Final = (
    """CREATE TABLE {s}.copied (
        session_id text COLLATE "C" PRIMARY KEY,
        contents bytea NOT NULL,
        times bytea NOT NULL)""",
)

MIGRATIONS: Final = (_VERSION_1, _VERSION_2)
"""The statements that lead from each version to the next."""

VERSION: Final = len(MIGRATIONS)

MIN_VERSION: Final = 1
"""The oldest version whose processes may use the tables of this one."""

_META: Final = "SELECT schema_version, min_version, first_epoch FROM {s}.meta"
# A question to the catalogs: to_regclass would not see what another process has just created.
_EXISTS: Final = """SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = 'meta')"""
_PARTS: Final = """SELECT kinds.name || ' ' || c.relname FROM pg_class c
    JOIN (VALUES ('r', 'table'), ('i', 'index'), ('S', 'sequence')) kinds (kind, name) ON kinds.kind = c.relkind::text
    WHERE c.relnamespace = '{s}'::regnamespace
    UNION ALL SELECT 'column ' || c.relname || '.' || a.attname
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = '{s}'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"""
_MADE: Final = re.compile(r"CREATE (?:UNLOGGED |UNIQUE )?(TABLE|INDEX|SEQUENCE) (?:\{s\}\.)?(\w+)")
_COLUMN: Final = re.compile(r"[(,]\s*([a-z_]+) ([a-z][^,]*)")
_UNIQUE: Final = re.compile(r"UNIQUE \(([^)]*)\)")
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('sessionstream ' || $1, 0))"


async def migrate(link: Link, name: str, schema: str) -> int:
    """Bring the tables to this version, creating them where there are none; return the epoch of unused sessions.

    Several processes may do this at the same time: one does it, the others wait.

    Raises:
        StoreError: the schema holds other tables.
        StoreUpgraded: the tables are of a version that this one cannot use.
    """
    if await exist(link, schema):
        version, epoch = await check(link, name)
        if version >= VERSION:
            return epoch
    async with link.transaction():
        await link.fetch(_LOCK, schema)
        if await exist(link, schema):
            version, epoch = await check(link, name)
        else:
            version, epoch = 0, new_epoch()
            await _create(link, name, schema)
        for statements in MIGRATIONS[version:]:
            await link.run_script(statements)
        if version == 0:
            await link.fetch("INSERT INTO {s}.meta VALUES ($1, $2, $3)", VERSION, MIN_VERSION, epoch)
        elif version < VERSION:
            await link.fetch("UPDATE {s}.meta SET schema_version = $1, min_version = $2", VERSION, MIN_VERSION)
    return epoch


async def exist(link: Link, schema: str) -> bool:
    """Return whether there are tables in the schema."""
    return bool((await link.fetch(_EXISTS, schema))[0][0])


async def check(link: Link, name: str) -> tuple[int, int]:
    """Return the version of the tables, and the epoch of unused sessions.

    Raises:
        StoreUpgraded: this version cannot use them.
        StoreError: the table that says so is empty.
    """
    rows = await link.fetch(_META)
    if not rows:
        raise StoreError(f"{name} has an empty table meta: something else has changed it, so restore it from a backup")
    version, least, epoch = rows[0]
    if least > VERSION:
        raise StoreUpgraded(name, version=version, known=VERSION)
    return version, epoch


async def parts(link: Link) -> set[str]:
    """Return the tables in the schema, their columns, the indexes and the sequences: ``"column events.digest"``."""
    return {row[0] for row in await link.fetch(_PARTS)}


def parts_of(version: int, schema: str) -> dict[str, str]:
    """Return the ``parts`` that the tables of a version have; for those that are made alone, with the statement.

    The index ``sessions_by_change`` is not among them: PostgreSQL 15 has none.
    """
    found: dict[str, str] = {}
    for statement in chain.from_iterable(MIGRATIONS[:version]):
        made = _MADE.match(statement)
        if made is None:
            continue
        kind, name = made[1].lower(), made[2]
        found[f"{kind} {name}"] = "" if kind == "table" else statement.replace("{s}", f'"{schema}"')
        if kind == "table":
            columns = _COLUMN.findall(statement)
            unique = [column for column, constraint in columns if "UNIQUE" in constraint]
            unique += [names.replace(", ", "_") for names in _UNIQUE.findall(statement)]
            found |= {f"column {name}.{column}": "" for column, _ in columns}
            found |= {f"index {name}_{each}_key": "" for each in unique}
            if "PRIMARY KEY" in statement:
                found[f"index {name}_pkey"] = ""
    return found


async def _create(link: Link, name: str, schema: str) -> None:
    found = await link.fetch("SELECT 1 FROM pg_namespace WHERE nspname = $1", schema)
    if not found:
        await link.fetch("CREATE SCHEMA {s}")
        return
    tables = await link.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) "
        "AND relkind IN ('r', 'v', 'm', 'p') LIMIT 1",
        schema,
    )
    if tables:
        raise StoreError(
            f"schema {schema!r} of {name} holds tables of something else, such as {tables[0][0]!r}: give the store a "
            f"schema of its own with schema=…"
        )
