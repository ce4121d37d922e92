"""A result belongs to its design: names that are used again, branches that are rewritten or deleted, clones that share a work root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.jobs.folder import job_folder
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.commands.cancel import end_jobs, plan_cancel
from ckgit.orchestrators.commands.observe import Observer
from ckgit.orchestrators.commands.observe_cancel import observe_cancel
from ckgit.orchestrators.commands.plan import plan
from ckgit.orchestrators.design.draft import commit, draft_new
from ckgit.orchestrators.engine.events import Events
from ckgit.orchestrators.engine.experiment import ExperimentView, open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions, Selection
from ckgit.orchestrators.engine.orphans import Orphan
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.orchestrators.engine.plugins import scheduler_for
from ckgit.orchestrators.queries.status import overview
from ckgit.orchestrators.run.apply import apply_commit
from ckgit.orchestrators.run.decisions import Commit
from ckgit.schedulers.local.process import is_alive, read_process
from tests.by_hand import commit_by_hand
from tests.conftest import make_test_lab
from tests.orchestrators.bench import DESIGN, Bench

SUMMARY = "experiment_summary.md"


def git(bench: Bench, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=bench.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def tip(bench: Bench, commit_name: str = "exp/demo") -> str:
    return git(bench, "rev-parse", commit_name)


def designed_again(bench: Bench, **controls: Any) -> list[str]:
    """The same name, another design; its warnings."""
    document = {**DESIGN, "controls": {"device": "cpu", **controls}}
    draft = draft_new(bench.lab, "demo", json.dumps(document).encode(), "again.yaml")
    commit(draft)
    return list(draft.warnings)


def other_version(bench: Bench, path: str, content: str) -> None:
    """Have ckgit's last commit be as another version of ckgit would have made it."""
    hand = bench.folder.parent / "hand"
    git(bench, "worktree", "add", "--quiet", str(hand), "exp/demo")
    (hand / "experiments/demo" / path).write_text(content)
    for words in (["add", "--all"], ["commit", "--quiet", "--amend", "--no-edit"]):
        subprocess.run(["git", *words], cwd=hand, check=True)
    git(bench, "worktree", "remove", str(hand))
    git(bench, "update-ref", "refs/ckgit/tips/demo", "exp/demo")


def merged_and_deleted(bench: Bench) -> bytes:
    """Ordinary pull-request practice; the results of the experiment."""
    bench.advance(State.ANALYZED)
    results = bench.results()
    git(bench, "merge", "--quiet", "--no-ff", "-m", "Merge exp/demo", "exp/demo")
    git(bench, "branch", "-D", "exp/demo")
    return results


def out(bench: Bench) -> list[str]:
    """Jobs are held and in flight; their tokens."""
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    return [attempt.token for attempt in bench.ledger.open()]


def overtaken(bench: Bench, *words: str) -> tuple[int, str]:
    """Exit code and words of an advance during whose wait git is told something."""
    file = bench.folder.parent / "said"  # a pipe would be read for ever where nothing comes
    with file.open("w") as stream, subprocess.Popen(bench.command("advance", "demo"), stdout=stream, stderr=stream) as waiting:
        try:
            bench.until(lambda: "running" in file.read_text(), 60)
            git(bench, *words)
            return waiting.wait(timeout=60), file.read_text()
        finally:
            waiting.kill()


def alive(bench: Bench, work: Path, token: str) -> bool:
    process = read_process(job_folder(work, token) / "local.json")
    return bool(process and is_alive(process))


class TestANameThatIsUsedAgain:
    def test_begins_with_nothing(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """In labs of before: `design` refuses the name now."""
        before = json.loads(merged_and_deleted(bench))
        with pytest.raises(CkgitError, match="demo exists already; it was merged"):
            designed_again(bench, lr=0.5)
        with monkeypatch.context() as patch:
            patch.setattr("ckgit.orchestrators.design.draft.refuse_existing", lambda *_: None)
            designed_again(bench, lr=0.5)
        assert bench.snapshot.list("experiments/demo") == [
            "experiments/demo/design-experiment.log",
            "experiments/demo/estimate.json",
            "experiments/demo/experiment_summary.md",
        ]
        assert bench.advance(State.ANALYZED).state is State.ANALYZED
        assert len(bench.executions()) == 10  # five jobs, twice
        after = json.loads(bench.results())
        assert after["design"] == bench.snapshot.summary.summary.digest != before["design"]
        assert b"lr 0.5" in (bench.snapshot.read("experiments/demo/rank4/setup.txt") or b"")
        assert len(bench.ledger.attempts) == 5
        assert "error" not in bench.ckgit("verify", "demo").stdout
        assert "NOT LEGAL" not in bench.ckgit("log", "demo").stdout

    def test_on_a_branch_made_by_hand_too(self, bench: Bench) -> None:
        merged_and_deleted(bench)
        summary = (bench.folder / "experiments/demo/experiment_summary.md").read_text()
        git(bench, "branch", "exp/demo", "main")
        text = summary.replace("state: analyzed", "state: designed").replace("variables:", "controls: {lr: 0.5}\nvariables:")
        commit_by_hand(bench.folder, "experiment_summary.md", text)
        assert bench.snapshot.ledger() is None
        assert bench.ckgit("status", "demo").stdout.splitlines()[0].startswith("demo: designed")
        assert bench.advance(State.ANALYZED).state is State.ANALYZED
        assert len(bench.executions()) == 10
        assert len(bench.ledger.attempts) == 5

    def test_the_ledger_of_another_design_is_named_and_never_used(self, bench: Bench) -> None:
        bench.advance(State.TRAINED)
        ledger = (bench.snapshot.read("experiments/demo/jobs.json") or b"").decode()
        subprocess.run(bench.command("revise", "demo", "--set", "controls.lr=0.5", "--set", "controls.device=cpu"), check=True)
        bench.advance(State.SCAFFOLDED)
        commit_by_hand(bench.folder, "jobs.json", ledger, "a ledger from somewhere")
        for words in (["advance", "demo"], ["status", "demo"], ["retry", "demo"]):
            done = bench.ckgit(*words, check=False)
            assert done.returncode == Exit.EVIDENCE_MISSING
            assert "lists the jobs of another design" in done.stderr
            assert "ckgit revise demo" in done.stderr
        bench.ckgit("revise", "demo")
        assert bench.advance(State.TRAINED).state is State.TRAINED
        assert len(bench.executions()) == 4

    def test_of_a_ledger_that_does_not_name_its_design_the_scaffold_commit_does(self, bench: Bench) -> None:
        bench.advance(State.TRAINED)
        document = json.loads(bench.snapshot.read("experiments/demo/jobs.json") or b"")
        del document["design"]
        old = json.dumps(document, indent=2) + "\n"
        other_version(bench, "jobs.json", old)
        assert bench.advance(State.EVALUATED).state is State.EVALUATED
        subprocess.run(bench.command("revise", "demo", "--set", "controls.lr=0.5", "--set", "controls.device=cpu"), check=True)
        bench.advance(State.SCAFFOLDED)
        other_version(bench, "jobs.json", old)
        with pytest.raises(CkgitError, match="another design"):
            bench.advance()

    def test_a_deleted_branch_that_was_never_merged_is_kept(self, bench: Bench) -> None:
        bench.advance(State.TRAINED)
        before = tip(bench)
        git(bench, "branch", "-D", "exp/demo")
        warnings = designed_again(bench)
        kept = f"refs/ckgit/rescue/demo/{before[:12]}"
        assert any(kept in text for text in warnings)
        assert tip(bench, kept) == before


class TestABranchThatWasSetBack:
    def test_its_jobs_are_not_started_again_while_they_run(self, bench: Bench) -> None:
        tokens = out(bench)
        work, followed = bench.work, tip(bench)
        git(bench, "branch", "-f", "exp/demo", "exp/demo~1")
        done = bench.ckgit("advance", "demo", check=False)
        assert done.returncode == Exit.IN_FLIGHT
        assert all(f"{token} (running)" in done.stderr for token in tokens)
        assert f"git branch -f exp/demo {followed[:12]}" in done.stderr
        assert len(bench.executions()) == 2
        status = bench.ckgit("status", "demo").stdout
        assert "2 jobs not in the ledger of the branch may still run" in status
        assert tokens[0] in status
        assert f"rewritten since ckgit left it at {followed[:12]}" in status
        assert "2 running jobs are not in the ledger of its branch" in bench.ckgit("list").stdout
        assert {each["token"] for each in json.loads(bench.ckgit("status", "demo", "--json").stdout)["unknown_jobs"]} == set(tokens)
        git(bench, "branch", "-f", "exp/demo", followed[:12])
        bench.go()
        assert bench.advance(State.TRAINED).state is State.TRAINED
        assert len(bench.executions()) == 2
        assert bench.work == work

    def test_its_jobs_can_be_cancelled_and_the_next_ones_have_a_folder_of_their_own(self, bench: Bench) -> None:
        tokens = out(bench)
        work, followed = bench.work, tip(bench)
        git(bench, "branch", "-f", "exp/demo", "exp/demo~1")
        dry = bench.ckgit("cancel", "demo", "--dry-run").stdout
        assert f"would end {tokens[0]}, which is not in the ledger of the branch" in dry
        assert bench.ckgit("cancel", "demo").stdout.startswith("2 jobs (2 of them not in the ledger) cancelled")
        assert not any(alive(bench, work, token) for token in tokens)
        bench.go()
        assert bench.advance(State.TRAINED).state is State.TRAINED
        assert bench.work == work.with_name(f"{work.name}-2")
        assert any(f"refs/ckgit/rescue/demo/{followed[:12]}" in text for text in bench.heard.said)
        assert tip(bench, f"refs/ckgit/rescue/demo/{followed[:12]}") == followed

    def test_a_checkout_of_it_is_brought_back_by_the_command_that_is_named(self, bench: Bench) -> None:
        tokens = out(bench)
        followed = tip(bench)
        git(bench, "switch", "--quiet", "exp/demo")
        git(bench, "reset", "--quiet", "--hard", "HEAD~1")
        why = bench.ckgit("why", "demo").stdout
        assert f"{tokens[0]}, {tokens[1]} (running, not in the ledger of the branch): git -C " in why
        assert "it was not submitted yet; first the running jobs that are not in the ledger must end" in why
        back = bench.ckgit("status", "demo").stdout.partition("next: ")[2].partition(" goes back to")[0]
        subprocess.run(["bash", "-c", back], check=True)
        assert tip(bench) == followed
        assert "runs" in bench.ckgit("why", "demo").stdout
        bench.go()
        assert bench.advance(State.TRAINED).state is State.TRAINED
        assert len(bench.executions()) == 2

    def test_nothing_goes_on_from_what_an_attempt_left_that_it_does_not_know(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-11-23T10:00:00Z")  # both failures are recorded in one second
        bench.fail("rank8/finetune")
        bench.advance(State.TRAINED)
        assert bench.ckgit("retry", "demo", check=False).returncode == Exit.JOBS_FAILED
        lost = tip(bench)
        git(bench, "branch", "-f", "exp/demo", "exp/demo~2")  # behind the retry
        before = tip(bench)
        bench.mend("rank8/finetune")
        done = bench.ckgit("retry", "demo", check=False)
        assert (done.returncode, tip(bench), len(bench.executions())) == (Exit.BRANCH_MOVED, before, 3)
        assert "jobs that are not in the ledger of its branch ran in the work tree of demo: ckgit." in done.stderr
        assert f"git branch -f exp/demo {lost[:12]} goes back to the commit whose ledger lists them" in done.stderr
        assert "or begin anew: ckgit revise demo" in done.stderr
        assert f"is kept as refs/ckgit/rescue/demo/{lost[:12]}" in bench.ckgit("revise", "demo").stderr
        assert bench.advance(State.TRAINED).state is State.TRAINED

    def test_behind_a_retry_the_same_holds(self, bench: Bench) -> None:
        bench.fail("rank8/finetune")
        bench.advance(State.TRAINED)
        bench.mend("rank8/finetune")
        bench.hold()
        bench.ckgit("retry", "demo", "--no-wait", check=False)
        bench.until(lambda: len(bench.executions()) == 3)
        git(bench, "branch", "-f", "exp/demo", "exp/demo~1")
        done = bench.ckgit("retry", "demo", check=False)
        assert (done.returncode, len(bench.executions())) == (Exit.IN_FLIGHT, 3)
        assert "git branch -f exp/demo" in done.stderr

    def test_its_jobs_are_known_also_where_their_files_are_lost(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        process = read_process(job_folder(work, tokens[0]) / "local.json")
        shutil.rmtree(job_folder(work, tokens[0]))
        git(bench, "branch", "-f", "exp/demo", "exp/demo~1")
        done = bench.ckgit("advance", "demo", check=False)
        assert (done.returncode, len(bench.executions())) == (Exit.IN_FLIGHT, 2)
        assert all(f"{token} (running)" in done.stderr for token in tokens)
        assert bench.ckgit("cancel", "demo").stdout.startswith("2 jobs (2 of them not in the ledger) cancelled")
        assert process
        assert not is_alive(process)
        assert "not in the ledger" not in bench.ckgit("status", "demo").stdout

    def test_list_names_the_jobs_also_when_ckgit_has_gone_on_with_the_branch(self, bench: Bench) -> None:
        out(bench)
        git(bench, "branch", "-f", "exp/demo", "exp/demo~2")
        bench.ckgit("advance", "demo", "--to", "scaffolded")
        bench.ckgit("revise", "demo")
        assert "2 jobs not in the ledger of the branch may still run" in bench.ckgit("status", "demo").stdout
        assert "2 running jobs are not in the ledger of its branch: ckgit status demo" in bench.ckgit("list").stdout
        assert bench.ckgit("cancel", "demo").stdout.startswith("2 jobs (2 of them not in the ledger) cancelled")
        assert "not in the ledger" not in bench.ckgit("list").stdout

    def test_a_command_that_waits_says_what_it_followed(self, bench: Bench) -> None:
        out(bench)
        followed = tip(bench)
        code, said = overtaken(bench, "branch", "-f", "exp/demo", "exp/demo~1")
        assert code == Exit.BRANCH_MOVED
        assert "the branch was rewritten" in said
        assert "rank4/finetune, rank8/finetune" in said
        assert f"git branch -f exp/demo {followed[:12]}" in said
        assert "moved demo on" not in said


def decided(view: ExperimentView) -> Commit:
    decision = plan(Observer(view, AdvanceOptions(), Events()).observe(), AdvanceOptions())
    assert isinstance(decision, Commit)
    return decision


def test_who_is_overtaken_hears_that_the_branch_moved_and_leaves_nothing(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    before = open_experiment(bench.lab, "demo")
    out(bench)
    with pytest.raises(CkgitError, match="somebody else moved the branch") as caught:
        apply_commit(before, decided(before), bench.heard)
    assert caught.value.code is Exit.BRANCH_MOVED
    assert [work.name for work in bench.work.parent.iterdir()] == [bench.work.name]


class TestABranchThatWasDeleted:
    def test_its_jobs_are_listed_and_can_be_cancelled(self, bench: Bench) -> None:
        tokens = out(bench)
        work, followed = bench.work, tip(bench)
        git(bench, "branch", "-D", "exp/demo")
        listed = bench.ckgit("list").stdout
        assert "its branch was deleted; 2 running jobs are not in the ledger of its branch: ckgit status demo" in listed
        for words in (["status", "demo"], ["advance", "demo"], ["why", "demo"], ["show", "demo"]):
            done = bench.ckgit(*words, check=False)
            assert done.returncode == Exit.USAGE
            assert f"ckgit left it at {followed[:12]}" in done.stderr
            assert f"git branch exp/demo {followed[:12]} brings it back" in done.stderr
        assert tokens[0] in bench.ckgit("status", "demo", check=False).stderr
        ended = bench.ckgit("cancel", "demo").stdout
        assert ended.startswith("2 jobs (2 of them not in the ledger) cancelled")
        assert f"git branch exp/demo {followed[:12]} brings it back" in ended
        assert not any(alive(bench, work, token) for token in tokens)
        assert "demo" not in bench.ckgit("list").stdout

    def test_a_command_that_waits_says_what_it_followed(self, bench: Bench) -> None:
        out(bench)
        followed = tip(bench)
        code, said = overtaken(bench, "branch", "-D", "exp/demo")
        assert code == Exit.BRANCH_MOVED
        assert f"followed it at {followed[:12]}" in said
        assert f"git branch exp/demo {followed[:12]}" in said


class TestCancelAlwaysWorks:
    def test_where_the_data_was_changed_by_a_merge(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        data = bench.folder / "data/words.json"
        rows = json.loads(data.read_text())
        data.write_text(json.dumps({**rows, "train": rows["train"][::-1]}))
        git(bench, "commit", "-qam", "other data")
        hand = bench.folder.parent / "hand"
        git(bench, "worktree", "add", "--quiet", str(hand), "exp/demo")
        subprocess.run(["git", "merge", "--quiet", "-m", "merge", "main"], cwd=hand, check=True)
        git(bench, "worktree", "remove", str(hand))
        why = bench.ckgit("why", "demo")
        assert "it runs" in why.stdout
        first = "ckgit cancel demo ends the jobs that are in flight; then "
        assert first in why.stderr
        assert first in bench.ckgit("status", "demo").stdout
        advance = bench.ckgit("advance", "demo", check=False)
        assert advance.returncode == Exit.EVIDENCE_MISSING
        assert first in advance.stderr
        assert "ckgit cancel demo" in bench.ckgit("revise", "demo", check=False).stderr
        cancelled = bench.ckgit("cancel", "demo").stdout
        assert cancelled.startswith("2 jobs cancelled")
        for said in (cancelled, bench.ckgit("status", "demo").stdout):
            assert "ckgit retry" not in said
            assert "ckgit revise demo" in said
        assert not any(alive(bench, work, token) for token in tokens)
        assert {attempt.phase for attempt in bench.ledger.attempts} == {Phase.CANCELLED}
        assert bench.history()[-1] == "cancel"
        assert bench.ckgit("revise", "demo").returncode == 0

    @pytest.mark.parametrize(("file", "content"), [(SUMMARY, "---\n<<<<<<< HEAD\n"), (SUMMARY, None), ("jobs.json", "{}")])
    def test_where_the_branch_cannot_be_read_and_status_and_list_name_the_jobs(self, bench: Bench, file: str, content: str | None) -> None:
        tokens, work = out(bench), bench.work
        commit_by_hand(bench.folder, file, content)
        for words in (["status", "demo"], ["advance", "demo"], ["show", "demo"]):
            done = bench.ckgit(*words, check=False)
            assert done.returncode in (Exit.EVIDENCE_MISSING, Exit.INVALID_DESIGN)
            assert "its jobs go on: " in done.stderr
            assert all(f"{token} (running)" in done.stderr for token in tokens)
            assert "ckgit cancel demo ends them" in done.stderr
        jobs = "2 jobs of it may still run"
        assert f"{jobs}: ckgit status demo" in bench.ckgit("list").stdout
        bench.ckgit("cancel", "demo", check=False)
        assert not any(alive(bench, work, token) for token in tokens)
        assert jobs not in bench.ckgit("list").stdout

    def test_where_a_file_was_changed_by_hand(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        commit_by_hand(bench.folder, "jobs.json", (bench.snapshot.read("experiments/demo/jobs.json") or b"").decode() + "\n")
        done = bench.ckgit("cancel", "demo", check=False)
        assert done.returncode == Exit.EVIDENCE_MISSING
        assert "2 jobs ended, and that could not be recorded: files that ckgit wrote were changed by hand" in done.stderr
        assert not any(alive(bench, work, token) for token in tokens)
        assert bench.history()[-1] == "submit"

    def test_where_the_summary_cannot_be_read(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        commit_by_hand(bench.folder, "experiment_summary.md", "<<<<<<< HEAD\nno summary\n")
        done = bench.ckgit("cancel", "demo", check=False)
        assert done.returncode == Exit.INVALID_DESIGN
        assert "2 jobs (2 of them not in the ledger) ended, and that could not be recorded" in done.stderr
        assert not any(alive(bench, work, token) for token in tokens)
        git(bench, "branch", "-f", "exp/demo", "exp/demo~1")
        assert bench.advance().code is Exit.JOBS_FAILED
        assert {attempt.failure for attempt in bench.ledger.attempts} == {FailureClass.CANCELLED}

    def test_where_a_checkout_is_in_the_way(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        git(bench, "switch", "--quiet", "exp/demo")
        (bench.folder / "experiments/demo/jobs.json").write_text("mine")
        done = bench.ckgit("cancel", "demo", check=False)
        assert done.returncode == Exit.BRANCH_MOVED
        assert "2 jobs ended, and that could not be recorded" in done.stderr
        assert not any(alive(bench, work, token) for token in tokens)
        assert (bench.folder / "experiments/demo/jobs.json").read_text() == "mine"

    def test_where_the_authority_is_away(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        toml = bench.folder / "ckgit.toml"
        toml.write_text('authority = "origin"\n' + toml.read_text())
        git(bench, "commit", "-qam", "an authority")
        git(bench, "remote", "add", "origin", str(bench.folder.parent / "away.git"))
        done = bench.ckgit("cancel", "demo", check=False)
        assert done.returncode == Exit.UNKNOWN
        assert "2 jobs ended, and that could not be recorded: the authority origin does not answer" in done.stderr
        assert not any(alive(bench, work, token) for token in tokens)

    def test_where_nobody_can_read_which_process_a_job_is(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        processes = [read_process(job_folder(work, token) / "local.json") for token in tokens]
        (job_folder(work, tokens[0]) / "local.json").write_text("")
        assert f"nothing can be said now of 1 jobs ({tokens[0]}: " in bench.ckgit("advance", "demo", "--no-wait", check=False).stderr
        assert bench.ckgit("cancel", "demo").stdout.startswith("2 jobs cancelled")
        assert not any(process and is_alive(process) for process in processes)
        bench.go()
        assert bench.ckgit("retry", "demo").returncode == 0
        assert len(bench.executions()) == 4

    def test_where_the_disk_is_full(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        for token in tokens:
            (job_folder(work, token) / "cancelled").symlink_to("/nowhere/at/all")
        assert bench.ckgit("cancel", "demo").stdout.startswith("2 jobs cancelled")
        assert not any(alive(bench, work, token) for token in tokens)

    def test_on_what_is_in_no_ledger_where_a_job_of_the_ledger_cannot_be_ended(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        planned = plan_cancel(observe_cancel(open_partially(bench.lab, "demo"), Selection()))
        far, near = planned.attempts
        identity = job_folder(work, far.token) / "local.json"
        kept = identity.read_text()
        identity.write_text(json.dumps({**json.loads(kept), "host": "far-away", "boot": "another"}))
        with pytest.raises(CkgitError, match="far-away"):
            end_jobs(planned._replace(attempts=[far], orphans=[Orphan(near.token, work, "local", "running")]))
        assert not alive(bench, work, near.token)
        identity.write_text(kept)
        assert {far.token, near.token} == set(tokens)

    @pytest.mark.parametrize("content", ["<<<<<<< HEAD\n", 'name = "test-lab"\nno_such_key = 1\n'])
    def test_where_the_lab_s_configuration_is_broken(self, bench: Bench, content: str) -> None:
        tokens, work = out(bench), bench.work
        (bench.folder / "ckgit.toml").write_text(content)
        git(bench, "commit", "-qam", "broken")
        status, why = bench.ckgit("status", "demo").stdout, bench.ckgit("why", "demo")
        assert "0 of 2 done, 2 running" in status
        assert "it runs" in why.stdout
        assert "  broken: main:ckgit.toml: " in status
        assert "next: mend main:ckgit.toml and commit it" in status
        done = bench.ckgit("cancel", "demo", check=False)
        assert done.returncode == Exit.USAGE
        assert "2 jobs ended, and that could not be recorded: " in done.stderr
        assert "nothing was done" not in done.stderr
        for said in (why.stderr, done.stderr):
            assert "main:ckgit.toml: " in said
            assert "mend main:ckgit.toml and commit it" in said
        assert not any(alive(bench, work, token) for token in tokens)
        git(bench, "branch", "-f", "exp/demo", "exp/demo~1")
        for words in (["list"], ["status", "demo"]) if "HEAD" in content else ():
            done = bench.ckgit(*words)
            assert "main:ckgit.toml: not TOML" in done.stdout + done.stderr
        git(bench, "branch", "-f", "exp/demo", "exp/demo@{1}")
        git(bench, "revert", "--no-edit", "HEAD")
        assert bench.advance().code is Exit.JOBS_FAILED
        assert {attempt.failure for attempt in bench.ledger.attempts} == {FailureClass.CANCELLED}

    def test_where_the_profile_is_gone(self, bench: Bench) -> None:
        tokens, work = out(bench), bench.work
        toml = bench.folder / "ckgit.toml"
        toml.write_text(toml.read_text().replace("local", "here").replace('scheduler = "here"', 'scheduler = "local"'))
        git(bench, "commit", "-qam", "another name for the profile")
        assert bench.ckgit("cancel", "demo").stdout.startswith("2 jobs cancelled")
        assert not any(alive(bench, work, token) for token in tokens)
        assert bench.history()[-1] == "cancel"


class TestJobsThatEndedWithoutAWord:
    def test_are_asked_for_once(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        tokens, work = out(bench), bench.work
        for token in tokens:
            process = read_process(job_folder(work, token) / "local.json")
            assert process
            os.killpg(process.pid, signal.SIGKILL)
        bench.until(lambda: not any(alive(bench, work, token) for token in tokens))
        assert bench.advance().code is Exit.JOBS_FAILED
        bench.ckgit("revise", "demo")
        asked: list[str] = []

        def scheduler(cluster: Any) -> Any:
            asked.append(cluster.scheduler)
            return scheduler_for(cluster)

        monkeypatch.setattr("ckgit.orchestrators.engine.plugins.scheduler_for", scheduler)
        for _ in range(3):
            assert overview(bench.lab, "demo").unknown_jobs == []
        assert asked == ["local"]


class TestTwoClonesWithOneWorkRoot:
    @pytest.fixture
    def shared(self, bench: Bench) -> Bench:
        """The lab, whose work root every clone shares."""
        toml = bench.folder / "ckgit.toml"
        toml.write_text(f'{toml.read_text()}work_root = "{bench.folder.parent}/shared-root"\n')
        git(bench, "commit", "-qam", "a work root for all")
        git(bench, "branch", "-D", "exp/demo")
        from tests.orchestrators.bench import design_demo

        design_demo(bench.lab)
        bench.advance(State.SCAFFOLDED)
        return bench

    def test_the_second_one_is_told_of_the_first_ones_jobs(self, shared: Bench) -> None:
        other = shared.clone("colleague")
        tokens = out(shared)
        done = other.ckgit("advance", "demo", check=False)
        assert done.returncode == Exit.IN_FLIGHT
        assert tokens[0] in done.stderr
        assert len(shared.executions()) == 2
        shared.go()
        assert shared.advance(State.TRAINED).state is State.TRAINED
        assert other.advance(State.TRAINED).state is State.TRAINED  # a second time, and nowhere near the first
        assert other.work == shared.work.with_name(f"{shared.work.name}-2")

    def test_when_both_submit_at_once_one_hands_over_and_the_other_says_so(self, shared: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        other = shared.clone("colleague")
        shared.hold()
        with monkeypatch.context() as patched:  # neither sees the other before both have committed their intent
            patched.setattr("ckgit.orchestrators.run.observe.refuse_orphans", lambda *_: None)
            patched.setattr("ckgit.orchestrators.run.work_tree.tokens_in", lambda _: [])
            patched.setattr("ckgit.orchestrators.run.work_tree.owner_of", lambda _: "")
            shared.advance(State.TRAINED, wait=False)
            with pytest.raises(CkgitError, match="another submission of demo was first in this work tree") as caught:
                other.advance(State.TRAINED, wait=False)
        assert caught.value.code is Exit.BRANCH_MOVED
        assert other.work == shared.work
        shared.until(lambda: len(shared.executions()) == 2)
        assert set(shared.executions()) == {attempt.token for attempt in shared.ledger.attempts}
        assert other.ckgit("cancel", "demo").stdout.startswith("2 jobs cancelled")  # its own, and no other's
        assert all(alive(shared, shared.work, token) for token in shared.executions())
        assert f"--job {shared.executions()[0][:20]}" in other.ckgit("cancel", "demo", check=False).stderr
        shared.go()
        assert shared.advance(State.TRAINED).state is State.TRAINED
        assert len(shared.executions()) == 2

    def test_of_two_retries_at_once_one_hands_over(self, shared: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        shared.fail("rank8/finetune")
        assert shared.advance(State.TRAINED).code is Exit.JOBS_FAILED
        other = shared.clone("colleague")
        shared.mend("rank8/finetune")
        monkeypatch.setattr("ckgit.orchestrators.commands.retry.refuse_orphans", lambda *_: None)

        assert shared.retry().code is Exit.DONE
        with pytest.raises(CkgitError, match="was first in this work tree"):
            other.retry()
        assert len(shared.executions()) == 3

    def test_a_lab_of_the_same_name_is_another_one(self, shared: Bench) -> None:
        out(shared)
        from ckgit.orchestrators.engine import orphans

        other = open_lab(make_test_lab(shared.folder.parent / "other"))
        (other.root / "ckgit.toml").write_bytes((shared.folder / "ckgit.toml").read_bytes())
        subprocess.run(["git", "commit", "-qam", "the same name and work root"], cwd=other.root, check=True)
        assert orphans.find_orphans(open_lab(other.root), "demo", frozenset()) == []
        assert len(orphans.find_orphans(shared.lab, "demo", frozenset())) == 2
