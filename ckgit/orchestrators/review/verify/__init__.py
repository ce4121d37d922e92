"""Whether an experiment's numbers follow from what its history holds, from git objects alone."""
