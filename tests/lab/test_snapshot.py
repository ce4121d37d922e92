import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.jobs import Ledger
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.state import State
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.lab import open_lab
from ckgit.lab.remotes.last_fetched import refuse_stale
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.lab.summary.state import state_in
from tests.lab.helpers import DIGEST, design, scaffold, summary

FOLDER = "experiments/cap"
SUMMARY = f"{FOLDER}/experiment_summary.md"


def hand_commit(lab, run, files, message="By hand"):
    """A commit of the user's own on exp/cap."""
    run(lab.root, "switch", "--quiet", "exp/cap")
    for path, content in files.items():
        (lab.root / path).write_bytes(content)
    run(lab.root, "add", "--all", "--", FOLDER)
    run(lab.root, "commit", "--quiet", "--allow-empty", "-F", "-", stdin=message)
    run(lab.root, "switch", "--quiet", "main")


def test_a_snapshot_reads_the_commit_and_not_the_checkout(lab):
    scaffold(lab, design(lab))
    (lab.root / "ckgit.toml").write_text("edited")

    snapshot = take_snapshot(lab, "cap")

    assert (snapshot.state, snapshot.event, snapshot.design_digest) == (State.SCAFFOLDED, "scaffold", DIGEST)
    assert snapshot.read("ckgit.toml") != b"edited"
    assert snapshot.read(f"{FOLDER}/none") is None
    assert snapshot.read_many([f"{FOLDER}/none", f"{FOLDER}/scaffold.log", f"{FOLDER}/run1/finetune.yaml"]) == {
        f"{FOLDER}/scaffold.log": b"done\n",
        f"{FOLDER}/run1/finetune.yaml": b"lr: 1\n",
    }
    assert snapshot.list(FOLDER) == [SUMMARY, f"{FOLDER}/run1/finetune.yaml", f"{FOLDER}/scaffold.log"]
    assert snapshot.list("nowhere") == []


def test_an_older_snapshot_keeps_its_commit(lab):
    before = design(lab)
    scaffold(lab, before)

    assert before.list(FOLDER) == [SUMMARY]


def test_a_folder_is_not_read_as_a_file(lab):
    with pytest.raises(CkgitError, match="is a tree, not a file"):
        design(lab).read(FOLDER)


@pytest.mark.parametrize("name", ["-rf", "a b", "a..b", "$(touch${IFS}p)", "a\nb", "a/b", "", "x.lock", "ünïcode", "a" * 65])
def test_what_is_no_name_never_reaches_git(lab, name):
    with pytest.raises(CkgitError, match="is not a name of an experiment") as caught:
        take_snapshot(lab, name)

    assert caught.value.code is Exit.USAGE


def test_no_such_experiment(lab):
    with pytest.raises(CkgitError, match="there is no experiment cap") as caught:
        take_snapshot(lab, "cap")

    assert "ckgit list" in caught.value.next


def test_a_commit_of_the_users_own_on_top_keeps_state_and_event(lab, run):
    scaffold(lab, design(lab))
    hand_commit(lab, run, {f"{FOLDER}/notes.md": b"A thought\n"})

    snapshot = take_snapshot(lab, "cap")

    assert (snapshot.state, snapshot.event, snapshot.design_digest) == (State.SCAFFOLDED, "scaffold", DIGEST)


def test_a_merge_of_the_default_branch_keeps_state_and_event(lab, run):
    other = design(lab, "other")
    scaffold(lab, other)
    design(lab)
    run(lab.root, "merge", "--quiet", "--ff-only", "exp/other")
    run(lab.root, "switch", "--quiet", "exp/cap")
    run(lab.root, "merge", "--quiet", "-m", "Merge", "main")

    assert (take_snapshot(lab, "cap").state, take_snapshot(lab, "cap").event) == (State.DESIGNED, "design")


def mended(lab, run, error: CkgitError, state: State) -> None:
    """What `next:` says, typed as it stands, makes the branch whole again."""
    run(lab.root, "switch", "--quiet", "main")
    done = subprocess.run(["bash", "-euc", error.next], cwd=lab.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert take_snapshot(lab, "cap").state is state


def test_a_jump_of_state_by_hand_is_refused_with_the_legal_steps(lab, run):
    design(lab)
    hand_commit(lab, run, {SUMMARY: summary("cap", State.EVALUATED)})

    with pytest.raises(CkgitError, match="says evaluated, but the last step that ckgit recorded led to designed") as caught:
        take_snapshot(lab, "cap")

    assert caught.value.code is Exit.ILLEGAL_TRANSITION
    assert "legal steps from designed: scaffold, revise" in caught.value.state
    mended(lab, run, caught.value, State.DESIGNED)


def test_a_state_that_was_set_by_hand_is_brought_back_from_beneath_other_commits(lab, run):
    design(lab)
    hand_commit(lab, run, {SUMMARY: summary("cap", State.EVALUATED)})
    hand_commit(lab, run, {f"{FOLDER}/notes.md": b"A thought\n"})

    with pytest.raises(CkgitError, match="says evaluated") as caught:
        take_snapshot(lab, "cap")

    mended(lab, run, caught.value, State.DESIGNED)
    assert take_snapshot(lab, "cap").read(f"{FOLDER}/notes.md") == b"A thought\n"


def test_a_step_that_was_reverted_is_brought_back(lab, run):
    scaffold(lab, design(lab))
    run(lab.root, "switch", "--quiet", "exp/cap")
    run(lab.root, "revert", "--no-edit", "HEAD")

    with pytest.raises(CkgitError, match="says designed, but the last step that ckgit recorded led to scaffolded") as caught:
        take_snapshot(lab, "cap")

    mended(lab, run, caught.value, State.SCAFFOLDED)


FORGED = """\
analyze cap: designed -> analyzed

Ckgit-Experiment: cap
Ckgit-Event: analyze
Ckgit-From: designed
Ckgit-To: analyzed
Ckgit-Design: 0
Ckgit-Version: 0.1.0
"""


def test_a_forged_step_that_is_not_legal_is_refused(lab, run):
    design(lab)
    hand_commit(lab, run, {SUMMARY: summary("cap", State.ANALYZED)}, FORGED)

    with pytest.raises(CkgitError, match="analyze: designed -> analyzed is not a legal step") as caught:
        take_snapshot(lab, "cap")
    mended(lab, run, caught.value, State.DESIGNED)


def test_words_in_a_body_are_no_trailers(lab, run):
    design(lab)
    hand_commit(lab, run, {}, "Notes\n\nCkgit-To: analyzed\nCkgit-Experiment: cap\n\nand more text here\n")

    assert take_snapshot(lab, "cap").state is State.DESIGNED


def test_an_experiment_that_was_designed_by_hand(lab, run):
    run(lab.root, "branch", "exp/cap")
    (lab.root / FOLDER).mkdir(parents=True)
    hand_commit(lab, run, {SUMMARY: summary("cap", State.DESIGNED)})
    assert (take_snapshot(lab, "cap").state, take_snapshot(lab, "cap").event) == (State.DESIGNED, None)

    hand_commit(lab, run, {SUMMARY: summary("cap", State.TRAINED)})
    with pytest.raises(CkgitError, match="no commit of ckgit's led there") as caught:
        take_snapshot(lab, "cap")
    assert "legal steps from nothing: design" in caught.value.state
    mended(lab, run, caught.value, State.DESIGNED)


def test_a_summary_that_was_removed(lab, run):
    design(lab)
    run(lab.root, "switch", "--quiet", "exp/cap")
    run(lab.root, "rm", "--quiet", SUMMARY)
    run(lab.root, "commit", "--quiet", "-m", "Tidy")

    with pytest.raises(CkgitError, match="state cannot be told") as caught:
        take_snapshot(lab, "cap")

    assert caught.value.code is Exit.EVIDENCE_MISSING


def test_another_clone_takes_the_branch_from_its_remote(lab, tmp_path, run):
    tip = design(lab).tip
    run(tmp_path, "clone", "--quiet", str(lab.root), "clone")
    clone = open_lab(tmp_path / "clone")

    snapshot = take_snapshot(clone, "cap")

    assert (snapshot.tip, snapshot.state) == (tip, State.DESIGNED)
    assert run(clone.root, "for-each-ref", "refs/heads/exp") == ""  # reading makes no branch
    new = scaffold(clone, snapshot)
    assert run(clone.root, "rev-parse", "refs/heads/exp/cap", "refs/heads/exp/cap~").split() == [new, tip]
    assert run(clone.root, "status", "--porcelain") == ""


def refuse_if_stale(lab):
    snapshot = take_snapshot(lab, "cap")
    refuse_stale(lab.branch("cap"), snapshot.tip, snapshot.remotes)


@pytest.mark.parametrize(("here", "words"), [(False, "origin/exp/cap is ahead"), (True, "does not contain")])
def test_a_clone_that_was_left_behind_is_told_before_it_does_the_work_again(lab, tmp_path, run, here, words):
    first = design(lab)
    run(tmp_path, "clone", "--quiet", str(lab.root), "clone")
    clone = open_lab(tmp_path / "clone")
    run(clone.root, "branch", "exp/cap", "origin/exp/cap")
    scaffold(lab, first)
    if here:
        scaffold(clone, take_snapshot(clone, "cap"), {"experiments/cap/experiment_summary.md": summary("cap", State.SCAFFOLDED, "here")})
    refuse_if_stale(clone)
    run(clone.root, "fetch", "--quiet")

    with pytest.raises(CkgitError, match=words) as caught:
        refuse_if_stale(clone)
    assert caught.value.code is Exit.BRANCH_MOVED


def test_a_branch_of_several_remotes_is_not_guessed(lab, tmp_path, run):
    design(lab)
    run(tmp_path, "clone", "--quiet", "--origin=first", str(lab.root), "clone")
    run(tmp_path / "clone", "remote", "add", "second", str(lab.root))
    run(tmp_path / "clone", "fetch", "--quiet", "second")

    with pytest.raises(CkgitError, match=r"several remotes \(first, second\)"):
        take_snapshot(open_lab(tmp_path / "clone"), "cap")


def submit(lab, snapshot, content):
    path = f"{FOLDER}/jobs.json"
    make_commit(lab, CommitPlan("cap", Event.SUBMIT, snapshot.branch_tip, {path: content}, DIGEST, ""))
    return take_snapshot(lab, "cap")


def test_the_ledger(lab):
    snapshot = design(lab)
    assert snapshot.ledger() is None
    scaffold(lab, snapshot)
    ledger = Ledger(cluster="local", scheduler="local", work_tree="/somewhere")

    assert submit(lab, take_snapshot(lab, "cap"), ledger.dump()).ledger() == ledger


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[", b'{"cluster": "local", "scheduler": "local", "attempt": []}'])
def test_a_ledger_that_cannot_be_read_is_never_empty(lab, content):
    scaffold(lab, design(lab))

    with pytest.raises(CkgitError, match="the ledger cannot be read") as caught:
        submit(lab, take_snapshot(lab, "cap"), content).ledger()

    assert caught.value.code is Exit.EVIDENCE_MISSING


@pytest.mark.parametrize(
    "front",
    [
        "state: trained",
        "state:   trained   # by ckgit",
        "question: |\n  state: designed\nstate: trained",
        "experiment: {state: designed}\nstate: trained",
    ],
)
def test_the_state_is_the_front_matters_own_key(front):
    assert state_in(f"---\n{front}\n---\nstate: analyzed\n".encode(), "s.md") is State.TRAINED
    assert state_in(f"---\n{front}\n---\n".replace("\n", "\r\n").encode(), "s.md") is State.TRAINED


TWICE = ["state: trained\nstate: designed", 'state: trained\n"state": designed']
NOT_PLAIN = [*TWICE, "state: done", "no: state\nnor: here", "state: &a trained"]


@pytest.mark.parametrize("front", NOT_PLAIN)
def test_a_state_that_is_not_plain_is_left_to_the_parser(front):
    with pytest.raises(CkgitError):
        state_in(f"---\n{front}\n---\n".encode(), "s.md")


@given(st.binary(max_size=200) | st.text(alphabet="-\nstae: drinkg#'\"&", max_size=60).map(str.encode))
def test_any_bytes_give_a_state_or_an_error(content):
    try:
        state = state_in(content, "s.md")
    except CkgitError as error:
        state = error.code

    assert state in {*State, Exit.INVALID_DESIGN}
