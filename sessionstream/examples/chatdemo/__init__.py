"""A small chat that streams its answers: the example that the documentation and the demo use.

Read it in this order: ``schemas`` (messages), ``projections`` (UI events and entities), ``engine`` (command handlers),
``app`` (the application). ``python -m sessionstream.examples.chatdemo`` runs it.
"""

from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.engine import EmptyPromptError, InferenceEngine
from sessionstream.examples.chatdemo.projections import project_timeline, project_ui
from sessionstream.examples.chatdemo.schemas import chat_schemas

__all__ = ["Chat", "EmptyPromptError", "InferenceEngine", "chat_schemas", "project_timeline", "project_ui"]
