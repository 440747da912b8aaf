"""``python -m sessionstream.examples.chatdemo``: see ``cli``."""

import sys

from sessionstream.examples.chatdemo.cli import main

if __name__ == "__main__":
    sys.exit(main())
