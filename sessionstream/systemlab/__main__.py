"""``python -m sessionstream.systemlab``: the command ``sessionstream-systemlab``."""

from __future__ import annotations

import sys

from sessionstream.systemlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
