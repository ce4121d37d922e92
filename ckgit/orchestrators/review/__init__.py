"""Whether an experiment's history can be trusted: rules, what checks them, and what a reviewer is told. It only reads."""
