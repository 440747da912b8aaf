"""Which calls register something, and what they are given."""
