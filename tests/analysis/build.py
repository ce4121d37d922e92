"""Results as workers would read them, for tests of what is made from them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from typing import Any

from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.design.model import Resources, Stage
from ckgit.experiment.design.plan import Cell, Run
from ckgit.experiment.jobs import Attempt, Job, Ledger, Phase
from ckgit.experiment.results import CellResult, LossPoint, Metric, Sample, TokenCheck, TrainingResult
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.experiment.worker import Context

DIGEST = "0123456789abcdef" * 4
DESIGN: dict[str, Any] = {
    "schema_version": 1,
    "state": "evaluated",
    "experiment": {
        "name": "cap_lora",
        "question": "Does a higher rank learn to capitalize better?",
        "hypothesis": "Rank 8 beats the base model by half.",
        "date": "2026-11-23",
        "claims": [
            {"metric": "accuracy", "task": "capitalization", "left": "rank8", "right": "base", "direction": "greater", "by": 0.5},
            {"metric": "accuracy", "task": "capitalization", "left": "rank8", "right": "rank4", "direction": "greater"},
        ],
    },
    "models": ["tiny"],
    "data": {"words": {"path": "data/words.json"}},
    "controls": {"epochs": 2},
    "variables": {"lora_rank": [4, 8]},
    "runs": [{"name": "base", "type": "control"}],
    "evaluation": {"tasks": [{"name": "capitalization"}], "matrix": [{"epochs": "all"}]},
    "recorded": {
        "data": {"words": {"sha256": DIGEST, "bytes": 1234, "splits": {"train": 80, "test": 40}}},
        "models": {"tiny": DIGEST},
    },
}
CARD: dict[str, Any] = {
    "name": "tiny",
    "family": "llama",
    "model_type": "llama",
    "architecture": {
        "vocab_size": 259,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 32,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    },
    "parameters": 330000,
    "dtype": "float32",
    "end_of_turn": [258],
    "checkpoint_files": ["model.safetensors"],
    "files": {},
}


def context(**changes: Any) -> Context:
    """The experiment above with other parts of the front matter."""
    summary = read_summary({**DESIGN, **changes})
    card = ModelCard.model_validate_json(json.dumps(CARD))
    return Context(summary, build_plan(summary), {"tiny": card}, Cluster(), "local", "0.0", {})


def training(run: str, *, steps: int = 60, level: float = 0.2) -> TrainingResult:
    chance = random.Random(run)  # noqa: S311 - test data
    losses = [level + 1.5 * math.exp(-step / (steps / 5)) + 0.1 * chance.random() for step in range(1, steps + 1)]
    points = tuple(LossPoint(step=step, loss=loss) for step, loss in enumerate(losses, start=1))
    tokens = {"train": TokenCheck(rows=80, sha256=DIGEST), "capitalization": TokenCheck(rows=40, sha256=DIGEST)}
    return TrainingResult(
        run=run,
        steps=steps,
        final_loss=losses[-1],
        seconds=83.0,
        losses=points,
        checkpoints=(),
        tokens=tokens,
        versions={"torch": "2.13.0", "torchtune": "0.6.1"},
    )


def cell(run: str, right: int, *, of: int = 40, epoch: int | None = None, **changes: Any) -> CellResult:
    """A cell whose first `right` samples are correct."""
    scores = [1.0 if number < right else 0.0 for number in range(of)]
    share = right / of
    document: dict[str, Any] = {
        "run": run,
        "task": "capitalization",
        "epoch": epoch,
        "log": f"experiments/cap_lora/{run}/eval/logs/x.eval",
        "log_sha256": DIGEST,
        "seconds": 7.4,
        "metrics": (Metric(scorer="match", name="accuracy", value=share, stderr=(share * (1 - share) / (of - 1)) ** 0.5, samples=of),),
        "samples": tuple(Sample(id=number + 1, scores={"match": score}, answer="A", target="A") for number, score in enumerate(scores)),
        "tokens": TokenCheck(rows=of, sha256=DIGEST, template_sha256=DIGEST, template_date="2026-11-23", end_of_turn=258),
        "versions": {"inspect_ai": "0.3.285", "torch": "2.13.0"},
    }
    return CellResult(**{**document, **changes})


def training_job(run: Run) -> Job:
    folder = f"experiments/cap_lora/{run.name}"
    return Job(
        name=f"{run.name}/finetune", stage=Stage.TRAINING, run=run.name, script=f"{folder}/x.slurm", folder=folder, resources=Resources()
    )


def cell_job(planned: Cell) -> Job:
    folder = f"experiments/cap_lora/{planned.run}/eval"
    name = f"{planned.run}/eval/{planned.name}"
    return Job(
        name=name,
        stage=Stage.EVALUATION,
        run=planned.run,
        tasks=(planned.task.name,),
        epoch=planned.epoch,
        script=f"{folder}/{planned.name}.slurm",
        folder=folder,
        resources=Resources(),
    )


def jobs(of: Context) -> list[Job]:
    return [*map(training_job, of.plan.training), *map(cell_job, of.plan.cells)]


def attempt(job: Job, phase: Phase = Phase.DONE, **changes: Any) -> Attempt:
    number = changes.pop("number", 1)
    fields: dict[str, Any] = {"job": job.name, "stage": job.stage, "number": number, "token": f"{job.name}.{number}"}
    fields |= {"script_sha256": DIGEST, "phase": phase, "submitted": "2026-11-23T20:00:00Z", "host": "here"}
    return Attempt(**{**fields, **changes})


def ledger(*attempts: Attempt, missing: tuple[str, ...] = ()) -> Ledger:
    return Ledger(cluster="local", scheduler="local", commit="c" * 40, attempts=attempts, accepted_missing=missing)


def left(of: Context, right: Mapping[str, int]) -> dict[str, list[TrainingResult | CellResult]]:
    """What every job leaves; `right` says how many samples a run has correct after its last epoch."""
    found: dict[str, list[TrainingResult | CellResult]] = {}
    for run in of.plan.training:
        found[f"{run.name}/finetune"] = [training(run.name, level=0.1 + 0.2 / run["lora_rank"])]
    for planned in of.plan.cells:
        earlier = planned.epoch is not None and planned.epoch < of.plan.run(planned.run)["epochs"] - 1
        count = right[planned.run] // (2 if earlier else 1)
        found[f"{planned.run}/eval/{planned.name}"] = [cell(planned.run, count, epoch=planned.epoch)]
    return found
