"""`ckgit reproduce`: jobs are run again, and what they leave is held against what is recorded (jobs are bash here)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.design.model import State
from ckgit.lab.history.reproductions import REF
from ckgit.orchestrators.review.reproduce.recorded import reproductions
from tests.by_hand import commit_by_hand
from tests.command_line import ckgit
from tests.orchestrators.bench import Bench
from tests.orchestrators.review.agree import tell
from tests.orchestrators.review.facts import Mutation
from tests.orchestrators.review.history import Branch, Commit
from tests.orchestrators.review.lies import Liar

pytestmark = pytest.mark.slow
BETTER = (('"accuracy": 0.9', '"accuracy": 0.95'), ("0.900 [0.704, 1.000]", "0.950 [0.754, 1.000]"))
HOLDS = "all that is recorded follows from what is in git"


@pytest.fixture
def analyzed(bench: Bench) -> Bench:
    bench.advance(State.ANALYZED)
    return bench


def git(bench: Bench, *words: str, check: bool = True) -> str:
    return subprocess.run(["git", *words], cwd=bench.folder, check=check, capture_output=True, text=True).stdout.strip()


def document(bench: Bench, *words: str, code: int = 0) -> Any:
    done = bench.ckgit("reproduce", "demo", *words, "--json", check=False)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def folders(bench: Bench) -> list[Path]:
    """Work trees of second executions."""
    return sorted(bench.work.parent.glob("reproduce-*"))


def told(bench: Bench, *pairs: tuple[str, str]) -> None:
    """The history is written again as a whole with other texts, and every digest made to agree."""

    def lie(commit: Commit) -> Commit:
        def text(content: bytes) -> bytes:
            for old, new in pairs:
                content = content.replace(old.encode(), new.encode())
            return content

        own = {path: text(content) for path, content in commit.own().items() if not path.endswith((".slurm", "setup.txt"))}
        return commit.put(own)._replace(message=text(commit.message.encode()).decode())

    tell(Branch(bench.folder), bench.lab, Mutation("everywhere", "a lie", lambda history: list(map(lie, history))))
    assert HOLDS in bench.ckgit("verify", "demo").stdout  # git alone does not show it


def test_what_is_the_same_is_said_and_noted_and_the_branch_stays_as_it_is(analyzed: Bench) -> None:
    before, refs = analyzed.executions(), git(analyzed, "for-each-ref", "refs/heads", "refs/ckgit")
    done = analyzed.ckgit("reproduce", "demo")
    assert "rank4/finetune: same bytes (3 losses, 1 checkpoint)" in done.stdout
    assert "base/eval/capitalization_base: same bytes (2 rows of capitalization)" in done.stdout
    assert "rank4/finetune: done in" in done.stderr
    assert git(analyzed, "for-each-ref", "refs/heads", "refs/ckgit") == refs
    again = analyzed.executions()[len(before) :]
    assert len(set(again)) == len(again) == 5
    assert not set(again) & set(before)
    (found,) = reproductions(analyzed.lab, "demo")
    assert found.in_words.startswith("same bytes: 5 jobs of rank4, rank8, base, on cluster local by Ada Author <ada@example.org>")
    assert (found.commit, {job.again for job in found.jobs}) == (analyzed.snapshot.tip, set(again))
    assert '{"sameness":"same bytes","experiment":"demo"' in git(analyzed, "log", "-1", f"--notes={REF}", "exp/demo")
    verified = analyzed.ckgit("verify", "demo").stdout
    assert f"{HOLDS} (1 note)" in verified
    assert f"note: {found.commit[:12]}: {found.in_words} [reproduced]" in verified
    assert found.in_words in analyzed.ckgit("show", "demo").stdout
    assert found.in_words in analyzed.ckgit("show", "demo", "rank8").stdout
    assert "reproduce-" not in analyzed.ckgit("status", "demo").stdout  # its jobs are nobody's orphans


def test_a_report_that_is_written_afterwards_shows_it(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    bench.ckgit("reproduce", "demo", "base")
    (known,) = reproductions(bench.lab, "demo")
    bench.advance(State.ANALYZED)
    report = (bench.snapshot.read("experiments/demo/analysis/report.md") or b"").decode()
    assert f"## Run again\n\n- {known.in_words.replace('<', '&lt;')}\n" in report
    assert f"note: {known.commit[:12]}: {known.in_words} [reproduced]" in bench.ckgit("verify", "demo").stdout
    git(bench, "update-ref", "-d", REF)
    text = bench.ckgit("verify", "demo").stdout
    assert "its report tells of a second execution that no note here tells of: same bytes: 1 job of base" in text
    told = (bench.snapshot.read("experiments/demo/analysis/results.json") or b"").decode()
    commit_by_hand(bench.folder, "analysis/results.json", told.replace("same bytes", "different"))
    assert bench.ckgit("verify", "demo", check=False).returncode == Exit.NOT_VERIFIED


def test_a_loss_that_git_cannot_show_to_be_a_lie_is_unmasked(analyzed: Bench) -> None:
    told(analyzed, ("Step 2 | loss:0.3", "Step 2 | loss:0.29"))
    done = analyzed.ckgit("reproduce", "demo", "rank8", check=False)
    assert done.returncode == Exit.NOT_VERIFIED
    assert "rank8/finetune: different, first here: step 2: loss 0.3, and 0.29 is recorded (3 losses, 1 checkpoint)" in done.stdout
    verified = analyzed.ckgit("verify", "demo")  # it may be another machine's doing: no error
    assert verified.returncode == 0
    assert "(1 warning)" in verified.stdout
    assert "rank8/finetune, first here: step 2: loss 0.3, and 0.29 is recorded [not-reproduced]" in verified.stdout
    assert "different: 1 different, 1 same bytes of rank8" in analyzed.ckgit("show", "demo").stdout


def test_answers_that_git_cannot_show_to_be_a_lie_are_unmasked(analyzed: Bench) -> None:
    told(analyzed, ('"accuracy": 0.5', '"accuracy": 0.9'), ("0.500 [0.095, 0.905]", "0.900 [0.704, 1.000]"))
    done = analyzed.ckgit("reproduce", "demo", "base", check=False)
    assert done.returncode == Exit.NOT_VERIFIED, done.stdout
    assert "different, first here: capitalization: row 1: match is 'I', and 'C' is recorded" in done.stdout
    assert "capitalization: accuracy of match is 0.5, and 0.9 is recorded" in done.stdout


def test_what_the_lab_tolerates_is_the_same(analyzed: Bench) -> None:
    told(analyzed, ("Step 2 | loss:0.3", "Step 2 | loss:0.29"), *BETTER)
    config = analyzed.folder / "ckgit.toml"
    for tolerance, code, sameness in ((0.005, Exit.NOT_VERIFIED, "different"), (0.06, 0, "same within the tolerance")):
        text = config.read_text().partition("[reproduce]")[0]
        config.write_text(f"{text}[reproduce]\nloss_tolerance = {tolerance}\nscore_tolerance = {tolerance}\n")
        git(analyzed, "commit", "-qam", "what is the same")
        found = document(analyzed, "rank8", code=code)
        assert (found["sameness"], {job["sameness"] for job in found["jobs"]}) == (sameness, {sameness})
        assert found["tolerances"] == {"loss_tolerance": tolerance, "score_tolerance": tolerance}


def test_it_needs_nothing_that_the_first_jobs_have_left(analyzed: Bench) -> None:
    shutil.rmtree(analyzed.work)
    assert "purged" not in analyzed.ckgit("reproduce", "demo").stdout
    git(analyzed, "merge", "--quiet", "--no-ff", "-m", "Merged", "exp/demo")
    git(analyzed, "branch", "-D", "exp/demo")
    assert document(analyzed, "rank4")["sameness"] == "same bytes"
    assert len(reproductions(analyzed.lab, "demo")) == 2
    assert "(2 notes)" in analyzed.ckgit("verify", "demo").stdout


def test_a_log_that_was_scaffolded_is_not_taken_for_the_jobs_own(analyzed: Bench) -> None:
    """The job of this evaluator keeps a log that is there already."""
    path = "rank4/eval/logs/capitalization_epoch0.json"
    told(analyzed, *BETTER)
    liar = Liar(analyzed.folder)
    planted = liar.read(liar.commits()[-1], path)
    liar.edit(liar.at("scaffold"), lambda _: {path: planted, "rank4/artifacts/epoch_0/weights": b"others\n"})
    found = document(analyzed, "rank4", code=Exit.NOT_VERIFIED)
    assert [job["sameness"] for job in found["jobs"]] == ["same bytes", "different"]


def test_that_the_history_does_not_hold_is_said_beside_what_came_of_its_jobs(analyzed: Bench) -> None:
    """The script was made to leave the result that is wanted, and would do so again and again."""
    liar, path, ledger = Liar(analyzed.folder), "base/eval/capitalization_base.slurm", "jobs.json"
    honest = liar.read(liar.commits()[-1], path)
    lie = honest.replace(b"base 0.5", b"base 0.9")
    assert lie != honest
    old, new = (hashlib.sha256(each).hexdigest().encode() for each in (honest, lie))

    def edits(commit: str) -> dict[str, bytes | None]:
        has_ledger = f"/{ledger}\n" in liar.git("ls-tree", "-r", "--name-only", commit).decode()
        return {path: lie, **({ledger: liar.read(commit, ledger).replace(old, new)} if has_ledger else {})}

    liar.edit(liar.at("scaffold"), edits)
    found = document(analyzed, "base", code=Exit.NOT_VERIFIED)  # 0.5 is still what is recorded
    assert "accuracy of match is 0.9, and 0.5 is recorded" in found["jobs"][0]["differences"][-1]
    (remark,) = found["remarks"]
    assert remark.startswith("the history does not hold (")
    assert remark.endswith("ckgit verify demo lists why")


def test_a_job_that_fails_this_time_says_nothing_against_the_record(analyzed: Bench) -> None:
    analyzed.fail("rank4/finetune")
    done = analyzed.ckgit("reproduce", "demo", "rank4", "base", check=False)
    assert done.returncode == Exit.JOBS_FAILED
    assert "rank4/finetune: failed: error: the tool ended with exit code 1: the tool says no" in done.stdout
    assert "rank4/eval/capitalization_epoch0: failed: it was not run, as the training of its run failed" in done.stdout
    assert "base/eval/capitalization_base: same bytes" in done.stdout
    verified = analyzed.ckgit("verify", "demo").stdout
    assert "(1 note)" in verified
    assert "failed: 2 failed, 1 same bytes of rank4, base" in verified


def test_cells_that_count_are_compared_each_by_itself(designed: Callable[..., Bench]) -> None:
    tasks = [{"name": "capitalization"}, {"name": "second", "file": "tasks/capitalization.py", "function": "capitalization"}]
    bench = designed(evaluation={"tasks": tasks}, compute={"evaluation_jobs": "checkpoint"}, variables={"lora_rank": [4]})
    lack = bench.steer / "lack-base-eval-base-second_base"
    lack.touch()
    bench.advance(State.TRAINED)
    bench.advance(State.ANALYZED, accept_missing=True)
    assert dict(bench.latest("base/eval/base").cells)["capitalization_base"] == ""
    lack.unlink()  # a cell that did not count is none that could be compared
    (job,) = document(bench, "base")["jobs"]
    assert (job["sameness"], job["compared"]) == ("same bytes", "2 rows of capitalization")
    lack.with_name("lack-base-eval-base-capitalization_base").touch()
    (job,) = document(bench, "base", code=Exit.JOBS_FAILED)["jobs"]
    assert (job["sameness"], "capitalization" in job["differences"][0]) == ("failed", True)


def test_runs_are_chosen_and_drawn(analyzed: Bench) -> None:
    assert [job["job"] for job in document(analyzed, "base")["jobs"]] == ["base/eval/capitalization_base"]
    found = document(analyzed, "rank4", "rank8", "--sample", "1")
    assert (len(found["runs"]), found["sample_of"]) == (1, 2)
    assert set(found["runs"]) < {"rank4", "rank8"}
    done = analyzed.ckgit("reproduce", "demo", "rank5", check=False)
    assert (done.returncode, "demo has no run 'rank5'" in done.stderr, "rank4" in done.stderr) == (Exit.USAGE, True, True)


def test_a_dry_run_runs_and_notes_nothing(analyzed: Bench) -> None:
    before = analyzed.executions()
    done = analyzed.ckgit("reproduce", "demo", "--dry-run")
    assert "would submit rank4/finetune: " in done.stdout
    assert "would run 5 jobs of rank4, rank8, base again, in " in done.stdout
    assert (analyzed.executions(), folders(analyzed)) == (before, [])
    assert git(analyzed, "for-each-ref", REF) == ""


def test_two_at_once_share_nothing(analyzed: Bench) -> None:
    before = analyzed.executions()
    analyzed.hold()
    both = [analyzed.start("reproduce", "demo", "rank4") for _ in range(2)]
    analyzed.until(lambda: len(analyzed.executions()) == len(before) + 2)
    analyzed.go()
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    for process in both:
        process.communicate()
    again = analyzed.executions()[len(before) :]
    assert len(set(again)) == len(again) == 4
    assert len(folders(analyzed)) == len(reproductions(analyzed.lab, "demo")) == 2


def test_an_interrupt_ends_the_jobs_and_the_next_one_begins_anew(analyzed: Bench) -> None:
    before = len(analyzed.executions())
    analyzed.hold()
    process = analyzed.start("reproduce", "demo", "rank4")
    analyzed.until(lambda: len(analyzed.executions()) == before + 1)
    process.send_signal(signal.SIGINT)
    _, told_it = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED
    assert "1 job of it ended, and nothing was recorded" in told_it
    (token,) = analyzed.executions()[before:]
    status = folders(analyzed)[0] / ".ckgit/jobs" / token / "status.json"
    analyzed.until(status.exists)
    analyzed.go()
    assert reproductions(analyzed.lab, "demo") == ()
    assert document(analyzed, "rank4")["sameness"] == "same bytes"
    assert len(folders(analyzed)) == 2


def test_what_a_retry_has_changed_is_run_as_it_was(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank8/finetune")
    bench.set_up("export OTHER=1")
    bench.retry(resources=Resources(mem="2G"))
    bench.advance(State.ANALYZED)
    scripts = [bench.snapshot.read(f"experiments/demo/{run}/finetune.slurm") or b"" for run in ("rank4", "rank8")]
    assert [b"OTHER" in script for script in scripts] == [False, True]
    assert document(bench)["sameness"] == "same bytes"
    (folder,) = folders(bench)
    assert [(folder / f"experiments/demo/{run}/finetune.slurm").read_bytes() for run in ("rank4", "rank8")] == scripts


def test_another_cluster_profile_runs_its_own_scripts(analyzed: Bench) -> None:
    config = analyzed.folder / "ckgit.toml"
    setup = next(line for line in config.read_text().splitlines() if line.startswith("setup = "))
    other = analyzed.folder.parent / "other"
    config.write_text(config.read_text() + f'[clusters.other]\nwork_root = "{other}"\n{setup[:-1]}, "export THERE=1"]\n')
    git(analyzed, "commit", "-qam", "another profile")
    found = document(analyzed, "rank4", "--cluster", "other")
    assert (found["sameness"], found["cluster"]) == ("same bytes", "other")
    assert found["remarks"] == ["scripts are rendered for cluster other as its profile is now"]
    (script,) = other.glob("*/demo/reproduce-*/experiments/demo/rank4/finetune.slurm")
    assert b"export THERE=1" in script.read_bytes()
    done = analyzed.ckgit("reproduce", "demo", "--cluster", "nowhere", check=False)
    assert done.returncode == Exit.USAGE


def test_an_experiment_that_has_moved_is_run_where_it_was_last(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    config, other = bench.folder / "ckgit.toml", bench.folder.parent / "other"
    setup = next(line for line in config.read_text().splitlines() if line.startswith("setup = "))
    config.write_text(config.read_text() + f'[clusters.other]\nwork_root = "{other}"\n{setup[:-1]}, "export THERE=1"]\n')
    git(bench, "commit", "-qam", "another profile")
    bench.advance(cluster="other")
    bench.advance(State.ANALYZED)
    found = document(bench, "rank4")
    assert (found["sameness"], found["cluster"], found["remarks"]) == ("same bytes", "other", [])
    (folder,) = other.glob("*/demo/reproduce-*/experiments/demo/rank4")
    scripts = [(folder / path).read_bytes() for path in ("finetune.slurm", "eval/capitalization_epoch0.slurm")]
    assert [b"THERE" in script for script in scripts] == [False, True]  # each the one that its job ran
    found = document(bench, "rank4", "--cluster", "other")
    assert (found["sameness"], found["remarks"]) == ("same bytes", ["scripts are rendered for cluster other as its profile is now"])


def test_a_script_that_the_branch_does_not_hold_is_not_run(bench: Bench) -> None:
    bench.advance(State.ANALYZED)
    liar = Liar(bench.folder)
    liar.edit(liar.at("scaffold"), lambda commit: {"rank4/finetune.slurm": liar.read(commit, "rank4/finetune.slurm") + b"# mine\n"})
    before = bench.executions()
    done = bench.ckgit("reproduce", "demo", check=False)
    assert done.returncode == Exit.EVIDENCE_MISSING
    assert "the branch does not hold the script that rank4/finetune ran" in done.stderr
    assert bench.executions() == before


def test_a_clone_that_lacks_the_scaffold_commit_is_told_how_to_get_it(analyzed: Bench) -> None:
    shallow = analyzed.folder.parent / "shallow"
    source = f"file://{analyzed.folder}"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", "--no-single-branch", source, str(shallow)], check=True)
    done = ckgit("-C", str(shallow), "reproduce", "demo")
    assert done.returncode == Exit.EVIDENCE_MISSING, done.stderr
    assert "next:  git fetch --unshallow" in done.stderr


def test_other_attempts_are_not_told_of(analyzed: Bench) -> None:
    analyzed.ckgit("reproduce", "demo", "base")
    commit_by_hand(analyzed.folder, "notes.md", "mine")
    assert len(reproductions(analyzed.lab, "demo")) == 1
    analyzed.ckgit("revise", "demo", "--set", "controls.seed=3")
    assert reproductions(analyzed.lab, "demo") == ()
    analyzed.advance(State.ANALYZED)
    assert reproductions(analyzed.lab, "demo") == ()
    assert "[reproduced]" not in analyzed.ckgit("verify", "demo").stdout


@pytest.mark.parametrize("line", ["no JSON", "{", "[" * 100_000, '{"sameness": "same bytes"}', "\x1b[31m", '{"a": ' * 50_000])
def test_a_note_that_is_none_is_counted_and_passed_over(analyzed: Bench, line: str) -> None:
    analyzed.ckgit("reproduce", "demo", "base")
    command = ["git", "notes", f"--ref={REF}", "append", "--file=-", "exp/demo"]
    subprocess.run(command, cwd=analyzed.folder, input=line, text=True, check=True)
    analyzed.ckgit("reproduce", "demo", "base")
    assert len(reproductions(analyzed.lab, "demo")) == 2
    verified = analyzed.ckgit("verify", "demo").stdout
    assert "(3 notes)" in verified
    assert "of what is noted on second executions, 1 line cannot be read: damaged, or written by another ckgit [unchecked]" in verified
    assert "\x1b" not in verified
    assert line.strip() in git(analyzed, "notes", f"--ref={REF}", "show", "exp/demo")


def test_a_note_that_is_too_large_to_be_read_hides_nothing_in_silence(analyzed: Bench) -> None:
    analyzed.ckgit("reproduce", "demo", "base")
    command = ["git", "notes", f"--ref={REF}", "append", "--file=-", "exp/demo"]
    subprocess.run(command, cwd=analyzed.folder, input="x" * 10_000_001, text=True, check=True)
    assert reproductions(analyzed.lab, "demo") == ()
    assert "1 line cannot be read" in analyzed.ckgit("verify", "demo").stdout


def test_notes_that_git_has_put_into_folders_are_added_to(analyzed: Bench) -> None:
    analyzed.ckgit("reproduce", "demo", "base")
    tip = git(analyzed, "rev-parse", "exp/demo")
    line = git(analyzed, "notes", f"--ref={REF}", "show", "exp/demo")
    tree = git(analyzed, "rev-parse", f"{REF}^{{tree}}")
    blob = git(analyzed, "rev-parse", f"{tree}:{tip}")
    for name in (tip[2:], tip[:2]):  # as git does where there are hundreds
        entry = f"100644 blob {blob}\t{name}\n" if len(name) > 2 else f"040000 tree {tree}\t{name}\n"
        done = subprocess.run(["git", "mktree"], cwd=analyzed.folder, input=entry, text=True, check=True, capture_output=True)
        tree = done.stdout.strip()
    git(analyzed, "update-ref", REF, git(analyzed, "commit-tree", "-m", "folders", tree))
    assert git(analyzed, "notes", f"--ref={REF}", "show", "exp/demo") == line
    analyzed.ckgit("reproduce", "demo", "base")
    assert len(reproductions(analyzed.lab, "demo")) == 2
    assert len(git(analyzed, "notes", f"--ref={REF}", "show", "exp/demo").splitlines()) == 2


def test_words_of_a_note_do_not_reach_the_terminal_raw(analyzed: Bench) -> None:
    found = document(analyzed, "base")
    del found["notes"]
    found |= {"by": "Eve \x1b[2J\n[edited]", "runs": ["base\r\nerror"]}
    line = json.dumps(found)
    subprocess.run(["git", "notes", f"--ref={REF}", "add", "-f", "-m", line, "exp/demo"], cwd=analyzed.folder, check=True)
    for words in (["verify", "demo"], ["show", "demo"]):
        printed = analyzed.ckgit(*words).stdout
        assert "Eve" in printed
        assert "\x1b" not in printed
        assert "\r" not in printed
        assert "\n[edited]" not in printed


@pytest.fixture
def shared(analyzed: Bench, run: Callable[..., str]) -> Bench:
    """The lab with a bare remote as its authority."""
    run(analyzed.folder.parent, "clone", "--quiet", "--bare", str(analyzed.folder), "bare.git")
    run(analyzed.folder, "remote", "add", "origin", str(analyzed.folder.parent / "bare.git"))
    toml = analyzed.folder / "ckgit.toml"
    toml.write_text('authority = "origin"\n' + toml.read_text())
    run(analyzed.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    run(analyzed.folder, "push", "--quiet", "origin", "main")
    return analyzed


def test_all_clones_add_to_the_same_notes(shared: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))  # where hooks find ckgit
    bare = shared.folder.parent / "bare.git"
    other, hook = shared.clone("other", of=bare), bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho no notes here >&2\nexit 1\n")
    hook.chmod(0o755)
    done = other.ckgit("reproduce", "demo", "base", check=False)
    assert done.returncode == Exit.COMMAND_FAILED
    assert "no notes here" in done.stderr
    assert "it is noted in this clone" in done.stderr
    hook.unlink()
    assert ckgit("-C", str(bare), "hooks", "install").returncode == 0  # ours has nothing against notes
    assert document(shared, "base")["sameness"] == "same bytes"
    assert [len(reproductions(each.lab, "demo")) for each in (shared, other)] == [1, 1]  # each its own
    assert document(other, "base")["sameness"] == "same bytes"
    shared.ckgit("reproduce", "demo", "base")
    assert [len(reproductions(each.lab, "demo")) for each in (shared, other)] == [4, 3]
    assert git(shared, "ls-remote", str(bare), REF).split()[0] == git(shared, "rev-parse", REF)


def test_who_is_overtaken_while_pushing_brings_both_together(shared: Bench) -> None:
    bare = shared.folder.parent / "bare.git"
    other = shared.clone("other", of=bare)
    other.ckgit("reproduce", "demo", "base")
    theirs = git(other, "rev-parse", REF)
    subprocess.run(["git", "update-ref", "-d", REF], cwd=bare, check=True)
    hook = shared.folder / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\nmkdir '{bare}/once' 2>/dev/null && git --git-dir='{bare}' update-ref {REF} {theirs}\nexit 0\n")
    hook.chmod(0o755)
    shared.ckgit("reproduce", "demo", "base")
    assert (bare / "once").is_dir()
    assert len(reproductions(shared.lab, "demo")) == 2
    assert git(shared, "ls-remote", str(bare), REF).split()[0] == git(shared, "rev-parse", REF)


def test_an_authority_that_cannot_be_reached_is_told_before_anything_runs(shared: Bench) -> None:
    before = shared.executions()
    shutil.rmtree(shared.folder.parent / "bare.git")
    done = shared.ckgit("reproduce", "demo", "base", check=False)
    assert (done.returncode, shared.executions()) == (Exit.UNKNOWN, before)
