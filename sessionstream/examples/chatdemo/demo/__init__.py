"""The demo: lint a sample, stream a chat, kill the process that held the file, and go on in another one.

``story`` tells it. ``linting`` and ``process`` start the other programs (``child`` is the chat's), ``records`` is
what the chat process says, ``checks`` is what has to be true of it, ``console`` and ``text`` print.
"""
