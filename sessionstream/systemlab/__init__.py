"""The browser lab: the framework at work, taken apart, and its promises checked before your eyes. (Extra ``lab``.)

Read it in this order: ``phase`` (what a page is made of: ``actions``, ``checks``, ``panels``), ``phases/`` (the pages'
contents, one module each), ``sabotage/`` (ways to break a promise, so that checks can be seen to fail), ``lab`` (all
phases, their files and their end), ``app`` (both over HTTP), ``cli``. It uses what the library offers to everybody.
(Reference: sessionstream-systemlab.)
"""
