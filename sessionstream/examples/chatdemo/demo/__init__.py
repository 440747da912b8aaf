"""The demo: lint a sample, stream a chat, kill the process that has the file open, and continue in another one.

``story`` runs the parts in order. ``linting`` and ``process`` start the other programs (``child`` is the chat process),
``records`` is the output of the chat process, ``checks`` verifies it, ``console`` and ``text`` print.
"""
