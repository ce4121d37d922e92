"""Exit codes of the steps of a training job, beside those of every job script."""

TOKENS_DIFFER = 66
CHECKPOINTS_MISSING = 67
