"""Which experiments, at which commits, are to be verified: by name, branch, range of commits, or all of a lab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.experiment.state import Kept
from ckgit.formats.listing import nearest
from ckgit.lab.branches import all_tips, last_merged, last_recorded, stands_for_branch, steps_in
from ckgit.lab.experiments import list_experiments, merged_experiments
from ckgit.lab.git.command import git_lines, git_ok, git_text, is_ancestor
from ckgit.lab.git.tips import CLOSED, TIPS
from ckgit.lab.lab import BRANCHES, Lab


class History(NamedTuple):
    """An experiment up to a commit."""

    experiment: str
    commit: str
    held: str = ""  # commit of the default branch into which it was merged, where its branch is gone
    kept: Kept | None = None  # what has it, where its branch is gone


def subjects(lab: Lab, targets: Sequence[str], *, every: bool) -> list[History]:
    """What is meant, each once.

    Args:
        targets: names, branches, commits, or ranges `BASE..HEAD`.
        every: all experiments that have a branch, that are closed, or that the default branch holds.

    Raises:
        CkgitError: USAGE, there is no such thing.
    """
    found = [each for target in targets for each in _named(lab, target)]
    if every:
        rows = list_experiments(lab, kept=True)
        found += [History(row.name, row.tip, kept=row.kept) for row in rows if row.kept is not Kept.MERGED]
        found += [_merged(lab, name) for name in merged_experiments(lab, ())]  # also of one that has a branch, which may have gone on
    return list(dict.fromkeys(found))


def _named(lab: Lab, target: str) -> list[History]:
    if target.startswith("-"):
        raise _unknown(lab, target)
    if ".." in target:
        return _in_range(lab, *target.split("..", 1))
    name = target.removeprefix("exp/")
    if name_problem(name) is None:
        tips = all_tips(lab, name)
        tips.pop(f"{TIPS}{name}", None)
        closed = tips.pop(f"{CLOSED}{name}", None)
        if closed and stands_for_branch(lab, name, closed, tips, every=True):
            return [History(name, closed.commit, kept=Kept.CLOSED)]
        if tips:
            return [History(name, tips.get(f"{BRANCHES}{name}", next(iter(tips.values()))).commit)]
        if name in merged_experiments(lab, ()):
            return [_merged(lab, name)]
    commit = _commit(lab, target)
    return [History(each, commit) for each in steps_in(lab.root, commit, f"^{lab.base}")] or _nothing(lab, target)


def _in_range(lab: Lab, base: str, head: str) -> list[History]:
    """The experiments that have steps in a range, or files that it changes since it parted from its base, as a pull request has it."""
    first, last = _commit(lab, base), _commit(lab, head.lstrip(".") or "HEAD")
    names = [*steps_in(lab.root, last, f"^{first}")]
    parted = next(iter(git_lines(lab.root, "merge-base", first, last)), first) if git_ok(lab.root, "merge-base", first, last) else first
    changed = git_lines(lab.root, "diff-tree", "-r", "-z", "--name-only", parted, last, "--", "experiments/")
    names += [path.split("/")[1] for path in changed if path.count("/") > 1]
    known = [name for name in dict.fromkeys(names) if name_problem(name) is None]
    return [_at(lab, name, last) for name in known]


def _at(lab: Lab, name: str, commit: str) -> History:
    """An experiment at a commit of its branch, or, where that is one of the default branch, as it was merged there."""
    step, _ = last_recorded(lab.root, name, commit)
    merged = is_ancestor(lab.root, commit, lab.base) and step != commit
    return _merged(lab, name, commit) if merged else History(name, commit)


def _merged(lab: Lab, name: str, held: str = "") -> History:
    """Without `held` where none of its steps was merged: it was squashed, or made by hand.

    Args:
        held: the commit of the default branch that is meant; empty for its tip.
    """
    at = held or lab.base
    step, _ = last_merged(lab, name, at)
    return History(name, step or at, at if step else "", Kept.MERGED)


def _commit(lab: Lab, revision: str) -> str:
    if revision.startswith("-") or not git_ok(lab.root, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}"):
        raise _unknown(lab, revision)
    return git_text(lab.root, "rev-parse", f"{revision}^{{commit}}")


def _nothing(lab: Lab, target: str) -> list[History]:
    raise CkgitError(
        f"no commit of an experiment is on {target} that {lab.default_branch} lacks",
        code=Exit.USAGE,
        where=str(lab.root),
        next="name an experiment; ckgit list shows all",
    )


def _unknown(lab: Lab, target: str) -> CkgitError:
    near = nearest(target, [row.name for row in list_experiments(lab)])
    near = f"exp/{near}" if near == target else near  # a range is of commits and branches
    advice = f"did you mean {near}? ckgit list shows all" if near else "ckgit list shows all experiments"
    return CkgitError(f"there is no experiment, branch or commit {target!r}", code=Exit.USAGE, where=str(lab.root), next=advice)
