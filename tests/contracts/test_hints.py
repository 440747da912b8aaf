"""Every kind of hints of this distribution keeps the contract."""

from __future__ import annotations

import pytest

from sessionstream.hints import Hints
from sessionstream.hydration.postgres.connections import Database, Link
from sessionstream.hydration.postgres.notifications import Notifications
from sessionstream.redis_hints import RedisHints
from sessionstream.testing import HintsContract
from tests.servers.postgres import Postgres
from tests.servers.valkey import ValkeyServer


class TestRedisHints(HintsContract):
    @pytest.fixture(autouse=True)
    def _server(self, valkey: ValkeyServer) -> None:
        self.url = valkey.url

    def open(self) -> Hints:
        return RedisHints(self.url)


class TestNotifications(HintsContract):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: Postgres) -> None:
        self.dsn = postgres.dsn

    def open(self) -> Hints:
        return Notifications(self.dsn, Link(Database(self.dsn, "none", False, 30.0, "the server")))
