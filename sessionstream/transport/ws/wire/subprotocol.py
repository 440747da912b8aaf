"""The WebSocket sub-protocol, and how its name may be written."""

from __future__ import annotations

import re
from typing import Final

SUBPROTOCOL: Final = "sessionstream.v1"
"""The name of what is spoken here. A token may travel as a second name beside it; see the reference."""

HTTP_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What HTTP calls a token: how the name of a sub-protocol, or of a header, may be written."""
