"""Limits on connections, and the rejection of clients whose handshake is still in progress."""

from __future__ import annotations

from collections import Counter

from sessionstream.transport.access import Refused
from sessionstream.transport.ws.server.limits import Limits
from sessionstream.transport.ws.wire.codes import CloseCode


class Peer:
    """One client, from its handshake to the end of its connection.

    Attributes:
        known: whether its principal is known.
        principal: its principal; None until it is known.
        close_with: code and reason to close with as soon as the connection is accepted; None to serve it.
    """

    __slots__ = ("_rejected", "close_with", "known", "principal")

    def __init__(self) -> None:
        self.known: bool = False
        self.principal: object = None
        self.close_with: tuple[CloseCode, str] | None = None
        self._rejected: set[object] = set()

    def reject(self, principal: object, code: CloseCode, reason: str) -> None:
        """Reject this client if it has this principal, or is identified as this principal later."""
        if not self.known:
            self._rejected.add(principal)
        elif self.principal == principal:
            self.close_with = code, reason

    def identify(self, principal: object) -> None:
        """Record the principal.

        Raises:
            Refused: the principal was rejected during the handshake.
        """
        if principal in self._rejected:
            raise Refused("unknown", f"the connections of {principal!r} were closed during this handshake")
        self.known, self.principal = True, principal


class Admission:
    """Counts clients, in total and by principal, including those whose handshake is in progress."""

    __slots__ = ("_limits", "_peers", "_principals", "_stopping")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._peers: set[Peer] = set()
        self._principals: Counter[object] = Counter()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._peers)

    def enter(self) -> Peer:
        """Register a client whose handshake begins."""
        peer = Peer()
        self._peers.add(peer)
        return peer

    def check(self) -> None:
        """Check that there is room for another connection.

        Raises:
            Refused: there is none, or the server is shutting down.
        """
        self._check_stopping()
        if len(self._peers) > self._limits.connections:
            raise Refused("busy", f"there are {self._limits.connections} connections already")

    def admit(self, peer: Peer, principal: object) -> None:
        """Record the principal of a client.

        Raises:
            Refused: the principal was rejected or the server shut down during the handshake, or the principal has as
                many connections as it may have.
        """
        self._check_stopping()
        peer.identify(principal)
        if principal is not None:
            self._principals[principal] += 1
            if self._principals[principal] > self._limits.connections_per_principal:
                raise Refused("busy", f"{principal!r} has {self._limits.connections_per_principal} connections already")

    def leave(self, peer: Peer) -> None:
        """Remove a client."""
        self._peers.remove(peer)
        if peer.principal is not None:
            self._principals[peer.principal] -= 1
            if not self._principals[peer.principal]:
                del self._principals[peer.principal]

    def reject(self, principal: object, code: CloseCode, reason: str) -> None:
        """Reject all clients of a principal whose handshake is in progress."""
        for peer in self._peers:
            peer.reject(principal, code, reason)

    def stop(self, code: CloseCode, reason: str) -> None:
        """Refuse new handshakes, and close clients whose handshake is in progress."""
        self._stopping = True
        for peer in self._peers:
            peer.close_with = code, reason

    def _check_stopping(self) -> None:
        if self._stopping:
            raise Refused("busy", "the server shuts down")
