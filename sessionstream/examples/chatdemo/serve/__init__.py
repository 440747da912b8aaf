"""``serve``: the chat as a page in the browser, on a SQLite file, watched over a WebSocket. (Extra ``lab``.)

Read it in this order: ``commands`` (the endpoint for commands), ``app`` (the page, the endpoint and the WebSocket),
``alone`` (one server per file), ``running`` (a server that starts and stops in order).
"""
