"""The command ``sessionstream``: inspects a store, and repairs, prunes or copies it; writes types for browsers.

============================  ===============================================================
module                        what is in it
============================  ===============================================================
``cli``                       the command line
``looking``                   reads a store with ``stores.look``; changes nothing
``app``                       loads the application's schemas and projections
``typescript``                the TypeScript of a registry's messages
``repair``, ``rehearsal``     retries, rebuilds, prunes, deletes; tells what a retry would change
``files``                     backs up, restores, upgrades and copies files, and answers what it did
``checking``                  checks that each session is in order, whole and readable
``progress``                  how far a long command is
``answers``                   each answer as a JSON document and as text
``tables``, ``outcome``       aligned columns; answers and failures as values
============================  ===============================================================

Nothing else of the library imports this package.
"""
