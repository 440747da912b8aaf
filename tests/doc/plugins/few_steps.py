"""A pytest plugin for pages that run pytest: state machines take few steps, as the pages are what is tested."""

from hypothesis import settings

settings.register_profile("few steps", stateful_step_count=8, max_examples=5)
settings.load_profile("few steps")
