"""The WebSocket server: conversation.py holds the protocol, without I/O; app.py is the ASGI application."""
