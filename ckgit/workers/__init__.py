"""Workers: one folder a tool. They are found through the entry-point group `ckgit.workers`."""
