"""ckgit runs language-model fine-tuning experiments from git."""

__version__ = "0.2.0"
