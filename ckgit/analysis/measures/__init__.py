"""Measures that ckgit computes from a cell's answers, each with an interval where one is known to hold. Pure."""
