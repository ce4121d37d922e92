"""The results of a whole lab as a database, made from git; what is kept of it may be deleted at any time."""
