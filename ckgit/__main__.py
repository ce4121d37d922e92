"""`python -m ckgit` is `ckgit`."""

from ckgit.cli import main

if __name__ == "__main__":
    main()
