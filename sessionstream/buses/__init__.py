"""Event buses, one module each; import the one you use."""

from __future__ import annotations
