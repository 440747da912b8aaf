"""The WebSocket client: conversation.py is the protocol without I/O, client.py the public client."""
