"""The SQLite store: one file, one writer thread, readers that never wait for it.

=================================  ==================================================================
module                             what is in it
=================================  ==================================================================
``store``                          ``SQLiteStore``, the asyncio side
``writer``, ``writes``             the thread that groups changes into transactions; what each change does
``reader``, ``reads``              the threads that answer questions; what each question asks
``rebuilding``                     writes a rebuilt timeline beside the present one, and swaps it in
``discarded``, ``removing``        the list of rows to be removed; what removes them, in small transactions
``sessions``, ``history``          the row of a session; a timeline as of an earlier event
``times``                          the time an event, an error record or a key is stored with
``rows``, ``columns``              values to rows; rows to values, each checked
``payload_types``                  the message schemas that payloads were written with
``database``, ``schema``           how the file is opened; its tables and their migrations
``watch``, ``failures``            notices that the file was replaced; SQLite's errors as StoreErrors
``inspection``                     reads a file without the app's code: ``SQLiteFile``
``backup``                         copies a file that may be in use, and restores a copy
``upgrading``                      brings a file of an earlier version to the present one
=================================  ==================================================================
"""

from sessionstream.hydration.sqlite.inspection import SQLiteFile
from sessionstream.hydration.sqlite.store import SQLiteStore
from sessionstream.hydration.sqlite.upgrading import Upgrade

__all__ = ["SQLiteStore", "SQLiteFile", "Upgrade"]
