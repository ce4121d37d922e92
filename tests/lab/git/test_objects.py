"""Reading git objects, many at a time."""

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.lab.git.objects import first_with


def test_the_first_ref_that_there_is_with_its_commit_and_a_file_of_it(lab_folder, run):
    tip = run(lab_folder, "rev-parse", "main")
    refs = ("refs/heads/none", "refs/heads/two\nlines", "refs/heads/main", "refs/heads/also")
    config = (lab_folder / "ckgit.toml").read_bytes()
    run(lab_folder, "branch", "also")
    assert first_with(lab_folder, refs, "ckgit.toml") == ("refs/heads/main", tip, config)
    assert first_with(lab_folder, refs, "not/there") == ("refs/heads/main", tip, None)
    assert first_with(lab_folder, refs[:2], "ckgit.toml") is None
    with pytest.raises(CkgitError, match="data is a tree, not a file") as caught:
        first_with(lab_folder, refs, "data")
    assert (caught.value.code, caught.value.where) == (Exit.EVIDENCE_MISSING, f"commit {tip[:12]}")
