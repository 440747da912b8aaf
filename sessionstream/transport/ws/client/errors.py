"""What a client can meet, as exceptions.

.. code-block:: text

    TransportError
    ├── SubscriptionEnded      the server ended one subscription, and says why
    ├── UnexpectedPayload      what came is not the message that the registry names
    ├── HandshakeRefused       the server does not let this client in
    ├── ConnectionEnded        the server closed with a code that says not to come back
    └── ClientClosed           the client is closed, or was never opened

Whatever passes by itself, a lost connection above all, is no exception: the client comes back.
"""

from __future__ import annotations

from sessionstream.errors import TransportError


class SubscriptionEnded(TransportError):
    """The server ended one subscription; others of the client go on.

    Attributes:
        session_id: the session.
        code: of the error frame, for example ``"unauthorized"``; ``"unsubscribed"`` where there was none.
        message: the server's words.
    """

    def __init__(self, session_id: str, code: str, message: str) -> None:
        super().__init__(f"the subscription to session {session_id!r} has ended: {code}{message and f' ({message})'}")
        self.session_id = session_id
        self.code = code
        self.message = message


class UnexpectedPayload(TransportError):
    """A payload is not the message that the client's registry names; the subscription has ended.

    Attributes:
        session_id: the session.
        family: ``"ui event"`` or ``"timeline entity"``.
        name: the name of the UI event, or the kind of the entity.
        expected: full name of the registered message.
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
    """The server does not let this client in.

    Raised by a function for the URL, the headers or the sub-protocols of ``connect``, it means the same: whoever gives
    out the credentials refuses to.

    Attributes:
        status: of the HTTP response, or the one that the close code stands for.
        code: the close code, 4401 or 4403, if the refusal came as one.
        reason: the server's words.
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
    """The connection was closed with a code that says not to come back.

    Attributes:
        code: the close code.
        reason: the server's words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the connection was closed for good with {code}{reason and f' ({reason})'}")
        self.code = code
        self.reason = reason


class ClientClosed(TransportError):
    """The client is closed, or was never opened: use it as ``async with connect(…) as client``."""

    def __init__(self) -> None:
        super().__init__("the client is not open: use it as 'async with connect(…) as client'")
