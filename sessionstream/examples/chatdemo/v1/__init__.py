"""Generated: the messages of the chat example."""
