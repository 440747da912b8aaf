"""The hub, subject by subject."""
