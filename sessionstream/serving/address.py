"""Listening addresses ``HOST:PORT``, and the host names that a server at one accepts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

_LOCAL = "localhost"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 means any free port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ``HOST:PORT``; ``:8092`` means port 8092 of the loopback interface.

        Raises:
            ValueError: the text is not an address.

        >>> Address.parse(":8092"), Address.parse("[::1]:0")
        (Address(host='127.0.0.1', port=8092), Address(host='::1', port=0))
        """
        refusal = ValueError(f"{text!r} is not an address: write HOST:PORT, with a port up to 65535")
        try:
            parts = urlsplit(f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise refusal from None
        if parts.path or parts.query or parts.fragment or parts.username is not None or port is None:
            raise refusal
        return cls(host or "127.0.0.1", port)

    @property
    def local(self) -> bool:
        """Whether only clients on this machine can connect."""
        return _is_local(self.host)

    @property
    def names(self) -> Collection[str] | None:
        """The hosts that requests may name. None means any host, for an address that other machines can reach.

        This protects against DNS rebinding: a foreign page whose host name resolves to this machine is same-origin for
        the browser, and only the Host header of its requests shows that it is foreign.
        """
        return frozenset({_LOCAL, "127.0.0.1", "::1", self.host}) if self.local else None

    def url(self, port: int) -> str:
        """Return the URL of the server, with the port that it listens on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}/"


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == _LOCAL
