import json

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.lab.commit import CommitPlan, make_commit
from ckgit.lab.git import checkout
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from tests.lab.helpers import assert_sound, design, scaffold, summary, user_state

FOLDER = "experiments/cap"
SUMMARY = f"{FOLDER}/experiment_summary.md"


@pytest.fixture
def parent(lab, run):
    """Experiment cap, designed, with its branch checked out."""
    snapshot = design(lab)
    run(lab.root, "switch", "--quiet", "exp/cap")
    return snapshot


def test_a_clean_checkout_follows(lab, run, parent):
    tip = scaffold(lab, parent)

    assert run(lab.root, "rev-parse", "HEAD") == tip
    assert run(lab.root, "status", "--porcelain") == ""
    assert (lab.root / FOLDER / "run1/finetune.yaml").read_bytes() == b"lr: 1\n"
    assert_sound(lab.root)


def test_a_commit_without_a_change_of_files(lab, run, parent):
    scaffold(lab, parent)
    tip = scaffold_again(lab, take_snapshot(lab, "cap"), {})

    assert run(lab.root, "rev-parse", "HEAD") == tip
    assert run(lab.root, "status", "--porcelain") == ""


def test_deleted_files_and_empty_folders_go(lab, run, parent):
    scaffold(lab, parent)
    parent = take_snapshot(lab, "cap")
    scaffold_again(lab, parent, {f"{FOLDER}/run1/finetune.yaml": None})

    assert not (lab.root / FOLDER / "run1").exists()
    assert (lab.root / FOLDER).is_dir()
    assert run(lab.root, "status", "--porcelain") == ""


def test_work_elsewhere_stays_as_it_is(lab, run, parent):
    (lab.root / "tasks/capitalization.py").write_text("staged")
    run(lab.root, "add", "tasks")
    (lab.root / "tasks/capitalization.py").write_text("and edited")
    (lab.root / FOLDER / "notes.md").write_text("untracked, in the experiment's folder")
    (lab.root / "data/words.json").unlink()
    before = run(lab.root, "status", "--porcelain=v2")

    scaffold(lab, parent)

    assert run(lab.root, "status", "--porcelain=v2") == before
    assert (lab.root / "tasks/capitalization.py").read_text() == "and edited"


def edited(root, run):
    (root / SUMMARY).write_text("my edit")


def staged(root, run):
    edited(root, run)
    run(root, "add", SUMMARY)


def staged_only(root, run):
    content = (root / SUMMARY).read_bytes()
    staged(root, run)
    (root / SUMMARY).write_bytes(content)


def deleted(root, run):
    (root / SUMMARY).unlink()


def removed(root, run):
    run(root, "rm", "--quiet", SUMMARY)


def untracked(root, run):
    (root / FOLDER / "scaffold.log").write_text("mine")


def ignored(root, run):
    (root / ".git/info/exclude").write_text("*.log\n")
    untracked(root, run)


def a_folder(root, run):
    (root / FOLDER / "scaffold.log").mkdir()


def a_link(root, run):
    (root / FOLDER / "run1").symlink_to(root.parent)


def a_dangling_link(root, run):
    (root / FOLDER / "scaffold.log").symlink_to("nowhere")


def a_file_for_a_folder(root, run):
    (root / FOLDER / "run1").write_text("mine")


def a_merge(root, run):
    (root / ".git/MERGE_HEAD").write_text(run(root, "rev-parse", "main") + "\n")


def a_lock(root, run):
    (root / ".git/index.lock").touch()


EDITS = [edited, staged, staged_only, deleted, removed]
FILES = [untracked, ignored, a_folder, a_link, a_dangling_link, a_file_for_a_folder]
IN_THE_WAY = [*EDITS, *FILES, a_merge, a_lock]


@pytest.mark.parametrize("work", IN_THE_WAY)
def test_work_in_the_way_stops_everything(lab, run, parent, work):
    work(lab.root, run)
    before = user_state(lab.root)

    with pytest.raises(CkgitError, match="your work is in the way") as caught:
        scaffold(lab, parent)

    assert caught.value.code is Exit.BRANCH_MOVED
    assert caught.value.where == str(lab.root)
    assert user_state(lab.root) == before
    assert run(lab.root, "rev-parse", "exp/cap") == parent.tip


def test_a_checkout_in_a_linked_worktree(lab, run, parent, tmp_path):
    run(lab.root, "switch", "--quiet", "main")
    linked = tmp_path / "linked 'tree'"
    run(lab.root, "worktree", "add", "--quiet", str(linked), "exp/cap")
    before = user_state(lab.root)

    scaffold(lab, parent)

    assert run(linked, "status", "--porcelain") == ""
    assert (linked / FOLDER / "scaffold.log").exists()
    assert user_state(lab.root) == before
    edited(linked, run)
    with pytest.raises(CkgitError, match="your work is in the way") as caught:
        scaffold(lab, parent)
    assert caught.value.where == str(linked)


def test_a_checkout_with_line_ending_conversion(lab, run):
    run(lab.root, "config", "core.autocrlf", "true")
    (lab.root / ".gitattributes").write_text("*.md text\n")
    run(lab.root, "commit", "--quiet", "--all", "-m", "Text")
    lab = open_lab(lab.root)
    parent = design(lab)
    run(lab.root, "switch", "--quiet", "exp/cap")
    assert b"\r\n" in (lab.root / SUMMARY).read_bytes()

    scaffold(lab, parent)

    assert run(lab.root, "status", "--porcelain") == ""


class Killed(BaseException):
    pass


def interrupted(lab, parent, monkeypatch, how):
    """A transition that dies after its branch moved, having done `how` of what it owed to the checkout."""
    with monkeypatch.context() as patch:
        patch.setattr(checkout, "_follow", how)
        with pytest.raises(Killed):
            scaffold(lab, parent)


def nothing(place, changes):
    raise Killed


def half(place, changes):
    paths = sorted(path for path, change in changes.items() if change.new)
    (place / paths[0]).write_bytes(summary("cap", "scaffolded"))
    (place / paths[1]).parent.mkdir()
    (place / paths[1]).write_bytes(b"lr")
    raise Killed


@pytest.mark.parametrize("how", [nothing, half])
def test_the_next_command_completes_what_a_killed_one_owed(lab, run, parent, monkeypatch, how):
    (lab.root / "tasks/capitalization.py").write_text("my edit")
    interrupted(lab, parent, monkeypatch, how)
    assert len(run(lab.root, "status", "--porcelain").splitlines()) > 1

    take_snapshot(lab, "cap")

    assert run(lab.root, "status", "--porcelain") == " M tasks/capitalization.py"
    assert_sound(lab.root)


def test_edits_made_in_between_are_kept_and_named(lab, run, parent, monkeypatch):
    interrupted(lab, parent, monkeypatch, nothing)
    (lab.root / SUMMARY).write_text("my edit")

    snapshot = take_snapshot(lab, "cap")

    assert (lab.root / SUMMARY).read_text() == "my edit"
    with pytest.raises(CkgitError, match=r"is behind its branch: .* has changes of yours") as caught:
        scaffold_again(lab, snapshot)
    assert caught.value.code is Exit.BRANCH_MOVED

    (lab.root / SUMMARY).write_bytes(summary("cap", "designed"))
    scaffold_again(lab, snapshot)
    assert run(lab.root, "status", "--porcelain") == ""


def scaffold_again(lab, parent, files=None):
    """One commit more, in state scaffolded."""
    new = {f"{FOLDER}/jobs.json": b"{}"} if files is None else files
    return make_commit(lab, CommitPlan(name="cap", event=Event.SUBMIT, parent=parent.branch_tip, files=new, design_digest="0", body=""))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"old": "1", "new": "2", "places": []})])
def test_a_promise_that_means_nothing_is_dropped(lab, parent, content):
    promise = lab.git_dir / "ckgit/checkout-exp-cap.json"
    promise.parent.mkdir()
    promise.write_text(content)

    scaffold(lab, take_snapshot(lab, "cap"))

    assert not promise.exists()


def test_a_promise_is_dropped_when_the_branch_did_not_move(lab, run, parent):
    tip = scaffold(lab, parent)
    with pytest.raises(CkgitError, match="somebody else moved the branch"):
        scaffold(lab, parent, {SUMMARY: summary("cap", "scaffolded"), f"{FOLDER}/other": b""})

    assert list(lab.git_dir.glob("ckgit/*")) == []
    assert run(lab.root, "rev-parse", "HEAD") == tip
    assert run(lab.root, "status", "--porcelain") == ""


def test_a_checkout_of_another_branch_is_none_of_ours(lab, run, parent, monkeypatch):
    interrupted(lab, parent, monkeypatch, nothing)
    run(lab.root, "switch", "--quiet", "--force", "main")
    before = user_state(lab.root)

    take_snapshot(lab, "cap")

    assert user_state(lab.root) == before
    assert_sound(lab.root)
