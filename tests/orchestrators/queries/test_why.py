"""why: one sentence for each job that failed or waits."""

from __future__ import annotations

from ckgit.experiment.design.model import State
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.orchestrators.queries.why import Reason, why
from tests.orchestrators.bench import Bench


def reasons(bench: Bench) -> dict[str, Reason]:
    return {reason.job: reason for reason in why(open_partially(bench.lab, "demo"))}


def test_a_failed_job_has_its_sentence_and_the_end_of_its_committed_log(bench: Bench) -> None:
    bench.fail("rank8/finetune")
    bench.advance(State.TRAINED)
    found = reasons(bench)
    assert list(found) == ["rank8/finetune"]
    reason = found["rank8/finetune"]
    assert reason.reason == "the tool ended with exit code 1: the tool says no"
    assert (reason.phase, reason.failure, reason.lines) == ("failed", "error", ["the tool says no"])
    assert reason.log == bench.latest("rank8/finetune").log


def test_a_job_that_lacks_a_package_is_told_with_the_commands_that_mend_it(bench: Bench) -> None:
    bench.set_up("echo failure: environment", "pip show a-package-that-nobody-has")
    bench.advance(State.TRAINED)
    assert reasons(bench)["rank8/finetune"].reason.endswith("a-package-that-nobody-has; where that is mended, ckgit retry demo")
    bench.ckgit("close", "demo", "--because", "no more")
    assert "ckgit retry" not in reasons(bench)["rank8/finetune"].reason


def test_jobs_that_wait_run_or_are_not_submitted(bench: Bench) -> None:
    assert reasons(bench) == {}
    bench.advance(State.SCAFFOLDED)
    assert "not submitted yet" in reasons(bench)["rank4/finetune"].reason
    bench.hold()
    bench.advance(wait=False)
    bench.until(lambda: len(bench.executions()) == 2)
    assert reasons(bench)["rank4/finetune"].reason == "it runs"
    bench.go()
    bench.until(lambda: all(r.reason == "it ended with exit code 0; ckgit advance demo collects it" for r in reasons(bench).values()))
    bench.advance(State.ANALYZED)
    assert reasons(bench) == {}
