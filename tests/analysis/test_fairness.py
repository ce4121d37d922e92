"""What compared runs differ in without the design's intention is told; what nobody recorded is never called equal."""

from __future__ import annotations

from typing import Any

from ckgit.analysis.assemble import assemble
from ckgit.analysis.report import render
from ckgit.analysis.sections.comparisons import fairness_section
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.estimates.guess import Fact
from ckgit.experiment.results import Checkpoint, Results, TokenCheck, TrainingResult
from tests.analysis.build import DIGEST, cell, context, jobs, left

RIGHT = {"rank4": 30, "rank8": 36, "base": 2}


def facts(**rows: int) -> dict[str, list[Fact]]:
    causes = frozenset({"epochs", "data", "train_split", "max_samples"})
    return {run: [Fact("rows seen in training", seen, causes, near=0.1)] for run, seen in rows.items()}


def found(changes: dict[str, Any] | None = None, told: dict[str, list[Fact]] | None = None, **design: Any) -> Results:
    here = context(**design)
    results = left(here, RIGHT)
    for job, other in (changes or {}).items():
        [one] = results[job]
        results[job] = [one.model_copy(update=other)]
    return assemble(here, jobs(here), results, {}, Accounting(), facts=told or {})


def unequal(results: Results) -> dict[str, bool]:
    return {each.trait: each.known for each in results.fairness}


def test_equal_runs_are_equal_also_in_tokens_that_nobody_counted() -> None:
    results = found(told=facts(rank4=80, rank8=80))
    assert unequal(results) == {}
    assert "tokens seen in training" in results.fairness_of
    assert fairness_section(results).startswith("## Fair?\n\nNothing was found in which compared runs differ")


def test_tokens_that_do_not_follow_are_unknown_and_never_equal() -> None:
    results = found()
    assert unequal(results) == {"tokens seen in training": False}
    text = fairness_section(results)
    assert "Not known to be equal:\n\n- tokens seen in training" in text
    assert "not recorded: rank8, rank4" in text


def test_each_trait_that_differs_is_told_with_its_runs() -> None:
    other = {"rank8/finetune": {"resumed": (1,), "versions": {"torch": "2.14.0"}, "ended": "no progress"}}
    last = {"versions": {"inspect_ai": "1"}, "tokens": TokenCheck(rows=40, sha256=DIGEST, template_sha256="e" * 64)}
    results = found({**other, "rank8/eval/capitalization_epoch1": last}, facts(rank4=80, rank8=40))
    assert {trait for trait, known in unequal(results).items() if known} == {
        "rows seen in training",
        "went on after an interruption",
        "stopped early",
        "versions in training",
        "versions in evaluation",
        "chat template",
        "date in the chat template",
    }
    text = fairness_section(results)
    assert "- **rows seen in training** differs (accuracy on capitalization: rank8 greater than rank4): 40: rank8; 80: rank4" in text
    assert "compared runs also differ in" in render(context(), None, results, {}).decode().partition("## Hypothesis")[0]


def test_of_runs_that_stopped_early_the_steps_that_they_made_are_compared() -> None:
    """Both of them, so that none is said to be the only one."""
    early = {"steps": 4, "planned_steps": 16, "ended": "no progress", "tokens_seen": 400}
    later = {**early, "steps": 8, "tokens_seen": 800}
    results = found({"rank4/finetune": early, "rank8/finetune": later} | at_last("rank4", "rank8"), facts(rank4=80, rank8=80))
    values = {each.trait: each.values for each in results.fairness if each.known}
    assert values == {
        "rows seen in training": {"40": ("rank8",), "20": ("rank4",)},
        "epochs": {"1": ("rank8",), "0.5": ("rank4",)},
        "tokens seen in training": {"800": ("rank8",), "400": ("rank4",)},
    }


def test_where_the_best_is_evaluated_it_is_the_steps_until_then() -> None:
    path = "experiments/cap_lora/{}/artifacts/best"
    changes = {}
    for run, step in (("rank4", 8), ("rank8", 16)):
        saved = (Checkpoint(step=step, best=True, path=path.format(run), bytes=1, sha256=DIGEST),)
        changes[f"{run}/finetune"] = {"steps": 16, "tokens_seen": 1600, "checkpoints": saved}
    results = found(changes | at_last("rank4", "rank8", folder="best"), facts(rank4=80, rank8=80))
    values = {each.trait: each.values for each in results.fairness if each.known}
    assert values == {
        "rows seen in training": {"80": ("rank8",), "40": ("rank4",)},
        "epochs": {"2": ("rank8",), "1": ("rank4",)},
        "tokens seen in training": {"1,600": ("rank8",), "800": ("rank4",)},
    }


def at_last(*runs: str, folder: str = "last") -> dict[str, dict[str, Any]]:
    """Evaluations of what is left of a training whose epochs nobody knows."""
    cells = [f"{run}/eval/capitalization_epoch{epoch}" for run in runs for epoch in (0, 1)]
    return {cell: {"epoch": None, "checkpoint": folder} for cell in cells}


def test_steps_that_a_job_alone_could_tell_are_those_that_it_took() -> None:
    """The tokenizers of two models pack the same rows into other numbers of sequences."""
    told = facts(rank4=80, rank8=80)
    for of_run in told.values():
        of_run.append(Fact("optimizer steps", 7, frozenset({"epochs"}), steps_about=True))
        of_run.append(Fact("rows of an optimizer step", "2 sequences of 512 tokens", frozenset({"batch_size"})))
    assert unequal(found(told=told)) == {}
    results = found({"rank8/finetune": {"steps": 12}}, told)
    assert unequal(results) == {"optimizer steps": True}
    assert "12: rank8" in fairness_section(results)
    told["rank8"][-1] = told["rank8"][-1]._replace(value="2 sequences of 256 tokens")
    text = fairness_section(found(told=told))
    assert "2 sequences of 256 tokens: rank8; 2 sequences of 512 tokens: rank4" in text


def test_runs_of_different_trainers_are_told_apart() -> None:
    results = found({"rank8/finetune": {"versions": {"torch": "2.13.0", "trl": "1.16.0"}}}, facts(rank4=80, rank8=80))
    assert unequal(results) == {"versions in training": True}
    line = "- **versions in training** differs (accuracy on capitalization: rank8 greater than rank4): torch 2.13.0, trl 1.16.0: rank8; "
    assert f"{line}torch 2.13.0, torchtune 0.6.1: rank4" in fairness_section(results)
    report = render(context(), None, results, {}).decode()
    assert "Trained with torchtune, in versions that are not the same for all runs; they stand at the end." in report
    assert "Trained with torchtune 0.6.1 (torch 2.13.0)." in render(context(), None, found(), {}).decode()


def test_what_the_design_varies_on_purpose_is_fair() -> None:
    here = {"variables": {"epochs": [1, 2]}, "experiment": {"name": "cap_lora", "question": "q", "date": "2026-11-23"}}
    design = context(**here)
    trained: dict[str, Any] = {run.name: 80 * run["epochs"] for run in design.plan.training}
    counts = {run.name: 20 for run in design.plan.runs}
    made = assemble(design, jobs(design), left_of(design, counts), {}, Accounting(), facts=facts(**trained))
    assert unequal(made) == {}


def left_of(design: Any, counts: dict[str, int]) -> dict[str, list[Any]]:
    """What jobs leave, whatever varies."""
    results: dict[str, list[Any]] = {}
    checked = {"capitalization": TokenCheck(rows=40, sha256=DIGEST)}
    for run in design.plan.training:
        results[f"{run.name}/finetune"] = [TrainingResult(run=run.name, steps=4, seconds=1.0, versions={"torch": "2"}, tokens=checked)]
    for planned in design.plan.cells:
        results[f"{planned.run}/eval/{planned.name}"] = [cell(planned.run, counts[planned.run], epoch=planned.epoch)]
    return results


def test_other_rows_and_rows_without_a_score_are_told() -> None:
    fewer = cell("rank8", 5, of=20, epoch=1)
    results = found({"rank8/eval/capitalization_epoch1": {"samples": fewer.samples, "metrics": fewer.metrics}}, facts(rank4=80, rank8=80))
    assert unequal(results) == {"rows of capitalization": True}
    assert "20 (set 1)" in fairness_section(results)


def test_runs_of_no_claim_are_held_together_too_as_the_report_compares_them() -> None:
    fewer = cell("rank4", 5, of=20, epoch=1)
    claim = {"metric": "accuracy", "task": "capitalization", "left": "rank8", "right": "base", "direction": "greater"}
    about = {"name": "cap_lora", "question": "q", "date": "2026-11-23", "claims": [claim]}
    changes = {"rank4/eval/capitalization_epoch1": {"samples": fewer.samples, "metrics": fewer.metrics}}
    results = found(changes, facts(rank4=80, rank8=80), experiment=about)
    assert unequal(results) == {"rows of capitalization": True}
    assert "all runs of capitalization" in fairness_section(results)


def test_a_run_that_was_not_trained_is_not_said_to_be_checked_against_training() -> None:
    results = found({"rank8/eval/capitalization_epoch1": {"tokens": None}}, facts(rank4=80, rank8=80))
    [tokens] = [each for each in results.fairness if each.trait == "tokens as in training"]
    assert {name for names in tokens.values.values() for name in names} == {"rank4", "rank8"}
