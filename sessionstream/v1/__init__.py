"""Generated: the frames of the browser contract."""
