"""The command ``sessionstream``: what an operator asks of a SQLite file, and does to one.

``cli`` is what people type; ``file`` looks into a file without changing anything, by ``SQLiteStore.look``, and
``payloads`` makes payloads readable with the schemas that the file itself keeps. ``repair`` retries, rebuilds, prunes
and backs up, with the projections that ``app`` loads; ``rehearsal`` finds out what that would do. ``answers`` puts what
was found into both of its forms, with ``documents`` and ``tables``. Nothing else of the library knows this package.
"""
