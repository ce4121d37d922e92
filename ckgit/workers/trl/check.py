"""What makes a training with TRL impossible, or would silently train something else than was designed."""

from __future__ import annotations

from collections.abc import Iterator

from ckgit.experiment.checks.problems import place_of
from ckgit.experiment.design.plan import Run
from ckgit.experiment.worker import Context
from ckgit.formats.problem import Problem
from ckgit.workers.training.check import about, card_problems, data_problems, source_problems
from ckgit.workers.training.design.counted import processes
from ckgit.workers.training.design.parameters import DPO
from ckgit.workers.trl.design.intervals import too_long
from ckgit.workers.trl.design.own import ATTENTION, DENSE, DRAWING, EXPERTS, FLASH
from ckgit.workers.trl.design.parameters import OWN, PLATEAU, SCHEDULES
from ckgit.workers.trl.design.steps import RowSteps
from ckgit.workers.trl.design.world import World
from ckgit.workers.trl.packing.check import packing_problems
from ckgit.workers.trl.preferences.check import preference_problems

OUTPUT = "lm_head"


def check(context: Context) -> list[Problem]:
    """Every problem; empty when there is none."""
    found = [problem for run in context.plan.training for problem in _run_problems(context, run)]
    data = data_problems(context, _length_problems, lambda run: bool(run["objective"] == DPO))
    return list(dict.fromkeys([*found, *data, *source_problems(context)]))


def _run_problems(context: Context, run: Run) -> Iterator[Problem]:
    yield from card_problems(context, run)
    yield from _world_problems(context, run, World.of(context, run))
    yield from _quantized_problems(context, run)
    yield from _validation_problems(context, run)
    yield from _stopping_problems(context, run)
    if run["objective"] == DPO:
        yield from preference_problems(context, run)
    if run["packing_length"]:
        yield from packing_problems(context, run)
    for parameter, schedule in SCHEDULES.items():
        if run["lr_scheduler"] == schedule and run[parameter] is None:
            yield about(context, run, "lr_scheduler", f"run {run.name}: lr_scheduler {schedule} needs {parameter}")
    if run["min_lr"] is not None and run["min_lr"] >= run["lr"]:
        sentence = f"run {run.name}: min_lr {run['min_lr']:g} is not below lr {run['lr']:g}, so the rate would not fall; write a lower one"
        yield about(context, run, "min_lr", sentence)
    attention = f"{OWN}{ATTENTION}"
    if run["device"] == "cpu" and str(run[attention]).startswith(FLASH):
        yield about(context, run, attention, f"run {run.name}: {run[attention]} needs a GPU; with device: cpu write sdpa or eager")
    card, experts = context.cards.get(run.model), f"{OWN}{EXPERTS}"
    if card and card.model_type in DENSE and run[experts]:
        sentence = f"run {run.name}: {card.model_type} has no experts, whose loss {EXPERTS} is a share of; leave it out"
        yield about(context, run, experts, sentence)
    for parameter in ("lora_target_modules", f"{OWN}lora_modules_to_save"):
        if OUTPUT in (run[parameter] or ()):
            sentence = f"run {run.name}: TRL computes the loss from {OUTPUT} itself, so LoRA on it would never be trained; leave it out"
            yield about(context, run, parameter, sentence)


def _quantized_problems(context: Context, run: Run) -> Iterator[Problem]:
    """What nobody has seen work beside weights of 4 bits, or with states of 8."""
    why = ""
    if run["method"] == "qlora" and (run["objective"] == DPO or World.of(context, run).processes > 1):
        what = "preferences are not trained" if run["objective"] == DPO else "several processes do not train"
        why = f"{what} beside a quantized base; write method: lora"
    if why:
        yield about(context, run, "method", f"run {run.name}: {why}")
    if run["optimizer"] == "adamw_8bit" and run["device"] == "cpu":
        yield about(context, run, "optimizer", f"run {run.name}: adamw_8bit needs a GPU; with device: cpu write adamw")


def _world_problems(context: Context, run: Run, world: World) -> Iterator[Problem]:
    """Processes that cannot be, or that could not share the model. Where accelerate finds no GPU, FSDP is none, and says nothing."""
    sharding = run["sharding"]
    if world.processes > 1 and run["device"] == "cpu":
        sentence = "several processes train together on GPUs; with device: cpu, leave compute.training.gpus out"
        yield Problem(f"run {run.name}: {sentence}", "compute.training.gpus")
    if world.processes > 1 and context.cluster.loggers:
        sentence = f"run {run.name}: several processes write no loggers, which cluster profile {context.cluster_name} has"
        yield Problem(f"{sentence}; name a profile without them", "compute.training.gpus")
    if world.processes % world.nodes:
        sentence = f"run {run.name}: {world.nodes} nodes cannot share {world.processes} GPUs alike; "
        sentence += "compute.training.gpus counts those of all"
        yield Problem(sentence, "compute.training.nodes")
    if sharding and (run["device"] == "cpu" or world.processes == 1):
        there = "device: cpu has none" if run["device"] == "cpu" else "there is one; give compute.training.gpus"
        sentence = f"run {run.name}: sharding: {sharding} shares the model among several GPUs, and {there}"
        yield about(context, run, "sharding", sentence)


def _validation_problems(context: Context, run: Run) -> Iterator[Problem]:
    """A validation that cannot be, or that would change what is trained."""
    split, recorded = run["validation_split"], context.summary.recorded.data.get(run["data"])
    if split is None:
        if run["lr_scheduler"] == PLATEAU:
            sentence = f"run {run.name}: lr_scheduler {PLATEAU} looks at the validation loss; give validation_split"
            yield about(context, run, "lr_scheduler", sentence)
        for parameter in ("validate_every_n_steps", "keep_best", "early_stopping_patience"):
            if run[parameter]:
                sentence = f"run {run.name}: {parameter} means nothing without validation_split, whose loss is measured"
                yield about(context, run, parameter, sentence)
        return
    why = ""
    if recorded and split not in recorded.splits:
        why = f"there is no split {split} to validate on (splits: {', '.join(recorded.splits)})"
    elif split == run["train_split"]:
        why = f"split {split} is trained on; validate on another one"
    elif drawing := next((name for name in ("lora_dropout", *(f"{OWN}{name}" for name in DRAWING)) if run[name]), None):
        draws = f"with {drawing} a validation draws from the random numbers of the training, and changes what is trained"
        why = f"{draws}; leave one of them out"
    if why:
        yield about(context, run, "validation_split", f"run {run.name}: {why}")


def _stopping_problems(context: Context, run: Run) -> Iterator[Problem]:
    """Evaluations of epochs that a training may not have."""
    for position, row in enumerate(context.summary.evaluation.matrix if run["early_stopping_patience"] else ()):
        if row.epochs not in ("last", "best") and (row.runs == "all" or run.name in row.runs):
            sentence = f"run {run.name} may stop early, so nobody knows which epochs it will have"
            yield Problem(f"{sentence}: write epochs: last, or best with keep_best", f"evaluation.matrix.{position}.epochs")


def _length_problems(context: Context, run: Run, rows: int) -> Iterator[tuple[str, str]]:
    """Runs too short for what is to be in them. Of rows that are packed each makes a sequence at most: the job looks again."""
    packed = bool(run["packing_length"])
    for parameter, text in too_long(run.__getitem__, RowSteps.of(run, rows, processes(context, run)), at_most=packed):
        yield place_of(context.summary, run, parameter), text
