"""Reading files: the gate, the parsers, and what the nodes of libcst mean."""
