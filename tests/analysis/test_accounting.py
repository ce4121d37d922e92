"""What attempts took, in all: a part that nobody knows is neither 0 nor hidden."""

from __future__ import annotations

import pytest

from ckgit.analysis.accounting import MOST_ATTEMPTS, account, attempts_section, cost_section, totals_rows
from ckgit.experiment.accounting import Accounting, Total, UsageTotals
from ckgit.experiment.design.model import Stage
from ckgit.experiment.estimates.file import Estimate, Group, Kind
from ckgit.experiment.jobs import Attempt, Phase, Usage
from ckgit.formats.markdown import size
from tests.analysis.build import DIGEST, attempt, context, jobs

HOUR = 3600.0
WHOLE = Usage(
    queue_seconds=60.0,
    elapsed_seconds=2 * HOUR,
    cpu_seconds=HOUR,
    gpus=2,
    gpu_utilization=90.0,
    peak_memory_bytes=8 * 10**9,
    node="gpu01",
)


TRAINING = Kind(stage=Stage.TRAINING, tool="torchtune", model="tiny", card=DIGEST, device="cpu", dtype="fp32", method="lora")
EVALUATION = TRAINING.model_copy(update={"stage": Stage.EVALUATION, "tool": "inspect-ai", "method": "none"})
ESTIMATE = Estimate(
    formula=1,
    design=DIGEST,
    cluster="local",
    groups=(
        Group(kind=TRAINING, scale=1.5, earlier=3, assumed={"rank4/finetune": 40.0, "rank8/finetune": 40.0}),
        Group(kind=EVALUATION, scale=1.0, earlier=0, assumed={"base/eval/capitalization_base": 10.0}),
    ),
)


def attempts_with(*usages: Usage | None, job: str = "rank4/finetune", phase: Phase = Phase.DONE) -> list[Attempt]:
    [one] = [each for each in jobs(context()) if each.name == job]
    return [attempt(one, phase, number=number, usage=usage) for number, usage in enumerate(usages, start=1)]


def taken(*attempts: Attempt) -> Accounting:
    return account(attempts, None)


def of_all(accounting: Accounting) -> UsageTotals:
    return accounting.costs[-1]


def test_sums_are_those_of_every_attempt_that_ended() -> None:
    failed = attempts_with(Usage(elapsed_seconds=HOUR, gpus=1, gpu_utilization=30.0, peak_memory_bytes=9 * 10**9), phase=Phase.FAILED)
    flying = attempts_with(WHOLE, job="rank8/finetune", phase=Phase.SUBMITTED)
    evaluated = attempts_with(Usage(elapsed_seconds=60.0, gpus=0), job="base/eval/capitalization_base")
    found = taken(*failed, *attempts_with(WHOLE)[:1], *flying, *evaluated)
    assert [(costs.stage, costs.attempts, costs.failed) for costs in found.costs] == [
        (Stage.TRAINING, 2, 1),
        (Stage.EVALUATION, 1, 0),
        (None, 3, 1),
    ]
    costs = of_all(found)
    assert costs.elapsed_seconds == Total(value=3 * HOUR + 60, known=3)
    assert costs.gpu_hours == Total(value=5.0, known=3)
    assert costs.peak_memory_bytes == Total(value=9e9, known=2)
    assert costs.gpu_utilization == Total(value=(90 * 4 + 30 * 1) / 5, known=2)  # by GPU-hours, not by attempts


def test_what_was_cancelled_did_not_fail() -> None:
    tried = [*attempts_with(WHOLE, phase=Phase.FAILED), *attempts_with(WHOLE, phase=Phase.CANCELLED)]
    assert [row[1] for row in totals_rows(taken(*tried))] == ["2 (1 failed, 1 cancelled)"] * 2
    assert [row[1] for row in totals_rows(taken(*tried[1:]))] == ["1 (1 cancelled)"] * 2


def test_what_nobody_knows_is_not_counted_as_nothing() -> None:
    found = taken(*attempts_with(WHOLE, None, Usage(elapsed_seconds=HOUR)))
    costs = of_all(found)
    assert (costs.gpu_hours, costs.elapsed_seconds) == (Total(value=4.0, known=1), Total(value=3 * HOUR, known=2))
    assert of_all(taken(*attempts_with(None))).cpu_seconds == Total()
    assert totals_rows(found)[0] == [
        "training",
        "3",
        "1:00 (1 of 3)",
        "3:00:00 (2 of 3)",
        "4 (1 of 3)",
        "1:00:00 (1 of 3)",
        "8.0 GB (1 of 3)",
        "90 % (1 of 3)",
    ]


def test_the_section_has_a_row_for_each_attempt() -> None:
    found = taken(*attempts_with(None, phase=Phase.FAILED), *attempts_with(WHOLE))
    text = attempts_section(found)
    assert "| rank4/finetune | 1 | failed | – | – | – | – | – | – | – |" in text  # noqa: RUF001
    assert "| rank4/finetune | 1 | done | 1:00 | 2:00:00 | 4 | 1:00:00 | 8.0 GB | 90 % | gpu01 |" in text
    assert "| training | 2 (1 failed) | 1:00 (1 of 2) |" in cost_section(found)
    assert "2 attempts: 4 GPU-hours, 2:00:00 of running jobs, 1:00 in the queue." in cost_section(found)
    assert cost_section(taken()) == attempts_section(taken()) == ""


def test_of_very_many_attempts_those_that_failed_are_listed() -> None:
    many = [each for _ in range(MOST_ATTEMPTS) for each in attempts_with(WHOLE)]
    text = attempts_section(taken(*many, *attempts_with(None, phase=Phase.FAILED)))
    assert text.count("| rank4/finetune |") == MOST_ATTEMPTS
    assert "| rank4/finetune | 1 | failed |" in text
    assert text.endswith("1 further attempts are left out here; `results.json` has them all.")


def test_the_estimate_is_compared_with_what_done_jobs_took() -> None:
    again = [*attempts_with(Usage(elapsed_seconds=20.0), phase=Phase.FAILED), *attempts_with(Usage(elapsed_seconds=100.0))]
    flying = attempts_with(WHOLE, job="rank8/finetune", phase=Phase.SUBMITTED)
    evaluated = attempts_with(Usage(elapsed_seconds=5.0), job="base/eval/capitalization_base")
    found = account([*again, *flying, *evaluated], ESTIMATE)
    assert [(each.stage, each.jobs, each.compared, each.estimated_seconds, each.taken_seconds, each.ratio) for each in found.estimate] == [
        (Stage.TRAINING, 2, 1, 60.0, 120.0, 2.0),  # what failed first was waited for, too; rank8 is not done, so it is on neither side
        (Stage.EVALUATION, 1, 1, 10.0, 5.0, 0.5),
        (None, 3, 2, 70.0, 125.0, 125 / 70),
    ]
    text = cost_section(found)
    assert "| training | 1 of 2 | 1:00 | 2:00 | 2 |" in text
    assert "| all | 2 of 3 | 1:10 | 2:05 | 1.79 |" in text
    assert "- training of tiny (lora, cpu, fp32): from 3 earlier runs on cluster local (1.5 times what is assumed)" in text


@pytest.mark.parametrize(
    "tried",
    [
        [],
        attempts_with(None),
        attempts_with(Usage(elapsed_seconds=9.0), phase=Phase.FAILED),
        [*attempts_with(None, phase=Phase.FAILED), *attempts_with(WHOLE)],
    ],
    ids=["none", "unknown", "failed", "partly-known"],
)
def test_a_time_that_is_not_known_is_compared_with_nothing(tried: list[Attempt]) -> None:
    found = account(tried, ESTIMATE)
    assert [(each.compared, each.taken_seconds, each.ratio) for each in found.estimate] == [(0, None, None)] * 3
    assert "Estimated and taken" not in cost_section(found)


def test_an_estimate_of_one_run_is_that_of_its_jobs() -> None:
    found = account([], ESTIMATE.of({"rank8/finetune"}))
    assert [(each.stage, each.jobs) for each in found.estimate] == [(Stage.TRAINING, 1), (None, 1)]
    assert len(found.sources) == 1


def test_an_accounting_survives_a_round_trip() -> None:
    found = account(attempts_with(WHOLE, None), ESTIMATE)
    assert Accounting.model_validate_json(found.model_dump_json()) == found


def test_bytes_have_two_digits_and_their_unit() -> None:
    assert [size(count) for count in (0, 999, 1000, 9_949, 10_000)] == ["0 B", "999 B", "1.0 KB", "9.9 KB", "10 KB"]
    assert [size(count) for count in (8.4e9, 3e15)] == ["8.4 GB", "3000 TB"]
