"""run-experiment with real git and real local jobs: intent, hand-over, wait, judgement."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.jobs.folder import job_folder
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.engine.experiment import commit_and_tell, open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.run.stage import stage_jobs, submission
from ckgit.orchestrators.run.work_tree import make_work_tree
from ckgit.schedulers.local.process import is_alive, read_process
from tests.orchestrators.bench import Bench

LOGS = ["experiment_summary.md", "jobs.json", "run-experiment.log", "run-tiny-trainer.log"]


def test_the_story_and_the_files_of_each_commit(bench: Bench) -> None:
    result = bench.advance(State.EVALUATED)
    assert (result.code, result.state) == (Exit.DONE, State.EVALUATED)
    assert bench.history() == ["design", "scaffold", "submit", "train", "submit", "evaluate"]
    scaffolded, submitted, trained, _, evaluated = (taken.commit for taken in result.commits)
    names = ["rank4", "rank8", "base"]
    scripts = [f"{name}/{file}" for name in names for file in ("setup.txt",)] + [
        "rank4/finetune.slurm",
        "rank8/finetune.slurm",
        "base/eval/capitalization_base.slurm",
    ]
    scripts += ["rank4/eval/capitalization_epoch0.slurm", "rank8/eval/capitalization_epoch0.slurm"]
    settings = ["defaults.json", "cluster.json"]
    logs = ["experiment_summary.md", *settings, *(f"scaffold-{name}.log" for name in ("experiment", "tiny-trainer", "tiny-evaluator"))]
    assert sorted(bench.files_of(scaffolded)) == sorted([*scripts, *logs])
    assert sorted(bench.files_of(submitted)) == sorted(LOGS)
    ids = {run: bench.latest(f"{run}/finetune").job_id for run in ("rank4", "rank8")}
    kept = [f"{run}/{file}" for run, job_id in ids.items() for file in ("training.log", f"slurm-{job_id}.out")]
    assert sorted(bench.files_of(trained)) == sorted([*LOGS, *kept])
    assert {path.split("/")[-1].split("-")[0] for path in bench.files_of(evaluated) if "/" in path} == {
        "slurm",
        "capitalization_base.json",
        "capitalization_epoch0.json",
    }


def test_each_job_runs_once_and_the_ledger_tells_how(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    executions = bench.executions()
    assert len(executions) == len(set(executions)) == 5
    assert {attempt.token for attempt in bench.ledger.attempts} == set(executions)
    attempt = bench.latest("rank4/finetune")
    assert (attempt.phase, attempt.exit_code, attempt.number, attempt.host) == (Phase.DONE, 0, 1, os.uname().nodename)
    assert attempt.log == f"experiments/demo/rank4/slurm-{attempt.job_id}.out"
    assert bench.snapshot.read(attempt.log) is not None


def test_the_messages_say_what_the_jobs_gave(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    assert "- rank4/finetune: 3 steps, final loss 0.2, 1 s" in bench.message("exp/demo~2")
    assert "- rank8/eval/capitalization_epoch0: accuracy 0.900 [0.704, 1.000], 2 samples, 1 s; [95 % over rows]" in bench.message()


def test_the_users_checkout_is_never_touched(bench: Bench, run: Callable[..., str]) -> None:
    (bench.folder / "data/words.json").write_text("edited\n")
    before = run(bench.folder, "status", "--porcelain=v2", "--branch")
    bench.advance(State.EVALUATED)
    assert run(bench.folder, "status", "--porcelain=v2", "--branch") == before
    assert run(bench.folder, "fsck", "--strict", "--no-dangling") == ""


def test_a_failure_is_kept_named_and_not_repeated(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    result = bench.advance(State.ANALYZED)
    assert (result.code, result.state) == (Exit.JOBS_FAILED, State.SCAFFOLDED)
    assert "rank8/finetune: error: the tool ended with exit code 1: the tool says no" in result.message
    assert "ckgit retry demo" in result.next
    assert list(dict.fromkeys(bench.history()[2:])) == ["submit", "fail"]  # where jobs end apart, so do their commits
    failed = bench.latest("rank8/finetune")
    assert (failed.phase, failed.failure, failed.exit_code) == (Phase.FAILED, FailureClass.ERROR, 1)
    assert bench.snapshot.read(failed.log) == b"the tool says no\n"
    assert bench.latest("rank4/finetune").phase is Phase.DONE
    again = bench.advance()
    assert (again.code, list(again.commits)) == (Exit.JOBS_FAILED, [])
    assert len(bench.executions()) == 2


def test_accept_missing_names_what_is_missing_from_then_on(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    result = bench.advance(State.EVALUATED, accept_missing=True)
    assert (result.code, result.state) == (Exit.DONE, State.EVALUATED)
    assert "Accepted as missing:\n\n- rank8/finetune: error:" in bench.message("exp/demo~2")
    assert "- rank8/eval/capitalization_epoch0: its run was not trained" in bench.message()
    assert bench.ledger.accepted_missing == ("rank8/finetune", "rank8/eval/capitalization_epoch0")
    assert len(bench.executions()) == 4


def test_a_failure_is_accepted_later_without_running_anything(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    result = bench.advance(accept_missing=True)
    assert (result.code, result.state) == (Exit.DONE, State.TRAINED)
    assert list(dict.fromkeys(bench.history()[2:])) == ["submit", "fail", "train"]
    assert len(bench.executions()) == 2


def test_no_wait_leaves_jobs_in_flight_and_the_next_call_collects(bench: Bench) -> None:
    bench.hold()
    result = bench.advance(State.EVALUATED, wait=False)
    assert (result.code, result.state) == (Exit.IN_FLIGHT, State.SCAFFOLDED)
    bench.until(lambda: len(bench.executions()) == 2)
    assert bench.advance(wait=False).code is Exit.IN_FLIGHT
    bench.go()
    bench.until(lambda: all((job_folder(bench.work, token) / "status.json").exists() for token in bench.executions()))
    result = bench.advance(wait=False)
    assert (result.code, result.state) == (Exit.DONE, State.TRAINED)
    assert len(bench.executions()) == 2


def test_an_intent_that_was_not_handed_over_is_handed_over_by_whoever_comes(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    view = open_experiment(bench.lab, "demo")
    work = stage_jobs(view)
    commit_and_tell(view.lab, submission(view, work, AdvanceOptions(), work.jobs, make_work_tree(view)), bench.heard)
    assert bench.executions() == []
    assert bench.advance().state is State.TRAINED
    assert set(bench.executions()) == {attempt.token for attempt in bench.ledger.attempts}
    assert bench.history()[2:] == ["submit", "train"]


def test_ctrl_c_detaches_and_the_next_call_comes_back(bench: Bench) -> None:
    bench.hold()
    process = bench.start("advance", "demo", "--to", "evaluated")
    bench.until(lambda: len(bench.executions()) == 2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == Exit.INTERRUPTED
    assert "its jobs go on" in said
    assert "ckgit advance demo" in said
    bench.go()
    assert bench.advance(State.EVALUATED).code is Exit.DONE
    assert len(bench.executions()) == 5


def test_a_killed_job_is_lost_not_done(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    victim = bench.latest("rank4/finetune")
    process = read_process(job_folder(bench.work, victim.token) / "local.json")
    os.killpg(process.pid, signal.SIGKILL)
    bench.go()
    result = bench.advance()
    assert result.code is Exit.JOBS_FAILED
    assert bench.latest("rank4/finetune").failure is FailureClass.LOST
    assert bench.latest("rank8/finetune").phase is Phase.DONE


TRACEBACK = "OSError: [Errno 28] No space left on device\\n\\nE: ended\\n"


@pytest.mark.parametrize(
    ("last_act", "sign"),
    [
        ("true", "it was killed, or its machine stopped"),
        (": >status.part", "the disk was full, most likely (it could not write how it ended); make room in "),
        ("""printf '{"tok' >status.part""", "the disk was full, most likely (it could not write how it ended); make room in "),
        (f"printf '{TRACEBACK}' >>output", "the disk was full, most likely (its output ends with: No space left on device); make room in "),
    ],
)
def test_a_job_that_left_no_status_as_the_disk_was_full_is_told_so(bench: Bench, last_act: str, sign: str) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    folder = job_folder(bench.work, bench.latest("rank4/finetune").token)
    process = read_process(folder / "local.json")
    os.killpg(process.pid, signal.SIGKILL)
    subprocess.run(["bash", "-c", last_act], cwd=folder, check=True)
    bench.until(lambda: not is_alive(process))
    assert f"it is gone and left no status: {sign}" in bench.ckgit("why", "demo").stdout
    bench.go()
    assert bench.advance().code is Exit.JOBS_FAILED
    lost = bench.latest("rank4/finetune")
    assert lost.failure is FailureClass.LOST
    assert lost.reason.startswith(f"it is gone and left no status: {sign}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"exit_code": 0', '"exit_code": 1, "exit_code": 0'), "exit_code is there twice"),
        (('"started": "2', '"started": "2026-11-23T10:00:00Z", "started": "2'), "started is there twice"),
        (('"started": "2', '"started": "9'), "before it started"),
        (('"started": "2', '"started": "soon, 2'), "started is no time"),
        (('Z", "host"', '", "host"'), "ended names no time zone"),
    ],
)
def test_a_status_that_contradicts_itself_is_damaged(bench: Bench, change: tuple[str, str], words: str) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    file = job_folder(bench.work, bench.latest("rank4/finetune").token) / "status.json"
    bench.go()
    bench.until(file.exists)
    assert change[0] in file.read_text()
    file.write_text(file.read_text().replace(*change))
    assert bench.advance().code is Exit.JOBS_FAILED
    failed = bench.latest("rank4/finetune")
    assert (failed.failure, failed.exit_code) == (FailureClass.LOST, None)
    assert "its status.json is damaged" in (failed.reason or "")
    assert words in (failed.reason or "")


@pytest.mark.parametrize(
    "content", ["", '{"token": "x"', '{"token": "x", "job_id": "1", "exit_code": 0, "started": "", "ended": "", "host": ""}']
)
def test_a_damaged_status_is_never_done(bench: Bench, content: str) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    token = bench.latest("rank4/finetune").token
    bench.go()
    bench.until((job_folder(bench.work, token) / "status.json").exists)
    (job_folder(bench.work, token) / "status.json").write_text(content)
    assert bench.advance().code is Exit.JOBS_FAILED
    failed = bench.latest("rank4/finetune")
    assert failed.failure is FailureClass.LOST
    assert "status.json" in failed.reason


def test_a_script_that_was_changed_in_the_work_tree_is_not_run(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    view = open_experiment(bench.lab, "demo")
    work = stage_jobs(view)
    ledger = make_work_tree(view)
    commit_and_tell(view.lab, submission(view, work, AdvanceOptions(), work.jobs, ledger), bench.heard)
    script = bench.work / "experiments/demo/rank4/finetune.slurm"
    script.write_text(script.read_text() + "echo more\n")
    assert bench.advance().code is Exit.JOBS_FAILED
    refused = bench.latest("rank4/finetune")
    assert refused.failure is FailureClass.REFUSED
    assert "not the one that was scaffolded" in refused.reason
    assert len(bench.executions()) == 1


def test_output_that_is_missing_after_exit_0_is_a_failure(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    bench.go()
    log = bench.work / "experiments/demo/rank4/artifacts/training.log"
    bench.until(lambda: all((job_folder(bench.work, token) / "status.json").exists() for token in bench.executions()))
    log.unlink()
    assert bench.advance().code is Exit.JOBS_FAILED
    failed = bench.latest("rank4/finetune")
    assert (failed.failure, failed.reason) == (FailureClass.OUTPUT_MISSING, "it ended well and left no training log")


def test_evaluation_starts_only_on_evidence_of_training(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    (bench.work / "experiments/demo/rank4/artifacts/epoch_0/weights").unlink()
    with pytest.raises(CkgitError, match="rank4/eval/capitalization_epoch0: epoch 0 has no weights") as caught:
        bench.advance()
    assert caught.value.code is Exit.EVIDENCE_MISSING
    assert bench.history()[-1] == "train"


def test_what_another_machine_runs_is_unknown_not_lost(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    file = job_folder(bench.work, bench.latest("rank4/finetune").token) / "local.json"
    here = file.read_text()
    file.write_text(json.dumps({**json.loads(here), "host": "elsewhere", "boot": "another"}))
    result = bench.advance(wait=False)
    assert result.code is Exit.UNKNOWN
    assert "elsewhere" in result.message
    assert bench.history()[-1] == "submit"
    file.write_text(here)


def test_a_vanished_work_tree_is_said_and_nothing_is_submitted_again(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    shutil.rmtree(bench.work)
    with pytest.raises(CkgitError, match="is gone") as caught:
        bench.advance()
    assert caught.value.code is Exit.EVIDENCE_MISSING


def test_a_stage_with_nothing_to_do_says_so_in_its_commit(designed: Callable[..., Bench]) -> None:
    bench = designed(variables={})
    assert bench.advance(State.TRAINED).state is State.TRAINED
    assert "nothing to train: the design has no fine-tuned runs." in bench.message()
    assert b"NOTHING nothing to train" in bench.snapshot.read("experiments/demo/run-experiment.log")
    assert bench.executions() == []


def test_no_evaluation_is_passed_with_a_commit(designed: Callable[..., Bench]) -> None:
    bench = designed(tools={"preparation": "tiny-trainer", "evaluation": "none"}, evaluation={}, runs=[])
    assert bench.advance(State.EVALUATED).state is State.EVALUATED
    assert "nothing to evaluate: the design names no tool for evaluation." in bench.message()


def test_another_clone_goes_on_with_the_same_jobs(bench: Bench, run: Callable[..., str]) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    other = bench.clone("other")
    bench.go()
    assert other.advance(State.EVALUATED).state is State.EVALUATED
    assert len(bench.executions()) == 5
    assert other.ledger.work_tree == bench.ledger.work_tree
    assert run(other.folder, "fsck", "--strict", "--no-dangling") == ""


def test_of_two_at_once_none_runs_a_job_twice(bench: Bench) -> None:
    processes = [bench.start("advance", "demo", "--to", "evaluated") for _ in range(3)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert set(codes) <= {Exit.DONE, Exit.BRANCH_MOVED}, said
    for process, text in zip(processes, said, strict=True):
        if process.returncode:
            assert "moved" in text
    bench.advance(State.EVALUATED)
    assert len(bench.executions()) == len(set(bench.executions())) == 5
    assert bench.history() == ["design", "scaffold", "submit", "train", "submit", "evaluate"]


def test_an_edit_of_the_branch_while_jobs_run_is_followed(bench: Bench, run: Callable[..., str]) -> None:
    bench.hold()
    process = bench.start("advance", "demo", "--to", "trained")
    bench.until(lambda: len(bench.executions()) == 2)
    run(bench.folder, "worktree", "add", "--quiet", str(bench.folder.parent / "edit"), "exp/demo")
    summary = bench.folder.parent / "edit/experiments/demo/experiment_summary.md"
    summary.write_text(summary.read_text() + "\nA thought of the user.\n")
    run(summary.parent, "commit", "--quiet", "--all", "--message=A thought")
    bench.go()
    _, said = process.communicate(timeout=30)
    assert process.returncode == Exit.DONE, said
    assert "A thought of the user." in bench.snapshot.summary_bytes().decode()


def test_who_waits_hears_that_someone_else_cancelled(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.SCAFFOLDED)
    process = bench.start("advance", "demo")
    bench.until(lambda: len(bench.executions()) == 2)
    bench.ckgit("cancel", "demo")
    _, said = process.communicate(timeout=30)
    assert process.returncode == Exit.BRANCH_MOVED
    assert "someone else moved demo on" in said


def test_a_long_tool_log_is_cut_in_the_middle(bench: Bench) -> None:
    assert bench.lab.config.max_log_bytes == 5_000_000
    toml = bench.folder / "ckgit.toml"
    toml.write_text("max_log_bytes = 1000\n" + toml.read_text())
    subprocess.run(["git", "commit", "--quiet", "--all", "--message=Smaller logs"], cwd=bench.folder, check=True)
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    output = job_folder(bench.work, bench.latest("rank4/finetune").token) / "output"
    output.write_bytes(b"begin" + b"x" * 100_000 + b"end")
    bench.go()
    bench.advance()
    kept = bench.snapshot.read(bench.latest("rank4/finetune").log)
    assert len(kept) <= 1000
    assert kept.startswith(b"begin")
    assert kept.endswith(b"end")
    assert b"bytes are left out here" in kept


def test_every_poll_says_what_changed_once(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    changes = [text for text in bench.heard.said if text.startswith("rank4/finetune")]
    assert len(changes) == len(set(changes))
    assert changes[-1].startswith("rank4/finetune: done in 0:")


def test_a_lab_that_was_opened_before_sees_the_branch_as_it_is_now(bench: Bench) -> None:
    lab = open_lab(bench.folder)
    bench.advance(State.SCAFFOLDED)
    assert open_experiment(lab, "demo").snapshot.state is State.SCAFFOLDED


def test_what_runs_is_not_handed_over_again_where_its_files_are_lost(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.hold()
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    shutil.rmtree(job_folder(bench.work, bench.latest("rank8/finetune").token))
    said = bench.ckgit("status", "demo").stdout
    assert "0 of 2 done, 2 running" in said
    assert "are lost: how it ends cannot be told" in said
    assert bench.advance(wait=False).code is Exit.IN_FLIGHT
    bench.go()
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    assert (bench.latest("rank4/finetune").phase, bench.latest("rank8/finetune").failure) == (Phase.DONE, FailureClass.LOST)
    assert len(bench.executions()) == 2
