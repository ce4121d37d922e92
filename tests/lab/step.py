"""One transition in a process of its own: `step.py LAB NAME [NOTE]`. Prints the new commit, or exits with the error's code."""

import sys
from pathlib import Path

from ckgit.errors import CkgitError
from ckgit.experiment.lifecycle import Event
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot

SUMMARY = b"---\nschema_version: 1\nstate: scaffolded\n---\n"


def step(folder: Path, name: str, note: str) -> str:
    """The step from designed to scaffolded, or a submission when that has been made."""
    lab = open_lab(folder)
    parent = take_snapshot(lab, name)
    event = Event.SCAFFOLD if parent.state == "designed" else Event.SUBMIT
    files = {f"experiments/{name}/experiment_summary.md": SUMMARY, f"experiments/{name}/run1/{note}.log": note.encode() * 20_000}
    return make_commit(lab, CommitPlan(name=name, event=event, parent=parent.branch_tip, files=files, design_digest="0" * 64, body=note))


if __name__ == "__main__":
    try:
        sys.stdout.write(step(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "note"))
    except CkgitError as error:
        sys.stderr.write(str(error))
        sys.exit(error.code)
