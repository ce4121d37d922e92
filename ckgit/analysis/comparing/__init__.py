"""Settings and runs held against each other: main metrics, sums over seeds, pairs. Pure."""
