"""What a careful colleague would write of an experiment: of its design before it costs anything, and of its results. It only reads."""
