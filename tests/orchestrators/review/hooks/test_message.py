"""commit-msg and prepare-commit-msg: what a commit by hand may record, and the help for a change of the design."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from tests.conftest import DESIGN, run_git
from tests.orchestrators.review.hooks.by_hand import SUMMARY, change, hook, stage

RANKS = ("lora_rank: [4, 8]", "lora_rank: [4]")
COMMENTS = "\n# Please enter the commit message for your changes.\n#\n# On branch exp/cap\n"


def message(event: str, source: str, target: str, design: str, name: str = "cap") -> str:
    steps = {"Experiment": name, "Event": event, "From": source, "To": target, "Design": design}
    return f"{event} {name}\n\n" + "".join(f"Ckgit-{key}: {value}\n" for key, value in steps.items())


def said(folder: Path, text: str) -> str:
    """What commit-msg says of a message."""
    file = folder.parent / "MESSAGE"
    file.write_text(text)
    done = hook(folder, "commit-msg", str(file))
    assert (done.stdout, done.returncode) == ("", "error: " in done.stderr)
    assert file.read_text() == text
    return done.stderr


def prepare(folder: Path, text: str = COMMENTS, *source: str) -> str:
    """A message as prepare-commit-msg leaves it."""
    file = folder.parent / "MESSAGE"
    file.write_text(text)
    done = hook(folder, "prepare-commit-msg", str(file), *source)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return file.read_text()


def digest(lab: Lab) -> str:
    return take_snapshot(lab, "cap").summary.summary.digest


def test_a_state_by_hand_needs_a_step(submitted: Path) -> None:
    assert said(submitted, "Notes\n") == ""
    stage(submitted, {SUMMARY: change(submitted, ("state: scaffolded", "state: analyzed"))})
    found = said(submitted, "Done\n")
    what = "the state goes from scaffolded to analyzed, and the message records no step [state]"
    assert found.startswith(f"error: {SUMMARY}: {what}")
    assert "ckgit advance" in found


@pytest.mark.parametrize(
    ("event", "source", "target", "what"),
    [
        ("train", "scaffolded", "trained", ""),
        ("train", "trained", "trained", "is not a legal step"),
        ("train", "*", "trained", "is not a legal step"),
        ("evaluate", "trained", "evaluated", "it begins at trained, and the commit before it led to scaffolded"),
        ("revise", "scaffolded", "designed", "the message records a step to designed, and the summary says trained"),
    ],
)
def test_a_step_by_hand_must_be_legal(lab: Lab, submitted: Path, event: str, source: str, target: str, what: str) -> None:
    stage(submitted, {SUMMARY: change(submitted, ("state: scaffolded", "state: trained"))})
    found = said(submitted, message(event, source, target, digest(lab)))
    assert ("[step]" in found, what in found) == (bool(what), True)


def test_a_step_names_the_staged_design(lab: Lab, hand: Path) -> None:
    before = digest(lab)
    stage(hand, {SUMMARY: change(hand, RANKS)})
    assert "Ckgit-Design is " in said(hand, message("revise", "designed", "designed", before))


def test_a_secret_in_the_message(hand: Path) -> None:
    token = "hf_" + "a1B2c3D4e5" * 3
    found = said(hand, f"Notes\n\nwith {token}\n")
    assert found.startswith("error: line 3 of the message has a Hugging Face token: hf_a… (33 characters) [secret]\n  Revoke it")
    assert token not in found


@pytest.mark.parametrize("text", [message("revise", "designed", "designed", "0", "other"), "x\n\nCkgit-Event: revise\n"])
def test_half_a_step_is_none(hand: Path, text: str) -> None:
    assert "its trailers are no step of cap" in said(hand, text)


def test_a_step_of_ckgits_may_be_amended(lab: Lab, submitted: Path) -> None:
    assert said(submitted, run_git(submitted, "log", "-1", "--format=%B")) == ""
    scaffold = message("scaffold", "designed", "scaffolded", digest(lab))
    assert "[step]" in said(submitted, scaffold)
    run_git(submitted, "reset", "--quiet", "--hard", "HEAD~1")
    assert said(submitted, run_git(submitted, "log", "-1", "--format=%B")) == ""
    assert "[step]" in said(submitted, scaffold)  # another one: it does not say by which ckgit


def test_a_merge_may_bring_a_step(lab: Lab, submitted: Path) -> None:
    run_git(submitted, "branch", "theirs")
    run_git(submitted, "reset", "--quiet", "--hard", "HEAD~2")
    stage(submitted, {"experiments/cap/notes.md": "mine\n"})
    run_git(submitted, "commit", "--quiet", "--message=Notes")
    run_git(submitted, "merge", "--no-commit", "theirs")
    assert said(submitted, "Merge branch 'theirs'\n") == ""
    assert hook(submitted, "pre-commit").stderr == ""


def test_comments_are_no_part_of_a_message(lab: Lab, hand: Path) -> None:
    stage(hand, {SUMMARY: change(hand, ("state: designed", "state: scaffolded"))})
    step = message("scaffold", "designed", "scaffolded", digest(lab))
    assert said(hand, step + COMMENTS) == ""
    scissors = "# ------------------------ >8 ------------------------\n# Do not modify\ndiff --git a/x b/x\n+Ckgit-To: trained\n"
    assert said(hand, step + scissors) == ""
    assert "[state]" in said(hand, "Mine\n" + scissors)
    run_git(hand, "config", "core.commentChar", ";")
    assert said(hand, step + COMMENTS.replace("#", ";")) == ""


def test_a_change_of_the_design_gets_a_message(lab: Lab, hand: Path) -> None:
    stage(hand, {SUMMARY: change(hand, RANKS)})
    text = prepare(hand)
    assert text.startswith("revise cap: designed -> designed\n\n- variables.lora_rank.1: 8, now null\n\nCkgit-Experiment: cap\n")
    assert text.endswith(COMMENTS)
    assert said(hand, text) == ""
    run_git(hand, "commit", "--quiet", "--cleanup=strip", f"--file={hand.parent / 'MESSAGE'}")
    now = take_snapshot(lab, "cap")
    assert (now.event, now.by_hand, now.design_digest) == ("revise", False, now.summary.summary.digest)


def test_a_message_of_ones_own_gets_the_trailers(hand: Path) -> None:
    stage(hand, {SUMMARY: change(hand, RANKS)})
    mine = prepare(hand, "Fewer ranks\n\nBecause.\n", "message")
    assert mine.startswith("Fewer ranks\n\nBecause.\n\nCkgit-Experiment: cap\nCkgit-Event: revise\n")
    assert said(hand, mine) == ""
    signed = prepare(hand, "Fewer ranks\n\nSigned-off-by: A <a@b>\n", "message")
    assert "Signed-off-by: A <a@b>\nCkgit-Experiment: cap\n" in signed
    assert said(hand, signed) == ""


def test_it_goes_back_to_designed_with_a_step(lab: Lab, submitted: Path) -> None:
    stage(submitted, {SUMMARY: change(submitted, RANKS, ("state: scaffolded", "state: designed"))})
    text = prepare(submitted)
    assert text.startswith("revise cap: scaffolded -> designed\n")
    assert said(submitted, text) == ""


def test_a_branch_that_is_begun_by_hand(lab: Lab) -> None:
    run_git(lab.root, "switch", "--quiet", "--create", "exp/new")
    text = f"---\n{DESIGN.replace('name: cap', 'name: new')}state: designed\n---\n"
    stage(lab.root, {"experiments/new/experiment_summary.md": text})
    written = prepare(lab.root)
    assert written.startswith("design new: none -> designed\n")
    assert said(lab.root, written) == ""
    assert said(lab.root, "Mine\n") == ""  # ckgit takes such a branch, too


@pytest.mark.parametrize(
    ("pairs", "text", "source"),
    [
        ([("## Notes\n", "## Notes\n\nMore.\n")], COMMENTS, ()),
        ([RANKS], "Old\n", ("commit", "HEAD")),
        ([RANKS], "Merge\n", ("merge",)),
        ([RANKS], "fixup! Fewer\n", ("message",)),
        ([RANKS], "x\n\nCkgit-Event: revise\n", ("message",)),
        ([("rank", "\udcff")], COMMENTS, ()),
    ],
)
def test_nothing_is_added_where_there_is_nothing_to_say(hand: Path, pairs: list[tuple[str, str]], text: str, source: tuple[str]) -> None:
    stage(hand, {SUMMARY: change(hand, *pairs).encode(errors="surrogateescape")})
    assert prepare(hand, text, *source) == text
