import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from ckgit.analysis.assemble import assemble
from ckgit.analysis.report import render
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.claims.verdicts import Judgement
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.experiment.measured.answers import Score
from ckgit.experiment.results import Checkpoint, LossPoint, Metric, Results, Sample, TokenCheck
from tests.analysis.build import DIGEST, attempt, cell, context, jobs, ledger, left

WORDS = {"loss.svg": "Losses *fall*.", "scores.svg": "Scores of 3 runs.", "design.svg": "accuracy by lora_rank"}
RIGHT = {"rank4": 30, "rank8": 36, "base": 2}
NO_CLAIMS = {"name": "cap_lora", "question": "q", "date": "2026-11-23"}
RANK8_BASE = "these two models; another seed may differ: supported | accuracy on capitalization: rank8 greater than base by at least 0.5"
RANK8_RANK4 = "these two models; another seed may differ: supported | accuracy on capitalization: rank8 greater than rank4"
BEYOND = "the whole interval lies beyond"
ABOUT_RANK8 = "rank8 was trained with one seed: this does not generalize to its settings"
ONE_SEED = "each was trained with one seed: this does not generalize to their settings"
CLAIM = {"metric": "accuracy", "task": "capitalization", "left": "rank8", "right": "rank4", "direction": "greater"}


def results(**changes: Any) -> Results:
    here = context(**changes)
    return assemble(here, jobs(here), left(here, RIGHT), {}, Accounting())


def report() -> str:
    here = context()
    return render(here, ledger(*map(attempt, jobs(here))), results(), WORDS).decode()


def test_runs_have_their_training_and_cells_in_the_designs_order() -> None:
    found = results()
    assert [(run.name, run.training is not None, [cell.epoch for cell in run.cells]) for run in found.runs] == [
        ("rank4", True, [0, 1]),
        ("rank8", True, [0, 1]),
        ("base", False, [None]),
    ]
    assert [verdict.judgement for verdict in found.claims] == [Judgement.SUPPORTED, Judgement.SUPPORTED]


def test_results_survive_a_round_trip() -> None:
    found = results()
    assert Results.model_validate_json(found.model_dump_json(indent=2)) == found


def test_evaluation_that_saw_other_tokens_is_refused() -> None:
    here = context()
    found = left(here, RIGHT)
    other = cell("rank4", 30, epoch=1, tokens=TokenCheck(rows=40, sha256="f" * 64))
    with pytest.raises(ValueError, match="evaluation saw other tokens than training"):
        assemble(here, jobs(here), {**found, "rank4/eval/capitalization_epoch1": [other]}, {}, Accounting())


def test_training_may_have_looked_at_fewer_rows() -> None:
    here = context()
    other = cell("rank4", 30, epoch=1, tokens=TokenCheck(rows=90, sha256="f" * 64))
    found = assemble(here, jobs(here), {**left(here, RIGHT), "rank4/eval/capitalization_epoch1": [other]}, {}, Accounting())
    assert "| the same for the first 40 rows |" in render(here, None, found, {}).decode()


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_metric_that_is_no_number_is_undefined(value: float | None) -> None:
    here = context(experiment=NO_CLAIMS)
    metrics = (Metric(scorer="match", name="f1", value=value, stderr=0.0, samples=40),)
    odd = cell("base", 2, metrics=metrics)
    found = assemble(here, jobs(here), {**left(here, RIGHT), "base/eval/capitalization_base": [odd]}, {}, Accounting())
    assert found.runs[2].cells[0].metrics == (Metric(scorer="match", name="f1", value=None, samples=40, asked=40),)
    assert "| base | – | match | f1 | undefined |" in render(here, None, found, {}).decode()  # noqa: RUF001


def test_the_report_answers_what_a_reader_asks() -> None:
    text = report()
    for line in (
        "# cap_lora",
        "Does a higher rank learn to capitalize better?",
        "Rank 8 beats the base model by half.",
        "| verdict | claim | left | right | difference [interval] | method | rows | runs | why |",
        f"| {RANK8_BASE} | 0.9 (epoch 1) | 0.05 | 0.850 [0.674, 0.945] | Bonett-Price | 40 paired | 1 + 1 | {BEYOND} 0.5; {ABOUT_RANK8} |",
        f"| {RANK8_RANK4} | 0.9 (epoch 1) | 0.75 (epoch 1) | 0.150 [0.018, 0.268] | Bonett-Price | 40 paired | 1 + 1 | {BEYOND} 0; ",
        "[95 % over rows]: 95 % confidence interval over the evaluated rows; variance between training seeds is not included.",
        "| rank4 | 1 | match | accuracy | 0.750 [0.598, 0.858] | 40 | 7 s |",
        "| torch | 2.13.0 | 2.13.0 |",
        "| words | data/words.json | train 80, test 40 | 1,234 |",
        "| tiny | llama | 330,000 | float32 |",
        "7 jobs of 7 attempts, by scheduler local of cluster local on here, from the files of commit `cccccccccccc`.",
        "![Losses \\*fall\\*.](loss.svg)",
        "![accuracy by lora\\_rank](design.svg)",
        "| rank8 | capitalization epoch 1 | 40 | 0123456789ab | 0123456789ab on 2026-11-23 | 258 | the same |",
    ):
        assert line in text
    assert re.search(r"\| rank8 \| fine-tuned \| 8 \| 60 \| 0\.\d+ \| 1:23 \| 0\.723 steps/s \| – \|", text)  # noqa: RUF001
    assert "What failed" not in text


def test_what_failed_and_what_is_missing_is_named() -> None:
    here = context()
    names = {job.name: job for job in jobs(here)}
    gone = "rank8/eval/capitalization_epoch1"
    kept = {name: result for name, result in left(here, RIGHT).items() if name != gone}
    found = assemble(here, jobs(here), kept, {gone: ["killed"]}, Accounting())
    tried = [
        attempt(names["rank4/finetune"], Phase.FAILED, failure=FailureClass.DIVERGED, reason="the loss is nan at step 3"),
        attempt(names["rank4/finetune"], number=2),
        attempt(names[gone], Phase.FAILED, failure=FailureClass.LOST, reason="killed"),
    ]
    text = render(here, ledger(*tried, missing=(gone,)), found, {}).decode()
    assert f"- {gone}: killed" in text
    assert "| rank4/finetune | 1 | diverged | the loss is nan at step 3 |" in text
    assert found.claims[0].left_epoch == 0  # what is there is judged, and says which epoch it is


def shown(**scores: Sequence[Score]) -> tuple[Results, str]:
    """Results and report of runs with such scores on eight rows, and of no others."""
    here = context(experiment={**NO_CLAIMS, "claims": [CLAIM]}, controls={"epochs": 1})
    found = left(here, RIGHT)
    for planned in here.plan.cells:
        values = scores.get(planned.run, [1.0] * 4 + [0.0] * 4)
        known = [float(score) for score in values if isinstance(score, int | float)]
        value = sum(known) / len(known) if known else None
        metric = Metric(scorer="match", name="accuracy", value=value, stderr=0.0, samples=len(known), asked=len(values))
        samples = tuple(Sample(id=place, scores={"match": score}, target="A") for place, score in enumerate(values, start=1))
        one = cell(planned.run, 0, epoch=planned.epoch, metrics=(metric,), samples=samples, tokens=None)
        found[f"{planned.run}/eval/{planned.name}"] = [one]
    results = assemble(here, jobs(here), found, {}, Accounting())
    return results, render(here, None, results, {}).decode()


def test_what_was_not_scored_is_counted_beside_every_number() -> None:
    results, text = shown(rank8=[1.0, 1.0, *[None] * 6])
    assert "| rank8 | 0 | match | accuracy | 1.000 [0.071, 1.000] (2 of 8 scored) | 2 of 8 | 7 s |" in text
    assert "| rank4 | 0 | match | accuracy | 0.500 [0.215, 0.785] | 8 | 7 s |" in text
    [verdict] = results.claims
    assert (verdict.judgement, verdict.difference, verdict.samples) == (Judgement.UNDECIDED, 0.5, 8)
    assert (
        "| these two models; another seed may differ: undecided | accuracy on capitalization: rank8 greater than rank4 "
        "| 1 (epoch 0) (2 of 8 scored) | 0.5 (epoch 0) | 0.500 [-0.572, 0.811] (rank8: 2 of 8 scored) "
        "| Bonett-Price, missing scores at worst and at best | 8 paired | 1 + 1 | the interval includes 0; "
        "rank8: 2 of 8 scored, the missing ones taken at worst and at best; each was trained with one seed: this does not "
        "generalize to their settings |"
    ) in text


def test_a_number_without_a_score_behind_it_is_undefined_and_counted() -> None:
    results, text = shown(rank8=[None] * 8)
    assert "| rank8 | 0 | match | accuracy | undefined (0 of 8 scored) | 0 of 8 | 7 s |" in text
    assert results.claims[0].reason.startswith("accuracy of rank8 on capitalization is undefined (0 of 8 scored)")
    assert results.claims[0].judgement is Judgement.UNDECIDED


def test_claims_that_cannot_be_judged_are_counted_apart() -> None:
    claimed = {**NO_CLAIMS, "claims": [CLAIM, {**CLAIM, "metric": "acuracy"}]}
    here = context(experiment=claimed)
    text = render(here, None, assemble(here, jobs(here), left(here, RIGHT), {}, Accounting()), {}).decode()
    assert "\n1 supported, 1 cannot be judged. The difference is left minus right" in text
    assert "| these two models; another seed may differ: cannot be judged | acuracy on capitalization: rank8 greater than rank4 |" in text
    assert "rank8 on capitalization has no metric acuracy (it has: accuracy)" in text


def test_nothing_is_certain_and_nothing_lies_beyond_the_scale() -> None:
    results, text = shown(rank8=[1.0], rank4=[0.0], base=[1.0] * 97 + [0.0] * 3)
    assert "| rank8 | 0 | match | accuracy | 1.000 [0.207, 1.000] | 1 | 7 s |" in text
    assert "| rank4 | 0 | match | accuracy | 0.000 [0.000, 0.793] | 1 | 7 s |" in text
    assert "| base | – | match | accuracy | 0.970 [0.915, 0.990] | 100 | 7 s |" in text  # noqa: RUF001
    assert results.claims[0].judgement is Judgement.UNDECIDED  # one row: 1 against 0
    assert not re.search(r"\| [^|]*± [^|]*\|", text)


@pytest.mark.parametrize(
    ("variables", "names", "words"),
    [
        ({"seed": [0, 1]}, ("seed0", "seed1"), "their settings are the same, so the difference comes from the seed alone"),
        ({"lora_rank": [4, 8]}, ("rank8", "rank4"), ONE_SEED),
        ({"lora_rank": [4, 8], "seed": [0, 1]}, ("rank8_seed0", "rank4_seed1"), ONE_SEED),
        ({"lora_rank": [8]}, ("rank8", "base"), ABOUT_RANK8),
        ({"lora_rank": [8]}, ("base", "rank8"), ABOUT_RANK8),
    ],
)
def test_a_verdict_says_what_it_is_about(variables: dict[str, Any], names: tuple[str, str], words: str) -> None:
    claim = {**CLAIM, "left": names[0], "right": names[1]}
    here = context(experiment={**NO_CLAIMS, "claims": [claim]}, controls={"epochs": 1}, variables=variables)
    counts = {run.name: 36 if run.name == names[0] else 4 for run in here.plan.runs}
    [verdict] = assemble(here, jobs(here), left(here, counts), {}, Accounting()).claims
    assert (verdict.about.partition(";")[0], verdict.judgement) == ("these two models", Judgement.SUPPORTED)
    assert words in verdict.reason


def test_results_that_recorded_no_intervals_are_shown_with_their_errors() -> None:
    here = context()
    document = results().model_dump(mode="json")
    for run in document["runs"]:
        for each in (metric for of in run["cells"] for metric in of["metrics"]):
            for new in ("low", "high", "interval", "asked"):
                del each[new]
    for verdict in document["claims"]:
        for new in ("about", "interval", "left_scored", "left_asked", "right_scored", "right_asked"):
            del verdict[new]
    text = render(here, None, Results.model_validate_json(json.dumps(document)), {}).decode()
    assert "| rank4 | 1 | match | accuracy | 0.75 (standard error 0.069) | 40 | 7 s |" in text
    assert "| supported | accuracy on capitalization: rank8 greater than base by at least 0.5 | 0.9 (epoch 1) | 0.05 | 0.850 [0.674" in text


def test_nothing_is_claimed_where_nothing_was_evaluated() -> None:
    here = context(experiment=NO_CLAIMS, tools={"evaluation": "none"}, evaluation={}, runs=[])
    found = assemble(here, jobs(here), left(here, RIGHT), {}, Accounting())
    text = render(here, None, found, {"loss.svg": "Losses."}).decode()
    assert "## Runs" in text
    for absent in ("## Scores", "## Claims", "## Same tokens", "over rows"):
        assert absent not in text


def test_a_trainer_that_stops_early_and_keeps_the_best_is_reported() -> None:
    """By steps, with losses on rows that were held out, in the tool's own terms, and fewer steps than planned."""
    here = context()
    found = left(here, RIGHT)
    held_out = (LossPoint(step=20, loss=0.5), LossPoint(step=40, loss=0.75, metrics={"margin": 7.4}))
    path = "experiments/cap_lora/rank8/artifacts"
    saved = tuple(Checkpoint(step=step, path=f"{path}/{name}", bytes=1, sha256=DIGEST) for step, name in ((20, "best"), (40, "last")))
    early = {"steps": 40, "planned_steps": 200, "ended": "no progress", "resumed_steps": (30,), "checkpoints": saved}
    [trained] = found["rank8/finetune"]
    found["rank8/finetune"] = [trained.model_copy(update={**early, "validation": held_out})]
    names = ("rank8/eval/capitalization_epoch0", "rank8/eval/capitalization_epoch1")
    for name, folder, right in zip(names, ("best", "last"), (30, 31), strict=True):
        found[name] = [cell("rank8", right, checkpoint=folder)]
    made = assemble(here, jobs(here), found, {}, Accounting())
    text = render(here, None, made, {}, {"rank8": "It was *quick*."}).decode()
    assert "| rank8 | fine-tuned | 8 | 40 of 200 |" in text
    assert "| 0.75 | 0.5 (20) | 1:23 |" in text  # beside the final loss: the last, and the lowest with its step
    assert "| rank8 | best | match |" in text
    assert "(last)" in text.partition("## Claims")[2].partition("## Runs")[0]  # of two without epochs, a claim is about the last
    of_runs = text.partition("## Runs")[2].partition("### rank8")[0]
    assert "- **rank8 stopped early:** no progress" in of_runs
    assert "rank8: training was cut short and went on after step 30 of its 40 steps" in text
    assert "### rank8: torchtune\n\nIt was *quick*." in text


def test_each_interval_of_a_setting_says_whose_chance_it_has() -> None:
    here = context(experiment=NO_CLAIMS, variables={"lora_rank": [4, 8], "seed": [0, 1]})
    counts = {run.name: 20 + 2 * at for at, run in enumerate(here.plan.runs)}
    text = render(here, None, assemble(here, jobs(here), left(here, counts), {}, Accounting()), {}).decode()
    _, _, table = text.partition("| setting | mean accuracy (match) [95 %] | interval of |")
    found = [line.split(" | ")[2] for line in table.splitlines()[2:5]]
    assert found == ["rows and seeds", "rows and seeds", "rows"]
