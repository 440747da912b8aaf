"""Who is connected or about to be: how many there may be, and who is sent away before the connection is there."""

from __future__ import annotations

from collections import Counter

from sessionstream.transport.ws.server.handshake import Refused
from sessionstream.transport.ws.server.limits import Limits
from sessionstream.transport.ws.wire.codes import NOT_SIGNED_IN, CloseCode


class Peer:
    """One client, from its handshake to its end.

    Attributes:
        known: whether it is known who it is.
        principal: who it is; None before that is known.
        close_with: the code and the reason to close with as soon as the connection is there; None for none.
    """

    __slots__ = ("_rejected", "close_with", "known", "principal")

    def __init__(self) -> None:
        self.known = False
        self.principal: object = None
        self.close_with: tuple[CloseCode, str] | None = None
        self._rejected: set[object] = set()

    def reject(self, principal: object, code: CloseCode, reason: str) -> None:
        """Send this client away if it is the principal's, or turns out to be."""
        if not self.known:
            self._rejected.add(principal)
        elif self.principal == principal:
            self.close_with = code, reason

    def identify(self, principal: object) -> None:
        """Say who it is.

        Raises:
            Refused: the principal was sent away meanwhile.
        """
        if principal in self._rejected:
            raise Refused(403, f"the connections of {principal!r} were closed meanwhile", NOT_SIGNED_IN)
        self.known, self.principal = True, principal


class Admission:
    """Counts clients, in all and for each principal, those included whose handshake is under way."""

    __slots__ = ("_limits", "_peers", "_principals", "_stopping")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._peers: set[Peer] = set()
        self._principals: Counter[object] = Counter()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._peers)

    def enter(self) -> Peer:
        """Begin a handshake."""
        peer = Peer()
        self._peers.add(peer)
        return peer

    def check(self) -> None:
        """Refuse a handshake that has begun, where there is no room for it.

        Raises:
            Refused: there is not.
        """
        self._check_stopping()
        if len(self._peers) > self._limits.connections:
            raise Refused(503, f"there are {self._limits.connections} connections already")

    def admit(self, peer: Peer, principal: object) -> None:
        """Say who it is that comes.

        Raises:
            Refused: it may not, because of what happened meanwhile, or of its other connections.
        """
        self._check_stopping()
        peer.identify(principal)
        if principal is not None:
            self._principals[principal] += 1
            if self._principals[principal] > self._limits.connections_per_principal:
                raise Refused(503, f"{principal!r} has {self._limits.connections_per_principal} connections already")

    def leave(self, peer: Peer) -> None:
        """End a peer."""
        self._peers.remove(peer)
        if peer.principal is not None:
            self._principals[peer.principal] -= 1
            if not self._principals[peer.principal]:
                del self._principals[peer.principal]

    def reject(self, principal: object, code: CloseCode, reason: str) -> None:
        """Send away whoever of a principal is about to be connected."""
        for peer in self._peers:
            peer.reject(principal, code, reason)

    def stop(self, code: CloseCode, reason: str) -> None:
        """Let nobody in any more."""
        self._stopping = True
        for peer in self._peers:
            peer.close_with = code, reason

    def _check_stopping(self) -> None:
        if self._stopping:
            raise Refused(503, "the server shuts down")
