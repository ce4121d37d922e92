"""Exit codes of a training job, beside those of every job script."""

TOKENS_DIFFER = 66
CHECKPOINTS_MISSING = 67
ROWS_REFUSED = 68  # rows that cannot be trained on, or asked
NOT_TOGETHER = 71  # other processes train than were planned, or they share the model otherwise
DIVERGED = 70  # a loss or a weight that is no number
