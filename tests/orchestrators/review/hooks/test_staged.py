"""pre-commit: what is staged, and nothing of what is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.lab.hooks.folder import NAMES
from ckgit.lab.lab import Lab
from tests.conftest import run_git
from tests.orchestrators.review.hooks.by_hand import SUMMARY, change, hook, stage

TOKEN = "hf_" + "a1B2c3D4e5" * 3
RANKS = "lora_rank: [4, 8]"
FOLDER = "experiments/cap"


def said(folder: Path, **environment: str) -> str:
    done = hook(folder, "pre-commit", **environment)
    assert done.stdout == ""
    assert done.returncode == ("error: " in done.stderr)
    return done.stderr


def test_a_design_may_change_until_it_is_scaffolded(hand: Path) -> None:
    stage(hand, {SUMMARY: change(hand, (RANKS, "lora_rank: [4]")), f"{FOLDER}/notes.md": "mine\n"})
    assert said(hand) == ""


def test_and_then_no_more(submitted: Path) -> None:
    stage(submitted, {SUMMARY: change(submitted, (RANKS, "lora_rank: [4, 16]"))})
    found = said(submitted)
    line = (submitted / SUMMARY).read_text().splitlines().index("  lora_rank: [4, 16]") + 1
    assert found.startswith(f"error: {SUMMARY}:{line}: the design was changed after it was scaffolded: variables.lora_rank.1: 8, now 16")
    assert "[design]\n  git restore --staged --worktree experiments/cap/experiment_summary.md brings it back" in found
    assert "ckgit revise cap" in found
    assert found.endswith("ckgit: 1 error; nothing was committed\n")
    stage(submitted, {SUMMARY: change(submitted, ("state: scaffolded", "state: designed"))})  # it goes back with it
    assert said(submitted) == ""


def test_notes_and_comments_are_the_users(submitted: Path) -> None:
    stage(submitted, {SUMMARY: change(submitted, ("## Notes\n", "## Notes\n\nIt looks good.\n"), (RANKS, f"{RANKS} # two"))})
    assert said(submitted) == ""


def test_a_body_that_cannot_be_read_is_told_whatever_the_front_matter(submitted: Path) -> None:
    for body, what in (("<!-- ckgit:runs -->\n", "do not pair up"), ("<<<<<<< HEAD\n", "a conflict marker"), ("\r\n", "carriage return")):
        stage(submitted, {SUMMARY: change(submitted, ("## Notes\n", f"## Notes\n{body}")) if body != "\r\n" else "---\r\n---\r\n"})
        assert what in said(submitted) or "is not closed" in said(submitted)
        run_git(submitted, "reset", "--quiet", "--hard")


def test_what_is_staged_counts_and_not_what_lies_there(submitted: Path) -> None:
    (submitted / SUMMARY).write_text("nonsense")
    (submitted / f"{FOLDER}/jobs.json").unlink()
    stage(submitted, {f"{FOLDER}/notes.md": "mine\n"})
    assert said(submitted) == ""
    stage(submitted, {SUMMARY: "nonsense"})
    run_git(submitted, "show", f"HEAD:{SUMMARY}")
    (submitted / SUMMARY).write_text(run_git(submitted, "show", f"HEAD:{SUMMARY}"))
    assert "[summary]" in said(submitted)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("device: cpu", "device: 7", "controls.device: "),
        ("schema_version: 1", "schema_version: !!python/object:os.system 1", "the tag "),
        ("  name: cap", "  name: other", "it calls the experiment other, and its branch is exp/cap"),
        ("state: designed", "state: unheard", "state"),
        ("models: [tiny]", "models: &x [tiny]", "anchor"),
        ("question: Does rank matter?", 'question: "\\e[31mRed"', ""),
    ],
)
def test_a_summary_that_cannot_be_read(hand: Path, old: str, new: str, what: str) -> None:
    stage(hand, {SUMMARY: change(hand, (old, new))})
    found = said(hand)
    if what:
        line = next(number for number, line in enumerate((hand / SUMMARY).read_text().splitlines(), 1) if line == new or new in line)
        assert f"error: {SUMMARY}:{line}: " in found
        assert what in found
        assert "[summary]" in found
    assert "\x1b" not in found


def test_a_summary_that_is_no_text_or_too_much_of_it(hand: Path) -> None:
    text = (hand / SUMMARY).read_bytes()
    for content, what in ((text.replace(b"rank", b"r\xffnk", 1), "not UTF-8"), (text.replace(b"\n", b"\r\n"), "carriage return")):
        stage(hand, {SUMMARY: content})
        assert what in said(hand)
    stage(hand, {SUMMARY: b"---\n" + b"a: b\n" * 2_000_000 + b"---\n"})
    assert "[summary]" in said(hand)


def test_a_summary_that_is_removed_or_no_file(hand: Path) -> None:
    run_git(hand, "rm", "--quiet", SUMMARY)
    assert f"error: {SUMMARY}: it is removed, and without it" in said(hand)
    (hand / SUMMARY).parent.mkdir(parents=True)
    (hand / SUMMARY).symlink_to("/etc/passwd")
    run_git(hand, "add", SUMMARY)
    assert f"error: {SUMMARY}: it is a symbolic link [not-a-file]" in said(hand)


def test_what_ckgit_owns_stays_as_it_left_it(submitted: Path) -> None:
    stage(submitted, {f"{FOLDER}/rank4/finetune.slurm": None, f"{FOLDER}/jobs.json": "{}", f"{FOLDER}/estimate.json": "{}"})
    found = said(submitted)
    assert f"error: {FOLDER}/rank4/finetune.slurm: ckgit owns this file, and it was removed by hand [edited]" in found
    assert f"error: {FOLDER}/jobs.json: ckgit owns this file, and it was changed by hand [edited]" in found
    assert f"error: {FOLDER}/estimate.json: ckgit owns this file, and it was added by hand [edited]" in found
    assert f"git restore --staged --worktree {FOLDER}/jobs.json brings it back" in found
    run_git(submitted, "commit", "--quiet", "--message=By hand")
    run_git(submitted, "checkout", "HEAD~1", "--", FOLDER)
    run_git(submitted, "rm", "--quiet", "--cached", f"{FOLDER}/estimate.json")
    assert said(submitted) == ""  # taken back


def test_files_that_git_should_not_carry(hand: Path) -> None:
    stage(hand, {f"{FOLDER}/notes.md": f"one\ntoken={TOKEN}\n"})
    stage(hand, {f"{FOLDER}/rank4/model.safetensors": b"0" * 10, "data/pytorch_model.bin": b"0"})
    (hand / FOLDER / "out").symlink_to("/etc")
    (hand / FOLDER / "large.txt").write_bytes(b"0" * 50_000_001)
    run_git(hand, "add", "--force", FOLDER)
    run_git(hand, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{FOLDER}/module")
    found = said(hand)
    assert f"error: {FOLDER}/notes.md:2: a Hugging Face token: hf_a… (33 characters) [secret]" in found
    assert TOKEN not in found
    assert f"error: {FOLDER}/rank4/model.safetensors: these are a model's weights" in found
    assert "error: data/pytorch_model.bin: these are" in found
    assert f"error: {FOLDER}/out: it is a symbolic link [not-a-file]" in found
    assert f"error: {FOLDER}/module: it is a submodule [not-a-file]" in found
    assert f"error: {FOLDER}/large.txt: it has 50 MB, and the limit is 50 MB [too-large]" in found
    assert found.endswith("ckgit: 6 errors; nothing was committed\n")


def test_a_folder_that_becomes_a_link(hand: Path) -> None:
    run_git(hand, "rm", "--quiet", "-r", FOLDER)
    (hand / FOLDER).parent.mkdir(exist_ok=True)
    (hand / FOLDER).symlink_to("../data")
    run_git(hand, "add", "--all")
    found = said(hand)
    assert f"error: {FOLDER}: it is a symbolic link [not-a-file]" in found
    assert "[summary]" in found


def test_by_hand_it_may_be_called_anywhere(submitted: Path) -> None:
    stage(submitted, {SUMMARY: change(submitted, (RANKS, "lora_rank: [4]"))})
    assert "[design]" in said(submitted / FOLDER / "rank4")


def test_a_file_that_becomes_a_link(submitted: Path) -> None:
    (submitted / FOLDER / "jobs.json").unlink()
    (submitted / FOLDER / "jobs.json").symlink_to("../../x")
    run_git(submitted, "add", FOLDER)
    found = said(submitted)
    assert "[not-a-file]" in found
    assert "[edited]" in found


@pytest.mark.parametrize("name", ["a\nb", "a'b", 'a"b', "a\\b", "a\x1b[31mb", "a\udcffb", "a\u202eb"])
def test_names_of_files_are_told_as_they_are_and_obeyed_by_no_terminal(hand: Path, name: str) -> None:
    stage(hand, {f"{FOLDER}/{name}.md": TOKEN})
    found = said(hand)
    assert found.count("\n") == 3
    assert found.startswith(f"error: {FOLDER}/a")
    assert all(char.isprintable() for char in found.replace("\n", ""))


def test_other_branches_and_other_folders_are_not_its_business(lab: Lab, hand: Path, tmp_path: Path) -> None:
    stage(lab.root, {"data/x.md": TOKEN})
    assert said(lab.root) == ""
    run_git(hand, "switch", "--quiet", "--detach")
    stage(hand, {SUMMARY: "nonsense"})
    assert said(hand) == ""
    run_git(tmp_path, "init", "--quiet", "--initial-branch=exp/cap", "other")
    stage(tmp_path / "other", {SUMMARY: "nonsense"})
    for folder in (tmp_path / "other", tmp_path, lab.git_dir):
        for name in ("pre-commit", "commit-msg", "prepare-commit-msg", "pre-push"):
            done = hook(folder, name, *(["x"] if "msg" in name else []))
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (folder, name)


def test_the_first_commit_of_a_branch(lab: Lab) -> None:
    run_git(lab.root, "switch", "--quiet", "--orphan", "exp/new")
    stage(lab.root, {"experiments/new/experiment_summary.md": "nonsense", "experiments/new/jobs.json": "{}"})
    assert "[summary]" in said(lab.root)


def test_a_merge_answers_for_what_it_does_itself(lab: Lab, submitted: Path) -> None:
    stage(lab.root, {"data/secret.md": TOKEN, SUMMARY: "theirs"})
    run_git(lab.root, "commit", "--quiet", "--message=Not of the experiment")
    merge = subprocess.run(["git", "merge", "--no-commit", "main"], cwd=submitted, capture_output=True, check=False)
    assert merge.returncode == 1  # both have a summary
    run_git(submitted, "checkout", "--ours", SUMMARY)
    stage(submitted, {SUMMARY: (submitted / SUMMARY).read_bytes()})
    assert said(submitted) == ""
    stage(submitted, {f"{FOLDER}/mine.md": TOKEN})
    assert said(submitted).count("error: ") == 1


def test_a_rebase_is_one_of_the_branch_that_it_rebases(lab: Lab, submitted: Path) -> None:
    stage(submitted, {f"{FOLDER}/notes.md": "one\n"})
    run_git(submitted, "commit", "--quiet", "--message=Notes")
    run_git(submitted, "-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "--quiet", "--interactive", "HEAD~1")
    assert subprocess.run(["git", "symbolic-ref", "-q", "HEAD"], cwd=submitted, check=False, capture_output=True).returncode
    stage(submitted, {f"{FOLDER}/jobs.json": "{}"})
    assert "[edited]" in said(submitted)


def test_a_commit_of_some_files_has_an_index_of_its_own(lab: Lab, submitted: Path, tmp_path: Path) -> None:
    """By git itself: the hook is called with the index that it makes for this commit."""
    program = tmp_path / "bin/ckgit"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={Path(__file__).parents[4]} exec {sys.executable} -m ckgit "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    (lab.git_dir / "hooks").mkdir(exist_ok=True)
    shutil.copy(Path(__file__).parents[4] / "hooks/pre-commit", lab.git_dir / "hooks")

    def commit(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "commit", "--quiet", "-m", "x", *words]
        return subprocess.run(command, cwd=submitted, env=env, capture_output=True, text=True, check=False)

    stage(submitted, {f"{FOLDER}/jobs.json": "{}", f"{FOLDER}/notes.md": "fine\n"})
    done = commit("--", f"{FOLDER}/notes.md")
    assert (done.returncode, done.stderr) == (0, "")
    done = commit("--amend")
    assert (done.returncode, "[edited]" in done.stderr) == (1, True)
    (submitted / f"{FOLDER}/notes.md").write_text(TOKEN)
    done = commit("--", f"{FOLDER}/notes.md")
    assert (done.returncode, "[secret]" in done.stderr, "[edited]" in done.stderr) == (1, True, False)


AUDIT = """
import sys
from ckgit.cli import main
seen = set()
STARTS = ("os.system", "os.posix_spawn", "os.fork", "os.forkpty", "os.exec", "socket.connect")
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
def hook(event, args):
    if event == "subprocess.Popen":
        seen.add(("ran", str(args[1][0])))
    if event in STARTS:
        seen.add((event,))
    if event in CHANGES:
        seen.add((event, str(args[0])))
    if event == "open" and isinstance(args[0], (str, bytes)) and args[2] & 3 and args[0] != "/dev/null":
        seen.add(("wrote", str(args[0])))
sys.addaudithook(hook)
try:
    main()
finally:
    print(sorted(seen))
"""


@pytest.mark.parametrize("name", NAMES)
def test_they_start_git_alone_and_write_nothing_but_a_message(lab: Lab, submitted: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "MESSAGE"
    file.write_text("Mine\n\nCkgit-To: trained\n" if name == "commit-msg" else "Mine\n")
    stage(submitted, {SUMMARY: change(submitted, (RANKS, "lora_rank: [4]"), ("state: scaffolded", "state: designed"))})
    stage(submitted, {f"{FOLDER}/jobs.json": "{}"})
    old, new = run_git(submitted, "rev-parse", "HEAD~1"), run_git(submitted, "rev-parse", "HEAD")
    received = {"pre-receive": (new, "0" * 40), "post-receive": ("0" * 40, new)}
    stdin = " ".join([*received[name], "refs/heads/exp/cap\n"]) if name in received else f"x {old} refs/heads/exp/cap {new}\n"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(Path(__file__).parents[4])}
    command = [sys.executable, "-c", AUDIT, "hooks", "run", name, *([str(file)] if "msg" in name else [])]
    done = subprocess.run(command, cwd=submitted, env=env, input=stdin, capture_output=True, text=True, check=False)
    prepares = name == "prepare-commit-msg"
    assert done.returncode == (0 if prepares or name == "post-receive" else 1), done.stderr
    assert done.stdout == f"{[('ran', 'git'), *([('wrote', str(file))] if prepares else [])]}\n"
