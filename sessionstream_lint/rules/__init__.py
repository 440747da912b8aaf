"""The rules: one module, one set of fixtures and one page of documentation each."""
