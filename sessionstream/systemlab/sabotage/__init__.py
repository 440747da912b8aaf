"""Ways to break a promise of the framework: ports of it, wrapped so that they lie, lose, repeat or reorder."""
