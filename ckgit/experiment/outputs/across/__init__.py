"""What is printed of several experiments together."""
