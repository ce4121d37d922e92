"""A cluster profile is renamed, removed or changed on the default branch: one can read, jobs are followed, one command leads on."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench, steered
from tests.orchestrators.commands.next_commands import follow, named

PROFILES = """name = "lab"
default_cluster = "{name}"

[clusters.{name}]
scheduler = "local"
slots = 2
poll_seconds = 0.05
grace_seconds = 0.3
work_root = "{root}"
setup = {setup}
"""


def rename(bench: Bench, name: str = "renamed", root: str = ".ckgit/work", *setup: str) -> None:
    """Have the default branch know one profile only."""
    lines = json.dumps([steered(bench.steer), *setup])
    (bench.folder / "ckgit.toml").write_text(PROFILES.format(name=name, root=root, setup=lines))
    subprocess.run(["git", "commit", "-qam", "profiles"], cwd=bench.folder, check=True)


def script(bench: Bench, job: str) -> str:
    content = bench.snapshot.read(f"experiments/demo/{job}.slurm")
    assert content
    return content.decode()


def check_digests(bench: Bench) -> None:
    """The scaffolding logs tell the digests of the files as they are on the branch."""
    lines = 0
    for label in ("tiny-trainer", "tiny-evaluator"):
        log = bench.snapshot.read(f"experiments/demo/scaffold-{label}.log")
        for line in (log or b"").decode().splitlines():
            if line.startswith("WROTE "):
                _, name, size, _, _, digest = line.split()
                content = bench.snapshot.read(f"experiments/demo/{name}") or b""
                assert (int(size), digest) == (len(content), hashlib.sha256(content).hexdigest()), name
                lines += 1
    assert lines


@pytest.mark.parametrize("state", list(State))
def test_reading_needs_no_profile(bench: Bench, state: State) -> None:
    if state is not State.DESIGNED:
        bench.advance(state)
    rename(bench)
    for words in (["status", "demo"], ["show", "demo"], ["why", "demo"], ["log", "demo"], ["list"]):
        done = bench.ckgit(*words, check=False)
        assert "cluster profile" not in done.stderr, done.stderr
        assert done.returncode == 0, (words, done.stderr)


def test_an_analyzed_experiment_and_one_that_only_needs_its_report_need_none(bench: Bench) -> None:
    bench.advance(State.EVALUATED)
    rename(bench)
    done = bench.ckgit("advance", "demo")
    assert bench.snapshot.state is State.ANALYZED, done.stderr
    assert bench.ckgit("show", "demo", "rank4").returncode == 0


@pytest.mark.parametrize("state", [State.DESIGNED, State.SCAFFOLDED])
def test_what_ran_nowhere_yet_is_taken_to_another_one(designed: Callable[..., Bench], state: State) -> None:
    bench = designed(compute={"cluster": "local"})
    if state is State.SCAFFOLDED:
        bench.advance(state)
    rename(bench)
    done = bench.ckgit("advance", "demo", check=False)
    designed_for = ["revise", "demo", "--set", "compute.cluster=renamed"]
    assert (done.returncode, named(done)) == (
        Exit.USAGE,
        [designed_for if state is State.DESIGNED else ["advance", "demo", "--cluster", "renamed"]],
    )
    assert "no cluster profile 'local'" in done.stderr
    follow(bench, done)
    assert bench.ckgit("advance", "demo", "--to", "analyzed").returncode == 0
    assert bench.ledger.cluster == "renamed"


def test_jobs_that_are_out_are_followed_and_a_renamed_profile_takes_over(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.hold()
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    work = bench.work
    rename(bench, "renamed", ".ckgit/work", "export RENAMED=1")
    assert "running" in bench.ckgit("status", "demo").stdout
    bench.go()
    done = bench.ckgit("advance", "demo")  # collecting needs no profile
    assert bench.snapshot.state is State.TRAINED, done.stderr
    done = bench.ckgit("advance", "demo", check=False)
    assert (done.returncode, named(done)) == (Exit.USAGE, [["advance", "demo", "--cluster", "renamed"]])
    done = follow(bench, done)
    assert (done.returncode, bench.ledger.cluster, bench.work) == (0, "renamed", work), done.stderr
    assert "RENAMED=1" in script(bench, "rank4/eval/capitalization_epoch0")
    assert "RENAMED=1" not in script(bench, "rank4/finetune")  # it is what ran
    assert len(bench.executions()) == len(set(bench.executions())) == 5
    check_digests(bench)
    assert bench.ckgit("advance", "demo").returncode == 0
    assert bench.snapshot.state is State.ANALYZED


def test_a_renamed_profile_takes_over_while_jobs_run(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.hold()
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    rename(bench)
    assert bench.ckgit("advance", "demo", "--cluster", "renamed", "--no-wait", check=False).returncode == Exit.IN_FLIGHT
    assert (bench.ledger.cluster, len(bench.ledger.open())) == ("renamed", 2)
    bench.go()
    bench.advance(State.ANALYZED)
    assert len(bench.executions()) == len(set(bench.executions())) == 5


def test_what_failed_is_tried_again_under_the_new_name(bench: Bench) -> None:
    bench.fail("rank4/finetune")
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    rename(bench)
    bench.mend("rank4/finetune")
    done = bench.ckgit("retry", "demo", check=False)
    assert (done.returncode, named(done)) == (Exit.USAGE, [["advance", "demo", "--cluster", "renamed"]])
    done = follow(bench, done)
    assert named(done)[1] == ["retry", "demo"]
    bench.advance(cluster="renamed", to=State.SCAFFOLDED)
    rename(bench, "renamed", ".ckgit/work", "export CHANGED=1")
    assert bench.ckgit("retry", "demo").returncode == 0
    assert bench.snapshot.state is State.TRAINED
    assert "CHANGED=1" in script(bench, "rank4/finetune")
    check_digests(bench)


def test_jobs_can_be_cancelled_without_their_profile(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.hold()
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    rename(bench)
    done = bench.ckgit("cancel", "demo")
    assert named(done) == [["retry", "demo"]]
    assert not bench.ledger.open()
    bench.go()
    done = follow(bench, done)
    assert bench.ledger.cluster == "renamed"


def test_another_place_takes_over_when_the_jobs_have_ended(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    first = bench.work
    rename(bench, "far", "elsewhere")
    done = bench.ckgit("advance", "demo", check=False)
    assert named(done) == [["advance", "demo", "--cluster", "far"]]
    done = follow(bench, done)
    assert (done.returncode, bench.snapshot.state, bench.ledger.moved_from) == (0, State.EVALUATED, str(first)), done.stderr
    check_digests(bench)


def test_a_profile_that_has_changed_is_told_of_and_taken_when_that_is_asked_for(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    bench.set_up("export CHANGED=1")
    done = bench.ckgit("advance", "demo", "--dry-run")
    assert "profile local has changed" in done.stdout, done.stdout
    assert "ckgit advance demo --cluster local" in done.stdout
    done = bench.ckgit("advance", "demo", "--cluster", "local")
    assert (done.returncode, bench.snapshot.state) == (0, State.EVALUATED), done.stderr
    assert "CHANGED=1" in script(bench, "rank4/eval/capitalization_epoch0")
    assert "CHANGED=1" not in script(bench, "rank4/finetune")
    assert "profile local has changed" not in done.stdout + done.stderr


def test_before_anything_was_submitted_a_profile_can_be_taken_as_it_is_now(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    bench.set_up("export CHANGED=1")
    done = bench.ckgit("advance", "demo", "--cluster", "local")
    assert (done.returncode, bench.snapshot.state) == (0, State.TRAINED), done.stderr
    assert "CHANGED=1" in script(bench, "rank4/finetune")


def test_jobs_go_out_as_scaffolded_where_nobody_asks_and_that_is_said(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    bench.set_up("export CHANGED=1")
    done = bench.ckgit("advance", "demo")
    assert "profile local has changed" in done.stderr + done.stdout
    assert "CHANGED=1" not in script(bench, "rank4/eval/capitalization_epoch0")
