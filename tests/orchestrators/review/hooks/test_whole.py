"""What ckgit itself commits, in every turn that an experiment takes, may be pushed at each commit (jobs are bash)."""

from __future__ import annotations

import itertools

import pytest

from ckgit.experiment.state import State
from tests.conftest import run_git
from tests.orchestrators.bench import Bench
from tests.orchestrators.conftest import bare_bench, bench, designed, tiny_package
from tests.orchestrators.review.hooks.by_hand import hook

__all__ = ["bare_bench", "bench", "designed", "tiny_package"]


@pytest.mark.slow
def test_a_whole_experiment_with_failures_is_never_refused(bench: Bench) -> None:
    bench.ckgit("advance", "demo", "--to", "scaffolded")
    bench.hold()
    bench.ckgit("run-experiment", "demo", "--no-wait", check=False)
    bench.ckgit("cancel", "demo")
    bench.go()
    bench.fail("rank4/finetune")
    bench.ckgit("retry", "demo", check=False)
    bench.mend("rank4/finetune")
    bench.ckgit("retry", "demo")
    bench.ckgit("advance", "demo", "--to", "analyzed")
    assert bench.snapshot.state is State.ANALYZED
    bench.ckgit("revise", "demo", "--set", "variables.lora_rank=[4]")
    bench.ckgit("advance", "demo", "--to", "trained")
    commits = run_git(bench.folder, "rev-list", "--reverse", "main..exp/demo").split()
    assert {"fail", "retry", "cancel", "revise", "train"} <= set(bench.history())
    for old, new in [("0" * 40, commits[-1]), *itertools.pairwise(commits)]:
        done = hook(bench.folder, "pre-receive", stdin=f"{old} {new} refs/heads/exp/demo\n")
        assert (done.returncode, "error: " in done.stderr) == (0, False), done.stderr
