"""Generated: the messages of the lab's notebook."""
