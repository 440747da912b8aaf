"""The flake8 plugin and command that keep sessionstream schemas readable."""
