"""Reading files: the gate, the parser, and the shapes of its nodes."""
