"""``serve``: the chat as a page in the browser, on a SQLite file, watched over a WebSocket. (Extra ``lab``.)

Read it in this order: ``pages`` (what a browser is given), ``commands`` (what it may ask), ``app`` (both and the
WebSocket, put together), ``alone`` (one server for a file), ``running`` (a server around it that starts and ends well).
"""
