"""What is committed of a job that is over."""

from __future__ import annotations

import pytest

from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import Attempt, FailureClass, Phase, Status
from ckgit.experiment.worker import Evidence
from ckgit.jobs.folder import job_folder
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.run.collect import EndedAttempt, judge
from ckgit.orchestrators.run.stage import stage_jobs
from tests.orchestrators.bench import Bench


def test_two_attempts_with_one_process_id_keep_a_log_each(bench: Bench) -> None:
    bench.advance()
    view = open_experiment(bench.lab, "demo")
    work = stage_jobs(view)
    assert work.worker
    attempt = Attempt(
        job="rank4/finetune",
        stage=Stage.TRAINING,
        number=2,
        token="t",  # noqa: S106 - a name
        script_sha256="",
        phase=Phase.SUBMITTED,
        submitted="",
        job_id="77",
    )
    job_folder(bench.folder, "t").mkdir(parents=True)
    (job_folder(bench.folder, "t") / "output").write_text("printed\n")
    folder = "experiments/demo/rank4"
    for taken, log in ((frozenset[str](), "slurm-77.out"), (frozenset({f"{folder}/slurm-77.out"}), "slurm-77.2.out")):
        ended = EndedAttempt(attempt, None, "it is gone", FailureClass.LOST)
        judged = judge(work.worker, view.context, work.jobs[0], ended, bench.folder, limit=100, taken=taken)
        assert judged.files == {f"{folder}/{log}": b"printed\n"}
        assert (judged.attempt.phase, judged.attempt.failure, judged.attempt.log) == (Phase.FAILED, FailureClass.LOST, f"{folder}/{log}")


@pytest.mark.parametrize("complete", [True, False])
def test_a_job_that_died_when_all_was_saved_counts_and_its_exit_code_is_told(bench: Bench, complete: bool) -> None:
    bench.advance()
    view = open_experiment(bench.lab, "demo")
    work = stage_jobs(view)
    assert work.worker
    now = "2026-11-23T00:00:00Z"
    log = bench.folder / "experiments/demo/rank4/artifacts/training.log"
    log.parent.mkdir(parents=True)
    log.write_text("loss:0.5\n")
    attempt = Attempt(
        job="rank4/finetune",
        stage=Stage.TRAINING,
        number=1,
        token="t",  # noqa: S106
        script_sha256="",
        phase=Phase.SUBMITTED,
        submitted=now,
    )
    well = work.worker.evidence(view.context, work.jobs[0], attempt, bench.folder)

    class Left:
        explain = staticmethod(work.worker.explain)

        def evidence(self, *args: object) -> Evidence:
            return well._replace(complete=complete)

    status = Status(token="t", job_id="7", exit_code=134, started=now, ended=now, host="here")  # noqa: S106
    judged = judge(Left(), view.context, work.jobs[0], EndedAttempt(attempt, status), bench.folder, limit=9, taken=frozenset())  # type: ignore[arg-type]
    assert (judged.attempt.phase, judged.attempt.exit_code) == (Phase.DONE if complete else Phase.FAILED, 134)
    assert ("its exit code is 134; all was saved before" in judged.text) is complete
