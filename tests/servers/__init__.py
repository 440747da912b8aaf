"""Real servers for tests: PostgreSQL, and a proxy that breaks connections to it."""
