"""The inspector: shows sessions of running phases and of a store.

``seen`` has the values, ``sources`` the port to read them from: ``running`` from the hub of a phase, ``stored`` from a
file or a database, read-only. ``diff`` compares two timelines, ``answers`` makes the JSON documents besides those of
``sessionstream.documents``, ``questions`` reads the parameters of a request, ``routes`` has the endpoints; ``alone``
serves them and the page over one store, without the lab.
"""

from sessionstream.systemlab.inspector.routes import inspector_routes
from sessionstream.systemlab.inspector.running import running
from sessionstream.systemlab.inspector.stored import StoreSource

__all__ = ["StoreSource", "inspector_routes", "running"]
