"""What a design begins with: what the lab offers to an interview, and templates that are filled with it."""
