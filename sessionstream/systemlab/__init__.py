"""The browser lab: shows each step of the framework and checks its guarantees while it runs. (Extra ``lab``.)

Read it in this order: ``phase`` (the parts of a page: ``actions``, ``checks``, ``panels``), ``phases/`` (the pages'
contents, one module each), ``sabotage/`` (ways to break a guarantee, which show that the checks can fail), ``lab`` (all
phases, their files and their shutdown), ``app`` (both over HTTP), ``cli``. It uses only the public API.
(Reference: sessionstream-systemlab.)
"""
