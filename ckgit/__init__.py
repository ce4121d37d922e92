"""ckgit runs language-model fine-tuning experiments from git.

In a notebook, `ckgit.open(".").results()` has the results of a lab as a dataframe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ckgit.results.lab import LabResults

__version__ = "0.3.0"


def open(folder: str | Path = ".", *, as_of: str = "", at: str = "") -> LabResults:  # noqa: A001 - as it reads: ckgit.open
    """The results of the lab that holds a folder.

    Args:
        folder: any folder in the lab.
        as_of: a date, to see what the tips of the branches were then.
        at: a commit, to see the experiments that it has.

    Raises:
        ckgit.errors.CkgitError: there is no lab; says what to do.
    """
    from ckgit.results.lab import open_results

    return open_results(folder, as_of=as_of, at=at)
