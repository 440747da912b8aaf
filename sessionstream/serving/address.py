"""Where to listen: ``HOST:PORT``, and which names such a server answers to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

_LOCAL = "localhost"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``; ``:8092`` means port 8092 of this machine alone.

        Raises:
            ValueError: it is none.

        >>> Address.parse(":8092"), Address.parse("[::1]:0")
        (Address(host='127.0.0.1', port=8092), Address(host='::1', port=0))
        """
        refusal = ValueError(f"{text!r} is no address: write HOST:PORT, with a port up to 65535")
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
        """Whether only this machine can connect."""
        return _is_local(self.host)

    @property
    def names(self) -> Collection[str] | None:
        """The hosts that requests may be for; None: any, because it was asked to listen to others.

        A page of somebody else's whose name was made to point at this machine is same-origin for the browser, so
        that only the name it uses gives it away.
        """
        return frozenset({_LOCAL, "127.0.0.1", "::1", self.host}) if self.local else None

    def url(self, port: int) -> str:
        """Return where a browser finds it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}/"


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == _LOCAL
