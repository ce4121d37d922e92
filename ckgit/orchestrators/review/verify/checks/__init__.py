"""What each step of a history is held against, one module a subject."""
