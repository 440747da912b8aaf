"""The WebSocket server: conversation.py is the protocol without I/O, app.py the ASGI application."""
