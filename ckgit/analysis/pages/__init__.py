"""Reports and reviews as pages of HTML. Pure."""
