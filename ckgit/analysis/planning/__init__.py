"""What a design could show, before anything is run."""
