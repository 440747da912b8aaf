"""Coverage-guided fuzzing of what a client may send, for `atheris` (Linux, `pip install atheris`):

    python tests/fuzz/client_frames.py [CORPUS_DIRECTORY] [-max_total_time=600]

The suite searches the same property with Hypothesis, in tests/transport/test_inbound.py.
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports():
    from sessionstream.transport.ws.limits import Limits
    from sessionstream.transport.ws.session import Conversation

LIMITS = Limits(frames_per_second=1e9, frames_burst=10**9)


def one_input(data: bytes) -> None:
    """Say it as text and as bytes, twice: no exception may come out, and every answer has to be valid UTF-8."""
    conversation = Conversation("c", LIMITS, 0.0)
    for now in (0.0, 1.0):
        for effects in (
            conversation.text(data.decode(errors="replace"), now),
            conversation.text(data.decode(errors="surrogateescape"), now),
            conversation.binary(len(data), now),
        ):
            for effect in effects:
                for frame in getattr(effect, "frames", ()):
                    frame.text.encode()


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
