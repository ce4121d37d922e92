"""Which experiments, at which commits, are to be verified: by name, branch, range of commits, or all of a lab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.names import name_problem
from ckgit.formats.listing import nearest
from ckgit.lab.branches import all_tips, last_step_below, steps_in
from ckgit.lab.experiments import list_experiments, merged_experiments
from ckgit.lab.git.command import git_lines, git_ok, git_text
from ckgit.lab.lab import BRANCHES, Lab


class History(NamedTuple):
    """An experiment up to a commit."""

    experiment: str
    commit: str
    held: str = ""  # commit of the default branch that holds it, where its branch is gone


def subjects(lab: Lab, targets: Sequence[str], *, every: bool) -> list[History]:
    """What is meant, each once.

    Args:
        targets: names, branches, commits, or ranges `BASE..HEAD`.
        every: all experiments that have a branch, or that the default branch holds.

    Raises:
        CkgitError: USAGE, there is no such thing.
    """
    found = [each for target in targets for each in _named(lab, target)]
    if every:
        rows = list_experiments(lab)
        found += [History(row.name, row.tip) for row in rows]
        found += [each for name in merged_experiments(lab, {row.name for row in rows}) for each in _merged(lab, name)]
    return list(dict.fromkeys(found))


def _named(lab: Lab, target: str) -> list[History]:
    if target.startswith("-"):
        raise _unknown(lab, target)
    if ".." in target:
        return _in_range(lab, *target.split("..", 1))
    name = target.removeprefix("exp/")
    if name_problem(name) is None:
        tips = all_tips(lab, name)
        here = [tip.commit for ref, tip in tips.items() if ref == f"{BRANCHES}{name}"]
        there = [tip.commit for ref, tip in tips.items() if ref.startswith("refs/remotes/")]
        if here or there:
            return [History(name, (here or there)[0])]
        if merged := _merged(lab, name):
            return merged
    commit = _commit(lab, target)
    return [History(each, commit) for each in steps_in(lab.root, commit, f"^{lab.base}")] or _nothing(lab, target)


def _in_range(lab: Lab, base: str, head: str) -> list[History]:
    """The experiments that have steps in a range, or files that it changes."""
    first, last = _commit(lab, base), _commit(lab, head.lstrip(".") or "HEAD")
    names = [*steps_in(lab.root, last, f"^{first}")]
    changed = git_lines(lab.root, "diff-tree", "-r", "-z", "--name-only", first, last, "--", "experiments/")
    names += [path.split("/")[1] for path in changed if path.count("/") > 1]
    return [History(name, last) for name in dict.fromkeys(names) if name_problem(name) is None]


def _merged(lab: Lab, name: str) -> list[History]:
    step = last_step_below(lab.root, name, lab.base)
    return [History(name, step, lab.base)] if step else []


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
    advice = f"did you mean {near}? ckgit list shows all" if near else "ckgit list shows all experiments"
    return CkgitError(f"there is no experiment, branch or commit {target!r}", code=Exit.USAGE, where=str(lab.root), next=advice)
