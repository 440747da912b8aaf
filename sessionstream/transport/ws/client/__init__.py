"""The WebSocket client: conversation.py holds the protocol, without I/O; client.py is the public client."""
