"""Ways to break a guarantee of the framework: wrapped ports that return wrong data, or lose, repeat or reorder it."""
