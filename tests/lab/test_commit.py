import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckgit import __version__
from ckgit.errors import CkgitError, Exit
from ckgit.experiment.lifecycle import Event
from ckgit.experiment.state import State
from ckgit.lab.commit import CommitPlan, make_commit, preview
from ckgit.lab.git.command import git
from ckgit.lab.git.trailers import build
from ckgit.lab.git.tree import plan_tree, write_objects
from ckgit.lab.git.waiting import TimeLimit
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from tests.conftest import make_test_lab
from tests.lab.helpers import DIGEST, assert_sound, design, scaffold, summary, user_state

FOLDER = "experiments/cap"
SUMMARY = f"{FOLDER}/experiment_summary.md"


def test_an_event_is_one_commit_that_reads_as_a_story(lab, run):
    first = design(lab)
    tip = scaffold(lab, first)

    assert run(lab.root, "rev-parse", "exp/cap~1", "exp/cap") == f"{first.tip}\n{tip}"
    assert run(lab.root, "log", "-2", "--format=%s", "exp/cap") == "scaffold cap: designed -> scaffolded\ndesign cap: none -> designed"
    assert run(lab.root, "log", "-1", "--format=%(trailers)", "exp/cap").splitlines() == [
        "Ckgit-Experiment: cap",
        "Ckgit-Event: scaffold",
        "Ckgit-From: designed",
        "Ckgit-To: scaffolded",
        f"Ckgit-Design: {DIGEST}",
        f"Ckgit-Version: {__version__}",
        f"Ckgit-Build: {build()}",
    ]
    changed = run(lab.root, "diff", "--name-status", "exp/cap~1", "exp/cap").split()
    assert changed == ["M", SUMMARY, "A", f"{FOLDER}/run1/finetune.yaml", "A", f"{FOLDER}/scaffold.log"]
    assert_sound(lab.root)


def test_the_users_work_is_untouched(lab, run):
    (lab.root / "tasks/capitalization.py").write_text("edited and staged")
    run(lab.root, "add", "tasks")
    (lab.root / "tasks/capitalization.py").write_text("edited further")
    (lab.root / "data/words.json").unlink()
    (lab.root / "untracked").write_text("mine")
    (lab.root / FOLDER).mkdir(parents=True)
    (lab.root / SUMMARY).write_text("a draft of mine, on main")
    run(lab.root, "stash", "store", "-m", "kept", run(lab.root, "stash", "create"))
    before = user_state(lab.root)

    scaffold(lab, design(lab))

    assert user_state(lab.root) == before
    assert_sound(lab.root)


@pytest.mark.parametrize("prepare", [["switch", "--quiet", "--detach"], ["switch", "--quiet", "--orphan", "new"]])
def test_head_may_be_anywhere(lab, run, prepare):
    run(lab.root, *prepare)
    before = user_state(lab.root)

    scaffold(lab, design(lab))

    assert user_state(lab.root) == before


def test_from_a_linked_worktree_of_a_lab_with_a_weird_path(weird_tmp_path, run):
    root = make_test_lab(weird_tmp_path / "lab")
    run(root, "worktree", "add", "--quiet", "--detach", str(weird_tmp_path / "linked"))
    linked = open_lab(weird_tmp_path / "linked")

    tip = scaffold(linked, design(linked))

    assert run(root, "rev-parse", "exp/cap") == tip
    assert_sound(root)


def test_hooks_of_the_user_run_or_refuse_as_git_says(lab, run):
    hook = lab.git_dir / "hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no such branches here >&2\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(CkgitError, match="no such branches here"):
        design(lab)

    hook.unlink()
    assert run(lab.root, "branch", "--list", "exp/*") == ""


def test_files_are_deleted_and_replaced(lab):
    scaffold(lab, design(lab))
    snapshot = take_snapshot(lab, "cap")

    files = {f"{FOLDER}/run1/finetune.yaml": None, f"{FOLDER}/none": None, f"{FOLDER}/scaffold.log": b"twice\n"}
    make_commit(lab, CommitPlan(name="cap", event=Event.RETRY, parent=snapshot.branch_tip, files=files, design_digest=DIGEST, body=""))

    snapshot = take_snapshot(lab, "cap")
    assert snapshot.list(FOLDER) == [SUMMARY, f"{FOLDER}/scaffold.log"]
    assert snapshot.read(f"{FOLDER}/scaffold.log") == b"twice\n"


def test_thousands_of_files_are_one_pack(lab, run):
    files = {f"{FOLDER}/run{n}/part{m}.yaml": f"{n} {m}\n".encode() for n in range(300) for m in range(10)}
    files[SUMMARY] = summary("cap", State.SCAFFOLDED)

    scaffold(lab, design(lab), files)

    snapshot = take_snapshot(lab, "cap")
    assert len(snapshot.list(FOLDER)) == 3001
    assert snapshot.read(f"{FOLDER}/run299/part9.yaml") == b"299 9\n"
    assert "packs: 1" in run(lab.root, "count-objects", "-v")
    assert_sound(lab.root)


def test_who_comes_second_changes_nothing_and_names_both_commits(lab, run):
    parent = design(lab)
    winner = scaffold(lab, parent)

    with pytest.raises(CkgitError, match="somebody else moved the branch") as caught:
        scaffold(lab, parent, {SUMMARY: summary("cap", State.SCAFFOLDED), f"{FOLDER}/other": b"x"})

    assert caught.value.code is Exit.BRANCH_MOVED
    assert parent.tip[:12] in caught.value.what
    assert winner[:12] in caught.value.what
    assert run(lab.root, "rev-parse", "exp/cap") == winner


@pytest.mark.parametrize("branch", ["main", "exp/cap"])
def test_the_very_same_commit_by_two_is_lost_by_none(lab, run, monkeypatch, branch):
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-11-23T12:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-23T12:00:00Z")
    parent = design(lab)
    run(lab.root, "switch", "--quiet", branch)

    assert scaffold(lab, parent) == scaffold(lab, parent) == run(lab.root, "rev-parse", "exp/cap")

    assert run(lab.root, "status", "--porcelain") == ""
    now = take_snapshot(lab, "cap")
    later = make_commit(
        lab, CommitPlan("cap", Event.SUBMIT, now.branch_tip, {f"{FOLDER}/jobs.json": b"{}"}, DIGEST, "")
    )
    scaffold(lab, parent)  # the other one has gone on from there
    assert run(lab.root, "rev-parse", "exp/cap") == later
    assert run(lab.root, "status", "--porcelain") == ""
    assert_sound(lab.root)


def test_a_branch_that_was_deleted_meanwhile_is_not_made_again(lab, run):
    parent = design(lab)
    run(lab.root, "branch", "--quiet", "-D", "exp/cap")

    with pytest.raises(CkgitError, match="is now at no commit"):
        scaffold(lab, parent)

    assert run(lab.root, "branch", "--list", "exp/*") == ""


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        ("exp/cap", "exists already"),
        ("exp/CAP", "beside branch exp/CAP"),
        ("exp/cap/deeper", "beside branch exp/cap/deeper"),
        ("exp", "beside branch exp"),
    ],
)
def test_names_that_clash(lab, run, branch, message):
    run(lab.root, "branch", branch)

    with pytest.raises(CkgitError, match=message) as caught:
        design(lab)

    assert caught.value.code is Exit.USAGE


def test_an_experiment_that_is_only_on_the_remote_is_not_made_again(lab, tmp_path, run):
    design(lab)
    run(tmp_path, "clone", "--quiet", str(lab.root), "clone")

    with pytest.raises(CkgitError, match="exists already, as branch origin/exp/cap"):
        design(open_lab(tmp_path / "clone"))


def test_an_illegal_step(lab):
    parent = design(lab)

    with pytest.raises(CkgitError, match="train is not a legal step from designed") as caught:
        make_commit(lab, CommitPlan(name="cap", event=Event.TRAIN, parent=parent.branch_tip, files={}, design_digest=DIGEST, body=""))

    assert caught.value.code is Exit.ILLEGAL_TRANSITION


def test_a_user_whom_git_does_not_know(lab, run, monkeypatch):
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name)

    with pytest.raises(CkgitError, match="does not know who you are") as caught:
        design(lab)

    assert "git config --global user.name" in caught.value.next
    assert run(lab.root, "branch", "--list", "exp/*") == ""


ODD = ("../../x", ".git/config", "a//b", "-x", "a\nb", "")


@pytest.mark.parametrize("path", ["tasks/x.py", "/etc/x", *(f"{FOLDER}/{end}" for end in ODD)])
def test_only_plain_paths_of_the_experiment_are_written(lab, path):
    files = {SUMMARY: summary("cap", "designed"), path: b""}

    with pytest.raises(ValueError, match="is not a path in experiments/cap"):
        make_commit(lab, CommitPlan(name="cap", event=Event.DESIGN, parent=None, files=files, design_digest=DIGEST, body=""))


def test_a_summary_that_does_not_say_the_new_state(lab):
    with pytest.raises(ValueError, match="says designed, but the step leads to scaffolded"):
        scaffold(lab, design(lab), {SUMMARY: summary("cap", State.DESIGNED)})


@pytest.mark.parametrize("place", ["run1", "run1/finetune.yaml", "elsewhere"])
def test_a_link_in_the_experiments_folder_is_refused(lab, run, place):
    parent = design(lab)
    run(lab.root, "switch", "--quiet", "exp/cap")
    (lab.root / FOLDER / place).parent.mkdir(exist_ok=True)
    (lab.root / FOLDER / place).symlink_to("/etc")
    run(lab.root, "add", "--all")
    run(lab.root, "commit", "--quiet", "-m", "A link")
    parent = take_snapshot(lab, "cap")

    with pytest.raises(CkgitError, match=f"{FOLDER}/{place} is a (symbolic|file or a) link"):
        scaffold(lab, parent)

    assert run(lab.root, "rev-parse", "exp/cap") == parent.tip


def test_a_secret_is_refused_before_anything_is_written(lab, run):
    parent = design(lab)
    objects = run(lab.root, "count-objects")

    with pytest.raises(CkgitError, match=r"run1/out:2: a Hugging Face token: hf_A… \(37 characters\)") as caught:
        scaffold(lab, parent, {SUMMARY: summary("cap", State.SCAFFOLDED), f"{FOLDER}/run1/out": b"line\nhf_" + b"A" * 34})

    assert "A" * 34 not in str(caught.value)
    assert run(lab.root, "count-objects") == objects


def test_a_secret_in_the_body_is_refused(lab, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "correct horse battery")
    files = {SUMMARY: summary("cap", "designed")}

    with pytest.raises(CkgitError, match="commit message:3: the value of \\$SOME_API_KEY"):
        make_commit(
            lab,
            CommitPlan(name="cap", event=Event.DESIGN, parent=None, files=files, design_digest=DIGEST, body="key: correct horse battery"),
        )


def test_a_body_cannot_speak_to_the_terminal_nor_forge_trailers(lab, run):
    body = "a \x1b[2J b\x00\r\n---\n\nCkgit-To: analyzed"
    make_commit(
        lab,
        CommitPlan(
            name="cap", event=Event.DESIGN, parent=None, files={SUMMARY: summary("cap", "designed")}, design_digest=DIGEST, body=body
        ),
    )

    message = run(lab.root, "log", "-1", "--format=%B", "exp/cap")
    assert "\x1b" not in message
    assert take_snapshot(lab, "cap").state is State.DESIGNED


def test_a_preview_writes_nothing_and_says_all(lab, run):
    parent = design(lab)
    before = run(lab.root, "count-objects")

    files = {SUMMARY: summary("cap", "scaffolded"), f"{FOLDER}/old": None}
    text = "\n".join(preview(CommitPlan("cap", Event.SCAFFOLD, parent.branch_tip, files, DIGEST, "Two runs.")).lines())

    assert "scaffold cap: designed -> scaffolded" in text
    assert "Two runs." in text
    assert f"delete {FOLDER}/old" in text
    assert run(lab.root, "count-objects") == before


def test_a_read_only_repository(lab, run):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    parent = design(lab)
    (lab.git_dir / "objects").chmod(0o555)
    try:
        with pytest.raises(CkgitError):
            scaffold(lab, parent)
    finally:
        (lab.git_dir / "objects").chmod(0o755)
    assert run(lab.root, "rev-parse", "exp/cap") == parent.tip


PARTS = st.text(alphabet="abAB.-_+ é0", min_size=1, max_size=4).filter(lambda part: part.strip(".") and part.lower() != ".git")
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=300), max_size=8)


def without_clashes(files):
    """No path is a folder of another one."""
    return {path: content for path, content in files.items() if not any(other.startswith(f"{path}/") for other in files)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=FILES, new=FILES, data=st.data())
def test_our_trees_are_those_that_git_makes(lab, tmp_path, old, new, data):
    old = without_clashes(old)
    new = {path: content for path, content in without_clashes(new).items() if path in old or not clashes(path, old)}
    gone = data.draw(st.sets(st.sampled_from(sorted(old) or ["none"])))
    changes = {**new, **dict.fromkeys(gone)}
    base = by_index(lab.root, tmp_path, old)

    tree = plan_tree(lab.root, base, changes)
    write_objects(lab.root, tree.objects, len(base))

    assert tree.oid == by_index(lab.root, tmp_path, {path: content for path, content in {**old, **changes}.items() if content is not None})
    git(lab.root, "rev-parse", "--verify", f"{tree.oid}^{{tree}}")


def clashes(path, others):
    return any(other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in others)


def by_index(root, tmp_path, files):
    """The tree of some files as git itself writes it."""
    index = {"GIT_INDEX_FILE": str(tmp_path / "private-index")}
    git(root, "read-tree", "--empty", env=index)
    ids = {path: git(root, "hash-object", "-w", "--stdin", stdin=content).decode().strip() for path, content in files.items()}
    lines = "".join(f"100644 {oid}\t{path}\0" for path, oid in ids.items())
    git(root, "update-index", "-z", "--add", "--index-info", stdin=lines.encode(), env=index)
    return git(root, "write-tree", env=index).decode().strip()


def test_a_hook_that_guards_the_branches_is_told_in_its_own_words(lab, run):
    parent = design(lab)
    hook = lab.git_dir / "hooks/reference-transaction"
    hook.write_text('#!/bin/sh\ntest "$1" = prepared || exit 0\necho branches are frozen >&2\nexit 1\n')
    hook.chmod(0o755)

    with pytest.raises(CkgitError, match=r"reference-transaction hook refused to move the branch: .*") as caught:
        scaffold(lab, parent)

    assert caught.value.code is Exit.COMMAND_FAILED
    assert "branches are frozen" in caught.value.what
    assert run(lab.root, "rev-parse", "exp/cap") == parent.tip


def test_a_hook_that_hangs_is_given_up(lab, run, monkeypatch):
    parent = design(lab)
    hook = lab.git_dir / "hooks/reference-transaction"
    hook.write_text("#!/bin/sh\nsleep 1000\n")
    hook.chmod(0o755)
    monkeypatch.setattr("ckgit.lab.git.branch.OWN_PROGRAMS", TimeLimit("a hook", 1.0))

    with pytest.raises(CkgitError, match="reference-transaction hook does not end: timed out: a hook printed nothing for 1 s") as caught:
        scaffold(lab, parent)

    assert caught.value.code is Exit.UNKNOWN
    hook.unlink()
    assert run(lab.root, "rev-parse", "exp/cap") == parent.tip
    assert_sound(lab.root)
