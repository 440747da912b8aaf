"""Sessions taken apart: of any phase that runs, and of a store file.

``seen`` is what there is to see, ``sources`` where: ``running`` the hub of a phase, ``file`` a SQLite file that is only
read. ``diff`` is what two timelines differ by, ``answers`` its JSON documents besides
``sessionstream.documents``, ``questions`` the parameters of a request, ``routes`` the endpoints.
"""

from sessionstream.systemlab.inspector.routes import inspector_routes

__all__ = ["inspector_routes"]
