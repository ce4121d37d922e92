"""What `clean`, `delete`, `archive` and `doctor` print with `--json`."""
