"""The job of our own that goes on with an experiment which is left to its cluster."""
