"""Changed profiles, and another one, while an experiment is on SLURM."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Detached
from ckgit.experiment.scheduler import JobState
from ckgit.orchestrators.commands.advance import advance
from ckgit.orchestrators.engine.experiment import commit_and_tell, open_experiment
from ckgit.orchestrators.engine.logs import now
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.run import commits
from ckgit.orchestrators.run.attempts import chance, new_token
from ckgit.orchestrators.run.observe import open_monitor
from ckgit.orchestrators.run.stage import stage_jobs
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import tiny_package  # noqa: F401 - a fixture
from tests.slurm.test_engine import bench, once_each  # noqa: F401 - a fixture

pytestmark = pytest.mark.parametrize("slurm", ["fake"], indirect=True)


def profile(bench: Bench, *lines: str, name: str = "site") -> None:  # noqa: F811 - the fixture
    """Lay lines over a profile; one that is not there begins as a copy of the tests' own."""
    config = bench.folder / "ckgit.toml"
    head, *blocks = config.read_text().split("\n[clusters.")
    found = {block.partition("]")[0]: block.partition("]")[2].strip().splitlines() for block in blocks}
    keys = {line.partition(" ")[0] for line in lines}
    found[name] = [line for line in found.get(name, found["site"]) if line.partition(" ")[0] not in keys] + list(lines)
    config.write_text("\n".join([head, *("\n".join([f"[clusters.{each}]", *body, ""]) for each, body in found.items())]))
    subprocess.run(["git", "commit", "-qam", "a profile"], cwd=bench.folder, check=True)


def leave_to_a_job(bench: Bench, slurm) -> str:  # noqa: F811
    """Have the ledger name a job that is to go on, and have it in the queue; its number."""
    view = open_experiment(bench.lab, "demo")
    left = Detached(token=new_token("demo", "advance", 1), to=State.ANALYZED, submitted=now())
    commit_and_tell(view.lab, commits.left(view, stage_jobs(view).workers, commits.NOTHING, bench.ledger, left), bench.heard)
    return slurm.submit(f"--job-name={left.token}", commands="sleep 300")


def test_the_job_that_was_to_go_on_ends_when_the_experiment_moves_away(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, 'partition = "main"', 'work_root = "elsewhere"', name="other")
    assert bench.advance(State.TRAINED, sequential=True).code is Exit.DONE
    number = leave_to_a_job(bench, slurm)
    advance(bench.lab, "demo", AdvanceOptions(to=State.TRAINED, cluster="other"), bench.heard)
    assert bench.ledger.detached is None
    assert "nothing goes on by itself any more" in bench.message()
    assert slurm.state(number) == "CANCELLED"


def test_a_profile_that_points_elsewhere_is_refused_while_jobs_are_out_and_loses_none(bench: Bench, slurm) -> None:  # noqa: F811
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 3, seconds=60)
    config, tip = (bench.folder / "ckgit.toml").read_text(), bench.snapshot.tip
    profile(bench, 'slurm_cluster = "beta"')
    for words in (["advance", "demo"], ["advance", "demo", "--dry-run"], ["retry", "demo"]):
        done = bench.ckgit(*words, check=False)
        assert done.returncode == Exit.USAGE
        assert "cluster profile site points elsewhere than to where jobs are out (slurm_cluster is beta and was not set)" in done.stderr
        assert "rank4/finetune, rank8/finetune, base/eval/capitalization_base" in done.stderr
    assert "base/eval/capitalization_base (submitted): it runs" in bench.ckgit("why", "demo").stdout  # who only looks, looks where they are
    assert "0 of 2 done, 2 running" in bench.ckgit("status", "demo").stdout
    assert "would end rank4/finetune" in bench.ckgit("cancel", "demo", "--dry-run").stdout
    assert bench.snapshot.tip == tip
    (bench.folder / "ckgit.toml").write_text(config)
    subprocess.run(["git", "commit", "-qam", "put back"], cwd=bench.folder, check=True)
    bench.go()
    assert bench.advance(State.TRAINED, sequential=True).code is Exit.DONE
    assert once_each(bench)


def test_another_place_is_taken_when_no_job_is_out(bench: Bench) -> None:  # noqa: F811
    bench.advance(State.SCAFFOLDED)
    bench.fail("rank8/finetune")
    assert bench.advance(State.TRAINED, sequential=True).code is Exit.JOBS_FAILED
    assert bench.ledger.command_prefix == ()
    bench.mend("rank8/finetune")
    profile(bench, 'command_prefix = ["env"]')
    assert bench.ckgit("retry", "demo").returncode == 0
    assert bench.ledger.command_prefix == ("env",)


def test_jobs_are_followed_where_they_are_whatever_becomes_of_the_profile_but_its_limits_hold(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, "max_submit = 1")
    bench.hold()
    process = bench.start("advance", "demo", "--to", "trained", "--sequential")
    bench.until(lambda: len(bench.executions()) == 1, seconds=60)
    profile(bench, 'slurm_cluster = "beta"', "max_submit = 2", "grace_seconds = 1")
    bench.until(lambda: len(bench.executions()) == 2, seconds=60)
    calls = len(slurm.calls("squeue"))
    bench.until(lambda: len(slurm.calls("squeue")) > calls + 5, seconds=60)
    bench.go()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, bench.snapshot.state) == (0, State.TRAINED), said
    assert once_each(bench)


def test_an_array_that_a_lowered_limit_made_too_large_goes_when_nothing_else_is_in_the_queue(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, "arrays = true", "max_submit = 4")
    bench.advance(State.SCAFFOLDED)
    others = [slurm.submit("--job-name=other", commands="sleep 300") for _ in range(4)]
    assert bench.advance(wait=False, sequential=True).code is Exit.IN_FLIGHT
    waits = "its array of 2 waits until there is room for 2: 4 jobs are in the queue, and max_submit is 4; 4 of them are not jobs of demo: "
    way_out = "if they stay, ckgit cancel demo and ckgit retry demo make its tasks jobs of their own"
    assert f"rank4/finetune: not handed over yet ({waits}{way_out})" in bench.heard.said
    profile(bench, "max_submit = 1")
    slurm.ask("scancel", *others[1:])
    bench.heard.said.clear()
    assert bench.advance(wait=False, sequential=True).code is Exit.IN_FLIGHT
    assert "its array of 2 waits until no other job is there: 1 jobs are in the queue, and max_submit is 1; " in bench.heard.said[0]
    slurm.ask("scancel", others[0])
    assert bench.advance(State.TRAINED, sequential=True).code is Exit.DONE
    assert "rank4/finetune: queued (its array is one submission, of more jobs than max_submit, 1)" in bench.heard.said
    assert once_each(bench)


def test_tasks_of_an_array_that_finds_no_room_become_jobs_of_their_own_by_cancel_and_retry(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, "arrays = true", "max_submit = 4")
    bench.advance(State.SCAFFOLDED)
    for _ in range(3):
        slurm.submit("--job-name=other", commands="sleep 300")
    assert bench.advance(wait=False, sequential=True).code is Exit.IN_FLIGHT
    bench.ckgit("cancel", "demo")
    bench.ckgit("retry", "demo")
    assert bench.snapshot.state is State.TRAINED
    assert once_each(bench)
    assert not any(".array" in token for token in bench.executions())


def test_an_array_does_not_wait_for_the_end_of_the_very_job_that_hands_it_over(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, "arrays = true", "max_submit = 4")
    bench.advance(State.SCAFFOLDED)
    others = [slurm.submit("--job-name=other", commands="sleep 300") for _ in range(4)]
    bench.advance(wait=False, sequential=True)
    leave_to_a_job(bench, slurm)
    slurm.ask("scancel", *others)
    profile(bench, "max_submit = 1")
    view = open_experiment(bench.lab, "demo")
    monitor = open_monitor(view, stage_jobs(view), None, bench.heard)
    monitor.poll()
    monitor.hand_over()
    assert {job_status.state for job_status in monitor.seen().statuses.values()} == {JobState.QUEUED}


def would_submit(bench: Bench, *words: str) -> list[dict[str, Any]]:  # noqa: F811
    """What a dry run says."""
    found: list[dict[str, Any]] = json.loads(bench.ckgit(*words, "--dry-run", "--json").stdout)["submissions"]
    return found


def test_a_dry_run_of_a_retry_shows_the_options_and_the_script_that_it_would_hand_over(bench: Bench, slurm) -> None:  # noqa: F811
    bench.advance(State.SCAFFOLDED)
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED, sequential=True)
    bench.mend("rank8/finetune")
    profile(bench, 'partition = "short"')
    [shown] = would_submit(bench, "retry", "demo", "--mem", "300M", "--time", "00:01:00")
    assert "--test-only" in slurm.calls("sbatch")[-1]
    assert "#SBATCH --partition=short" in shown["scripts"][0]
    bench.ckgit("retry", "demo", "--mem", "300M", "--time", "00:01:00")
    assert "--mem=300M" in shown["command"]
    token = bench.latest("rank8/finetune").token
    [handed] = [shlex.join(["sbatch", *words]) for words in slurm.calls("sbatch") if f"--job-name={token}" in words]
    assert handed.replace(chance(token), "TOKEN") == shown["command"]


def test_a_dry_run_shows_one_sbatch_for_an_array_and_the_job_that_would_go_on(bench: Bench, slurm) -> None:  # noqa: F811
    profile(bench, "arrays = true")
    bench.advance(State.SCAFFOLDED)
    shown = json.loads(bench.ckgit("advance", "demo", "--detach", "--dry-run", "--json").stdout)
    assert [", ".join(each["jobs"]) for each in shown["submissions"]] == ["rank4/finetune, rank8/finetune", "base/eval/capitalization_base"]
    assert "--array=0,1 " in shown["submissions"][0]["command"]
    assert "".join(shown["submissions"][0]["scripts"]).count("# By hand, from the top of the work tree: bash ") == 2
    [remark] = shown["remarks"]
    assert remark == (
        "then would submit a job of ckgit's own (time 00:05:00, mem 400M, cpus_per_task 1) that waits for these, and takes demo on to analyzed"
    )
    assert "job ckgit.demo.advance.1.TOKEN takes the experiment on to analyzed" in shown["commits"][-1]["message"]
    bench.hold()
    bench.advance(wait=False)
    assert remark in json.loads(bench.ckgit("advance", "demo", "--detach", "--dry-run", "--json").stdout)["remarks"]
    tokens = {chance(attempt.token) for attempt in bench.ledger.attempts}
    handed = [shlex.join(["sbatch", *call]) for call in slurm.calls("sbatch")[-2:]]
    assert {re.sub("|".join(tokens), "TOKEN", command) for command in handed} == {each["command"] for each in shown["submissions"]}


def test_a_dry_run_of_a_move_shows_both_commits_and_the_jobs_for_the_other_cluster(bench: Bench, slurm) -> None:  # noqa: F811
    bench.advance(State.TRAINED, sequential=True)
    profile(bench, 'partition = "short"', 'work_root = "elsewhere"', name="other")
    shown = json.loads(bench.ckgit("advance", "demo", "--cluster", "other", "--sequential", "--dry-run", "--json").stdout)
    assert "Cluster other (scheduler slurm) takes over from site." in shown["commits"][0]["message"]
    assert "3 evaluation jobs on cluster other (scheduler slurm)." in shown["commits"][-1]["message"]
    assert len(shown["submissions"]) == 3
    assert all("#SBATCH --partition=short" in each["scripts"][0] for each in shown["submissions"])
    assert bench.ledger.cluster == "site"
    assert "/COMMIT/" in shown["submissions"][0]["command"]


def test_what_is_left_to_a_cluster_by_a_retry_is_asked_of_that_of_the_experiment(bench: Bench) -> None:  # noqa: F811
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED, sequential=True)
    bench.mend("rank8/finetune")
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text().replace('"site"', '"here"', 1) + '\n[clusters.here]\nscheduler = "local"\n')
    subprocess.run(["git", "commit", "-qam", "another default"], cwd=bench.folder, check=True)
    bench.hold()
    assert bench.ckgit("retry", "demo", "--detach", check=False).returncode == Exit.DONE
    assert bench.ledger.detached
    bench.ckgit("cancel", "demo")
