"""A committed report as files and pages for readers, and logs in inspect's viewer. They are written under `.ckgit/`."""
