import hashlib

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.state import State
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.context import load_context
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.file import SummaryFile
from tests.conftest import DESIGN

SUMMARY = "experiments/cap/experiment_summary.md"


def change(lab, run, edit, message="By hand"):
    """A commit of the user's own on exp/cap."""
    run(lab.root, "switch", "--quiet", "exp/cap")
    edit()
    run(lab.root, "add", "--all")
    run(lab.root, "commit", "--quiet", "-m", message)
    run(lab.root, "switch", "--quiet", "main")
    return take_snapshot(lab, "cap")


def test_all_that_scaffolding_needs(lab, designed):
    context = load_context(lab, designed)

    assert [run.name for run in context.plan.runs] == ["rank4", "rank8", "base"]
    assert context.cards["tiny"].architecture.hidden_size == 64
    assert (context.cluster_name, context.cluster.slots) == ("local", 2)
    assert sorted(context.sources) == ["data/words.json", "tasks/capitalization.py"]
    assert context.folder == designed.folder


def test_a_cluster_that_is_none(lab, designed):
    with pytest.raises(CkgitError, match="no cluster profile 'della'"):
        load_context(lab, designed, cluster_name="della")


@pytest.mark.parametrize("path", ["models/tiny.yaml", "tasks/capitalization.py"])
def test_a_file_that_is_not_there(lab, designed, run, path):
    snapshot = change(lab, run, (lab.root / path).unlink)

    with pytest.raises(CkgitError, match=f"{path} is not there") as caught:
        load_context(lab, snapshot)

    assert caught.value.code is Exit.EVIDENCE_MISSING


def test_data_outside_of_the_lab_is_no_source(lab, designed, run):
    snapshot = change(lab, run, (lab.root / "data/words.json").unlink)

    assert sorted(load_context(lab, snapshot).sources) == ["tasks/capitalization.py"]


def test_a_data_file_whose_digest_changed(lab, run):
    digest = hashlib.sha256((lab.root / "data/words.json").read_bytes()).hexdigest()
    content = DESIGN.replace("{path: data/words.json}", f"{{path: data/words.json, sha256: {digest}}}")
    summary = SummaryFile.from_design(content.encode(), SUMMARY)
    make_commit(
        lab,
        CommitPlan(
            name="cap", event=Event.DESIGN, parent=None, files={SUMMARY: summary.dump()}, design_digest=summary.summary.digest, body=""
        ),
    )
    load_context(lab, take_snapshot(lab, "cap"))
    snapshot = change(lab, run, lambda: (lab.root / "data/words.json").write_text('{"train": []}'))

    with pytest.raises(CkgitError, match=r"data/words\.json is not the file that was designed with"):
        load_context(lab, snapshot)


def test_a_design_that_changed_after_it_was_scaffolded(lab, designed, run):
    summary = SummaryFile.parse(designed.summary_bytes(), SUMMARY)
    files = {SUMMARY: summary.with_state(State.SCAFFOLDED).dump()}
    make_commit(lab, CommitPlan("cap", Event.SCAFFOLD, designed.branch_tip, files, summary.summary.digest, ""))
    load_context(lab, take_snapshot(lab, "cap"))
    path = lab.root / SUMMARY
    snapshot = change(lab, run, lambda: path.write_text(path.read_text().replace("[4, 8]", "[4, 16]")))

    with pytest.raises(CkgitError, match="the design was changed after it was scaffolded") as caught:
        load_context(lab, snapshot)

    assert caught.value.code is Exit.ILLEGAL_TRANSITION
    assert "ckgit revise cap" in caught.value.next


def test_an_experiment_keeps_its_name(lab, designed, run):
    path = lab.root / SUMMARY
    snapshot = change(lab, run, lambda: path.write_text(path.read_text().replace("name: cap", "name: other")))

    with pytest.raises(CkgitError, match="calls its experiment 'other'"):
        load_context(lab, snapshot)


def test_a_card_that_is_none_is_no_bug(lab, designed, run):
    card = lab.root / "models/tiny.yaml"
    snapshot = change(lab, run, lambda: card.write_text("name: [\n"))

    with pytest.raises(CkgitError) as caught:
        load_context(lab, snapshot)

    assert caught.value.code is Exit.EVIDENCE_MISSING
    assert "models/tiny.yaml: the model card cannot be read" in str(caught.value)
