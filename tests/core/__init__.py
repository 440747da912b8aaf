"""The modules below the hub, file by file."""
