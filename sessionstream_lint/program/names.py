"""Names of modules, and what is known of them."""

from __future__ import annotations


def join(package: str, name: str) -> str:
    """Return the name of what a package holds under a name."""
    return f"{package}.{name}" if package and name else package or name


def absolute(module: str, level: int, package: str) -> str:
    """Return the full name of what a file in ``package`` calls ``module``, ``level`` dots up."""
    if not level:
        return module
    parts = package.split(".") if package else []
    return join(".".join(parts[: len(parts) - level + 1]), module)
