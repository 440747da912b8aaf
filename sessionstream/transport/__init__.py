"""Transports: each delivers snapshots and UI events to clients over one protocol, through the core's ports."""
