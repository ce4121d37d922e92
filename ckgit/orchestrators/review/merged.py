"""What the default branch holds of an experiment is what its last step left."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.errors import DesignError
from ckgit.experiment.outputs.findings import Finding
from ckgit.lab.git.objects import read_objects
from ckgit.lab.history.commits import changes
from ckgit.lab.history.hand_edits import written
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import as_committed
from ckgit.lab.summary.file import FILE, SummaryFile
from ckgit.orchestrators.review import rules


def since_merged(lab: Lab, name: str, step: str, held: str) -> Iterator[Finding]:
    """Files of ckgit's that are otherwise there; notes and files of the user's own are theirs.

    Args:
        step: the experiment's last one.
        held: commit of the default branch.
    """
    folder = f"experiments/{name}"
    differing = changes(lab.root, step, held, folder)
    ours = written(as_committed(lab.root, name, step)).paths if differing else frozenset()
    for path, change in differing.items():
        other = path == f"{folder}/{FILE}" and _is_other_design(lab, path, step, held)
        if path in ours or other:
            what = f"{lab.default_branch} {'lacks it' if change.gone else 'holds something else'}, and its last step left it otherwise"
            advice = f"bring it back: git checkout {step[:12]} -- {path}"
            yield rules.EDITED.found(what, commit=held, path=path, advice=advice)


def _is_other_design(lab: Lab, path: str, step: str, held: str) -> bool:
    """Whether a summary has another design or state: the text below is the user's."""
    before, after = read_objects(lab.root, [f"{step}:{path}", f"{held}:{path}"])
    try:
        one, other = (SummaryFile.parse(content or b"", path).summary for content in (before, after))
    except DesignError:
        return True
    return (one.digest, one.state) != (other.digest, other.state)
