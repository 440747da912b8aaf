"""``python -m sessionstream``: the command ``sessionstream``."""

from __future__ import annotations

import sys

from sessionstream.admin.cli import main

if __name__ == "__main__":
    sys.exit(main())
