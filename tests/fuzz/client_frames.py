"""Coverage-guided fuzzing of the messages of a client and their outcomes, for `atheris` (`pip install atheris`):

    python -m tests.fuzz.client_frames [CORPUS_DIRECTORY] [-max_total_time=600] [-max_len=2000]

The suite searches the same with Hypothesis, in tests/transport/server/test_inbound.py.
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["sessionstream", "google.protobuf.json_format"]):
    from tests.fuzz.conversation import one_input


def run(data: bytes) -> None:
    """The entry point for atheris."""
    one_input(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()
