"""Transports: how clients outside the process learn of what happened. Each adapts one protocol to the core's ports."""
