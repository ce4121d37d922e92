"""Python files, read as text. Nothing in them is executed, and nothing is imported."""
