"""The exceptions of the client.

.. code-block:: text

    TransportError
    ├── SubscriptionEnded      the server ended one subscription
    ├── UnexpectedPayload      a payload is not the message that the registry has
    ├── HandshakeRefused       the server refused the handshake
    ├── ConnectionEnded        the server closed with a code that says not to reconnect
    └── ClientClosed           the client is closed, or was never entered

Temporary failures, such as a lost connection, raise nothing: the client reconnects.
"""

from __future__ import annotations

from sessionstream.errors import TransportError


class SubscriptionEnded(TransportError):
    """The server ended one subscription; the client's others continue.

    Attributes:
        session_id: the session.
        code: the code of the error frame, such as ``"unauthorized"``; ``"unsubscribed"`` if there was none.
        message: the server's message.
    """

    def __init__(self, session_id: str, code: str, message: str) -> None:
        super().__init__(f"the subscription to session {session_id!r} has ended: {code}{message and f' ({message})'}")
        self.session_id = session_id
        self.code = code
        self.message = message


class UnexpectedPayload(TransportError):
    """A payload is not the message that the client's registry has for its name; the subscription has ended.

    Attributes:
        session_id: the session.
        family: ``"ui event"`` or ``"timeline entity"``.
        name: the name of the UI event, or the kind of the entity.
        expected: the full name of the registered message.
        reason: what is wrong.
    """

    def __init__(self, session_id: str, family: str, name: str, expected: str, reason: str) -> None:
        super().__init__(
            f"{family} {name!r} of session {session_id!r} is not readable as {expected}: {reason}; "
            f"register the message that the server sends"
        )
        self.session_id = session_id
        self.family = family
        self.name = name
        self.expected = expected
        self.reason = reason


class HandshakeRefused(TransportError):
    """The server refused the handshake.

    A function for ``url``, ``headers`` or ``subprotocols`` of ``connect`` may raise it too, to refuse an attempt.

    Attributes:
        status: the HTTP status, or the one that the close code stands for.
        code: the close code, 4401 or 4403, if the refusal came as one.
        reason: the server's reason.
    """

    def __init__(self, status: int, code: int | None = None, reason: str = "") -> None:
        closed = f" (close code {code})" if code is not None else ""
        super().__init__(
            f"the server refuses the handshake with HTTP status {status}{closed}{reason and f': {reason}'}"
        )
        self.status = status
        self.code = code
        self.reason = reason


class ConnectionEnded(TransportError):
    """The server closed the connection with a code that says not to reconnect.

    Attributes:
        code: the close code.
        reason: the server's reason.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the connection was closed for good with {code}{reason and f' ({reason})'}")
        self.code = code
        self.reason = reason


class ClientClosed(TransportError):
    """The client is closed, or was never entered: use it as ``async with connect(…) as client``."""

    def __init__(self) -> None:
        super().__init__("the client is not open: use it as 'async with connect(…) as client'")
