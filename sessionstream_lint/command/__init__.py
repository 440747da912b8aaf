"""What `sessionstream-lint` does around the rules: its options, the files it reads, what it prints and writes."""
