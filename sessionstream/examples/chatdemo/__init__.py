"""A small chat that streams its answers."""
