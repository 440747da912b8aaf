"""What an expression may be, on demand."""
