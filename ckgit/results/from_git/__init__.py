"""From the commits of a lab to the rows of its tables."""
