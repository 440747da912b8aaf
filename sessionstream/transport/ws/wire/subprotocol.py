"""The name of the WebSocket sub-protocol, and the syntax of such names."""

from __future__ import annotations

import re
from typing import Final

SUBPROTOCOL: Final = "sessionstream.v1"
"""The sub-protocol of this transport. A client may offer a token as a second name; see the reference."""

HTTP_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of HTTP: the syntax of the names of sub-protocols and headers."""
