"""Exit codes of the last step of an evaluation job, beside those of every job script, and the words it looks for."""

TOKENS_DIFFER = 66
NO_LOG = 67
NOT_SUCCESS = 68  # inspect's log says error or cancelled, or it was cut short

MARK = "ckgit: tokens differ"  # begins the error that ends an evaluation whose tokens are not those of training
