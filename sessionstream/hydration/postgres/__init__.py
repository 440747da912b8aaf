"""The PostgreSQL store: commits as single statements, shared by processes on several machines.

=================================  ==================================================================
module                             what is in it
=================================  ==================================================================
``store``                          ``PostgresStore``
``committer``, ``batch``           the queue of commits; what goes into one statement, and the statement
``states``                         the states that commits supersede, as this process wrote them
``reads``, ``changes``             what each question asks; what each other change does
``inspection``                     ``PostgresTables``: what operators' tools read, in one transaction
``rebuilding``                     writes a rebuilt timeline beside the present one, and swaps it in
``discarded``, ``upkeep``          rows to be removed; what removes them, and renews this process's row
``feed``, ``notifications``        what other processes do: moves, and hints over LISTEN and NOTIFY
``connections``, ``failures``      connections, attempts and their limits; the server's errors
``schema``, ``payload_types``      the tables and their migrations; the message schemas of payloads
=================================  ==================================================================
"""

try:
    import asyncpg  # noqa: F401
except ImportError as _error:
    raise ImportError(
        f"PostgresStore needs the package asyncpg, 0.30 or newer ({_error}): pip install 'sessionstream[postgres]'",
        name=_error.name,
    ) from _error

from sessionstream.hydration.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
