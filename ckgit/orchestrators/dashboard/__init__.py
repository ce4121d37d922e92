"""The whole lab at a glance: what `ckgit dashboard` writes and serves, and what `ckgit watch` shows."""
