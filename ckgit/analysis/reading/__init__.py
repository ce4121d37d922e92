"""What a reader looks at first: the answer, and rows worth reading. Pure functions of results."""
