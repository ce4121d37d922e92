"""What a design takes from the lab although there is something newer, as far as the last fetch tells."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence

from ckgit.errors import CkgitError
from ckgit.experiment.design.model import Summary
from ckgit.formats.listing import in_words, plural
from ckgit.lab.git.command import git_text
from ckgit.lab.git.objects import read_files
from ckgit.lab.lab import CONFIG, Lab
from ckgit.lab.remotes.upstream import UpstreamChanges, newer_branches, newer_files
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.design.inputs.source_commit import SourceCommit, named_paths


def stale(place: SourceCommit, summary: Summary) -> list[str]:
    """One sentence for each branch that is ahead of what the design is measured by, with the command that catches up."""
    branches = newer_branches(place.lab)
    if place.commit == place.lab.base:
        return [_behind(place, branch, summary) for branch in branches]
    paths = [path for path in named_paths(summary) if path not in place.instead]
    files = newer_files(place.lab, place.commit, place.lab.base, paths)
    rest = [path for path in paths if path not in files]
    others = [(branch, newer_files(place.lab, place.commit, branch.tip, rest)) for branch in branches]
    newest = [_newer(branch, found, place.branch) for branch, found in others if found]
    return [*([newer_on_default(place.lab, place.branch, files)] if files else []), *newest]


def newer_on_default(lab: Lab, branch: str, files: Sequence[str]) -> str:
    """What to say of files that an experiment takes as its branch has them, where the default branch has newer ones."""
    words = " ".join(f"--update {shlex.quote(path)}" for path in files)
    taken = f"{lab.default_branch} has a newer {in_words(files)} than {branch}, which this design takes"
    return f"{taken}; to take the newer one: ckgit revise {branch.removeprefix('exp/')} {words}"


def _newer(branch: UpstreamChanges, files: Sequence[str], own: str) -> str:
    onward = f"git switch {own} && git merge {shlex.quote(branch.name)}"
    return f"{branch.name} has a newer {in_words(files)} than {own}, which this design takes: to take the newer one, {onward}"


def _behind(place: SourceCommit, branch: UpstreamChanges, summary: Summary) -> str:
    own = f", and {place.branch} has {plural(branch.own, 'commit')} of its own" if branch.own else ""
    what = f"{branch.name} has {plural(branch.lacking, 'commit')} that {place.branch} lacks{own}"
    files = newer_files(place.lab, place.commit, branch.tip, [*named_paths(summary), CONFIG])
    if files:
        return f"{what}, with a newer {' and '.join(files)}; this design takes the old one. Catch up first: {branch.catch_up}"
    return f"{what}; none changes a file that this design names. {branch.catch_up} catches up"


def uncommitted(lab: Lab, summary: Summary) -> list[str]:
    """One sentence where the checkout of the default branch has files of a design otherwise than the branch: no design takes those."""
    if git_text(lab.root, "rev-parse", "--symbolic-full-name", "HEAD").strip() != f"refs/heads/{lab.default_branch}":
        return []
    there = read_files(lab.root, lab.base, named_paths(summary)).contents
    changed = [path for path, content in there.items() if (lab.root / path).is_file() and (lab.root / path).read_bytes() != content]
    told = f"{in_words(changed)} in the checkout is not what {lab.default_branch} has, and was not committed: no design takes it"
    return [told] if changed else []


def newer_inputs(lab: Lab, name: str) -> list[str]:
    """What to say where the default branch has newer files than an experiment uses; nothing where that cannot be told."""
    with contextlib.suppress(CkgitError):
        snapshot = take_snapshot(lab, name)
        files = newer_files(lab, snapshot.tip, lab.base, named_paths(snapshot.summary.summary))
        return [newer_on_default(lab, f"exp/{name}", files)] if files else []
    return []
