"""The contents of the pages, one module each."""
