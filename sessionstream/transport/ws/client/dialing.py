"""One connection attempt: calls the functions for URL and credentials, and opens a socket."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.datastructures import Headers
from websockets.exceptions import WebSocketException
from websockets.uri import parse_uri

from sessionstream.callables import refuse_unasked
from sessionstream.errors import error_text
from sessionstream.transport.ws.client.errors import HandshakeRefused
from sessionstream.transport.ws.wire.subprotocol import HTTP_TOKEN

if TYPE_CHECKING:
    from websockets.typing import Subprotocol

_T = TypeVar("_T")

_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

Source: TypeAlias = _T | Callable[[], _T | Awaitable[_T]]
"""A value, or a function, plain or async, that is called before each attempt and returns it."""


class Dialer:
    """Opens sockets to one server.

    Args:
        url, headers, subprotocols: values or functions.
        ssl_context: for ``wss``.
        frame_bytes: longest message to accept.
        open_timeout: seconds for an attempt, and for the functions before it.
        close_timeout: seconds for the server to answer a close.

    Raises:
        ValueError: the URL is not valid, or not ``wss`` although there is an ``ssl_context``; a header or a
            sub-protocol has invalid characters.
        TypeError: an argument has the wrong type.
    """

    def __init__(
        self,
        url: Source[str],
        headers: Source[Mapping[str, str]] | None,
        subprotocols: Source[Sequence[str]] | None,
        *,
        ssl_context: ssl.SSLContext | None,
        frame_bytes: int,
        open_timeout: float,
        close_timeout: float,
    ) -> None:
        self._url = url
        self._headers = headers
        self._subprotocols = subprotocols
        self._ssl = ssl_context
        self._frame_bytes = frame_bytes
        self._open_timeout = open_timeout
        self._close_timeout = close_timeout
        if not callable(url):
            self._check_url(url)
        if headers is not None and not callable(headers):
            _check_headers(headers)
        if subprotocols is not None and not callable(subprotocols):
            _check_subprotocols(subprotocols)

    @property
    def asks_anew(self) -> bool:
        """Whether the credentials may differ at the next attempt, because a function returns them."""
        return callable(self._url) or callable(self._headers) or callable(self._subprotocols)

    async def __call__(self) -> ClientConnection:
        """Open a socket.

        Raises:
            HandshakeRefused: one of the functions raised it.
            InvalidStatus: the server answered with an HTTP status.
            OSError, ValueError, WebSocketException: the server cannot be reached, or a function failed.
        """
        url, headers, subprotocols = await self._credentials()
        return await open_socket(
            url,
            additional_headers=headers,
            subprotocols=cast("Sequence[Subprotocol]", subprotocols) or None,  # an empty header would be invalid
            ssl=self._ssl,
            compression=None,
            max_size=self._frame_bytes,
            open_timeout=self._open_timeout,
            close_timeout=self._close_timeout,
            ping_interval=None,  # the conversation has its own heartbeat, in JSON frames
        )

    async def _credentials(self) -> tuple[str, Mapping[str, str] | None, Sequence[str] | None]:
        """Return the URL, headers and sub-protocols of this attempt."""
        try:
            async with asyncio.timeout(self._open_timeout):
                url = await _asked(self._url)
                headers = await _asked(self._headers)
                subprotocols = await _asked(self._subprotocols)
            self._check_url(url)
            if headers is not None:
                _check_headers(headers)
            if subprotocols is not None:
                _check_subprotocols(subprotocols)
        except HandshakeRefused:
            raise
        except Exception as failure:  # e.g. the token service is down: temporary, like a server that is down
            raise ConnectionError(f"address and credentials cannot be had: {error_text(failure)}") from failure
        return url, headers, subprotocols

    def _check_url(self, url: object) -> None:
        """Check that the URL is valid, and encrypted if there is an ``ssl_context``."""
        if not isinstance(url, str):
            raise TypeError(
                f"url must be a string, such as 'wss://app.example/ws', or a function that returns one, not {url!r}"
            )
        try:
            secure = parse_uri(url).secure
        except WebSocketException as error:
            raise ValueError(f"{url!r} is not a WebSocket URL: {error}") from error
        if self._ssl is not None and not secure:
            raise ValueError(f"{url!r} is not encrypted: leave ssl_context out, or write wss")


async def _asked(source: Source[_T]) -> _T:
    """Return a value, or the result of the function that was given instead."""
    try:
        given: Any = source() if callable(source) else source
        answer: _T = await given if isawaitable(given) else given
    except asyncio.CancelledError as error:
        refuse_unasked(error, "a function for the URL or the credentials waited for something that was cancelled")
        raise
    return answer


# Error messages do not contain the credentials, because they are logged.


def _check_headers(headers: object) -> None:
    """Check the names and the values of headers."""
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping, or a function that returns one, not {headers!r}")
    for name, value in headers.raw_items() if isinstance(headers, Headers) else headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            types = f"{type(name).__name__} to {type(value).__name__}"
            raise TypeError(f"headers must map strings to strings; {name!r} maps {types}")
        if not HTTP_TOKEN.fullmatch(name):
            raise ValueError(f"headers has {name!r}, which is not a valid name of a header")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"headers has an invalid character in the value of {name!r}, such as a line break")


def _check_subprotocols(subprotocols: object) -> None:
    """Check that sub-protocols are tokens."""
    texts = isinstance(subprotocols, Sequence) and not isinstance(subprotocols, str | bytes)
    if not texts or not all(isinstance(name, str) for name in cast("Sequence[object]", subprotocols)):
        raise TypeError(f"subprotocols must be a list of strings, or a function that returns one, not {subprotocols!r}")
    for index, name in enumerate(cast("Sequence[str]", subprotocols)):
        if not HTTP_TOKEN.fullmatch(name):
            raise ValueError(
                f"subprotocols[{index}] has a character that a sub-protocol cannot have: write a token in base64url "
                f"without padding"
            )
