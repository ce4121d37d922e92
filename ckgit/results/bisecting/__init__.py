"""`ckgit bisect`: what explains a gap between two runs of a lab."""
