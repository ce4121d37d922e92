"""What a gap between two runs comes from: runs that lie between them, and those that would have to. Pure."""
