"""Valkey for tests starts, stops and starts again."""

from __future__ import annotations

from .valkey import ValkeyServer


def test_it_answers_before_and_after_a_restart(valkey: ValkeyServer) -> None:
    for _ in range(2):
        assert valkey.ask("PING") == "+PONG"
        valkey.stop()
        valkey.start()
