"""What a design takes from the lab although there is something newer, as far as the last fetch tells."""

from __future__ import annotations

from ckgit.experiment.design.model import Summary
from ckgit.formats.listing import plural
from ckgit.lab.lab import CONFIG
from ckgit.lab.remotes.upstream import UpstreamChanges, newer_branches, newer_files
from ckgit.orchestrators.design.lookup import SourceCommit, named_paths


def stale(place: SourceCommit, summary: Summary) -> list[str]:
    """One sentence for each branch that is ahead of what the design is measured by, with the command that catches up."""
    branches = newer_branches(place.lab)
    if place.commit == place.lab.base:
        return [_behind(place, branch, summary) for branch in branches]
    sources = [(place.lab.default_branch, place.lab.base), *((branch.name, branch.tip) for branch in branches)]
    said = [(name, newer_files(place.lab, place.commit, tip, named_paths(summary))) for name, tip in sources]
    taken = [f"{name} has a newer {' and '.join(files)} than {place.branch}, which this design takes" for name, files in said if files]
    onward = f"git switch {place.branch} && git merge {next((name for name, files in reversed(said) if files), '')}"
    return [f"{'; '.join(taken)}: to take the newer one, {onward}"] if taken else []


def _behind(place: SourceCommit, branch: UpstreamChanges, summary: Summary) -> str:
    own = f", and {place.branch} has {plural(branch.own, 'commit')} of its own" if branch.own else ""
    what = f"{branch.name} has {plural(branch.lacking, 'commit')} that {place.branch} lacks{own}"
    files = newer_files(place.lab, place.commit, branch.tip, [*named_paths(summary), CONFIG])
    if files:
        return f"{what}, with a newer {' and '.join(files)}; this design takes the old one. Catch up first: {branch.catch_up}"
    return f"{what}; none changes a file that this design names. {branch.catch_up} catches up"
