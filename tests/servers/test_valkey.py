"""Valkey for tests starts, stops and starts again."""

from __future__ import annotations

from redis.asyncio import Redis

from .valkey import ValkeyServer


async def test_it_answers_before_and_after_a_restart(valkey: ValkeyServer) -> None:
    for _ in range(2):
        async with Redis.from_url(valkey.url) as client:
            assert await client.ping()
        valkey.stop()
        valkey.start()
