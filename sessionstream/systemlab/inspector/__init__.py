"""The inspector: shows sessions of running phases and of a store file.

``seen`` has the values, ``sources`` the port to read them from: ``running`` from the hub of a phase, ``file`` from a
SQLite file, read-only. ``diff`` compares two timelines, ``answers`` makes the JSON documents besides those of
``sessionstream.documents``, ``questions`` reads the parameters of a request, ``routes`` has the endpoints.
"""

from sessionstream.systemlab.inspector.routes import inspector_routes

__all__ = ["inspector_routes"]
