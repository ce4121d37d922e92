"""The command of a training job: it prepares, has TRL train, makes checkpoints fit for evaluation, and checks them, in one process.

`python -m ckgit.workers.trl.train experiments/NAME/RUN [--processes=N] [--nodes=N] [--logger=NAME...] [--file=PATH=SHA256...]`, at
the top of a work tree, where torchao cannot be found. Only where a training has several processes does torchrun start them. Of several
nodes each runs this, and the first one does what is not training. Exit codes are those of `training.outputs.codes`.
"""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ckgit.formats.listing import plural
from ckgit.workers.digests import parse_file_options
from ckgit.workers.training.design.parameters import DPO
from ckgit.workers.training.guarded import guarded
from ckgit.workers.training.outputs import finished
from ckgit.workers.training.outputs.checkpoint import described, write_manifest
from ckgit.workers.training.outputs.codes import CHECKPOINTS_MISSING, DIVERGED, NOT_TOGETHER, ROWS_REFUSED, TOKENS_DIFFER
from ckgit.workers.training.scaffold import ROWS
from ckgit.workers.training.tokens import PromptsDifferError
from ckgit.workers.trl import prepare
from ckgit.workers.trl.design.intervals import too_long
from ckgit.workers.trl.design.steps import RowSteps
from ckgit.workers.trl.design.world import World
from ckgit.workers.trl.outputs.evidence import TRAINER
from ckgit.workers.trl.outputs.kept import Keeping
from ckgit.workers.trl.outputs.log import measured
from ckgit.workers.trl.outputs.loggers import begin, end
from ckgit.workers.trl.outputs.merged import MERGED, TrlTraining
from ckgit.workers.trl.outputs.packing import PackingRecord, read_packing
from ckgit.workers.trl.outputs.state import STATE, folder_of

RANK = Path(__file__).with_name("rank.py")  # torchrun takes a script


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--processes", default=1, help="How many train together.")
@click.option("--nodes", default=1, help="How many nodes they are on.")
@click.option("--file", "files", multiple=True, metavar="PATH=SHA256", help="A large file that is not checked yet.")
@click.option("--logger", "loggers", multiple=True, help="What is written beside our own log: tensorboard, wandb.")
def main(*, folder: Path, processes: int, nodes: int, files: Sequence[str], loggers: Sequence[str]) -> None:
    """Train one run."""
    world = World(processes, nodes)
    if nodes > 1 and not _is_first():
        sys.exit(_together(folder, world))
    _, large = parse_file_options([f"--file={each}" for each in files])
    done = list[int]()
    code = guarded(lambda: done.append(prepare.main(folder)), large)
    sys.exit(code or train(folder, done[0], world, loggers))


def train(folder: Path, done: int = 0, world: World | None = None, loggers: Sequence[str] = ()) -> int:
    """Train on the rows that were prepared; the exit code, with words for whoever reads the job's output.

    Args:
        done: steps that an earlier start has taken.
        world: the processes that train together; None for this one alone.
        loggers: what else writes down losses, of one process.
    """
    if world and world.processes > 1:
        return _together(folder, world) or refused(lambda: _make_checkpoints(folder))
    trained = list[Any]()
    code = refused(lambda: trained.extend(take_steps(folder, done, loggers)))
    return code or refused(lambda: _make_checkpoints(folder, trained))


def _is_first() -> bool:
    from ckgit.workers.trl.distributed.launch import FIRST_NODE, node_number

    return node_number() == FIRST_NODE


def _together(folder: Path, world: World) -> int:
    from ckgit.workers.trl.distributed.launch import together

    return together(RANK, folder, world)


def refused(step: Callable[[], object]) -> int:
    """The exit code of a part of the training: 0, or why it refuses what it found."""
    from ckgit.workers.trl.callbacks import NotFiniteError
    from ckgit.workers.trl.distributed.checks import NotTogetherError
    from ckgit.workers.trl.merge import MergedOtherwiseError
    from ckgit.workers.trl.model import CannotTrainError

    codes: Mapping[type[Exception], int] = {
        PromptsDifferError: TOKENS_DIFFER,
        CannotTrainError: ROWS_REFUSED,
        NotFiniteError: DIVERGED,
        MergedOtherwiseError: CHECKPOINTS_MISSING,
        NotTogetherError: NOT_TOGETHER,
    }
    try:
        step()
    except tuple(codes) as refusal:
        click.echo(f"ckgit: {refusal}", err=True)
        return codes[type(refusal)]
    return 0


def take_steps(folder: Path, done: int, loggers: Sequence[str] = ()) -> Sequence[Any]:
    """All steps of the training that are left, as one of its processes.

    Returns:
        Logits of the trained model, where it is evaluated beside a quantized base; otherwise, and where no step was left, none.

    Raises:
        PromptsDifferError, NotTogetherError, CannotTrainError, NotFiniteError: what is found of the training.
    """
    from ckgit.workers.trl.callbacks import Saving
    from ckgit.workers.trl.distributed.checks import check_together, of_first
    from ckgit.workers.trl.trainer import check_handed, make_trainer

    artifacts, setup, values = _read(folder)
    rows, held_out = _rows(artifacts, prepare.TRAIN), _rows(artifacts, prepare.VALIDATION)
    packed = read_packing(artifacts) if values.get("packing_length") else None
    keeping = Keeping.of(values, packed.train.sequences if packed else len(rows), setup["processes"])
    saving = Saving(prepare.made_from(folder), keeping, values.get("save_every_n_steps"))
    trainer = make_trainer(folder / "finetune.yaml", rows, held_out, saving, _kind(values))
    begin(trainer, folder, loggers)
    check_together(trainer, setup["processes"], values.get("sharding"))
    check_handed(trainer, rows, held_out)
    if packed:
        _check_packed(trainer, packed, values, setup["processes"])
    if keeping.stops(of_first(measured(artifacts))) is not None:  # it had stopped when it was cut short
        return ()
    trainer.train(resume_from_checkpoint=str(artifacts / folder_of(done)) if done else None)
    end(loggers)
    return _logits(folder, trainer.model, values, rows) if values["method"] == "qlora" else ()


def _check_packed(trainer: Any, packed: PackingRecord, values: Mapping[str, Any], processes: int) -> None:
    """What nobody could tell before rows were packed."""
    from ckgit.workers.trl.model import CannotTrainError
    from ckgit.workers.trl.packing.proof import check_apart
    from ckgit.workers.trl.packing.trainer import check_packed

    check_packed(trainer, packed)
    divided = RowSteps.of(values, packed.train.sequences, processes)
    for _, text in too_long(values.get, divided):
        raise CannotTrainError(f"{packed.train.rows} rows were packed into {plural(packed.train.sequences, 'sequence')}, and {text}")
    check_apart(trainer)


def _logits(folder: Path, model: Any, values: Mapping[str, Any], rows: Sequence[Mapping[str, list[int]]]) -> Sequence[Any]:
    from ckgit.workers.trl import merge

    return merge.logits_of(model, list(map(_kind(values).sequence, rows)), _base(folder))


def _base(folder: Path) -> Any:
    """The model that a run starts from, as it is trained."""
    from ckgit.workers.trl import merge

    config = prepare.read(folder / "finetune.yaml")
    return merge.Base.of(Path(prepare.read(folder / "rows.yaml")["model_folder"]), config["dtype"], cpu=config["use_cpu"])


def _make_checkpoints(folder: Path, trained: Sequence[Any] = ()) -> None:
    from ckgit.workers.trl import merge

    gc.collect()  # the trainer's memory is for the merging
    artifacts, setup, values = _read(folder)
    rows, base = _rows(artifacts, prepare.TRAIN), _base(folder)
    units = read_packing(artifacts).train.sequences if values.get("packing_length") else len(rows)
    keeping, validation = Keeping.of(values, units, setup["processes"]), measured(artifacts)
    kept = keeping.kept(validation, keeping.stops(validation) or keeping.per_epoch * keeping.epochs)
    made = {each.step: each.folder for each in kept}  # of weights that are kept twice the later folder is made, and copied
    folders = [(artifacts / folder_of(step), artifacts / name) for step, name in made.items()]
    ids = list(map(_kind(values).sequence, rows))
    if values["method"] == "qlora":
        told = TrlTraining(loaded_by=merge.keep_adapters(folders, base, ids, trained))
    else:
        shares = merge.make_folders(folders, base, ids, values.get("save"))
        told = TrlTraining(merged_by=tuple(share for share in shares if share is not None))
    for each in kept:
        if each.folder != made[each.step]:
            shutil.copytree(artifacts / made[each.step], artifacts / each.folder)
    (artifacts / MERGED).write_text(told.model_dump_json(indent=2, exclude={"packed"}) + "\n", encoding="utf-8")
    (artifacts / "README.md").unlink(missing_ok=True)  # TRL writes one for a hub
    saved = [described(artifacts / each.folder, epoch=each.epoch, step=each.step, best=each.best) for each in kept]
    write_manifest(artifacts, saved)
    finished.write(artifacts, TRAINER.records)
    (artifacts / STATE).unlink(missing_ok=True)  # only of use to a training that was cut short
    for checkpoint in artifacts.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def _read(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A run's artifacts, its setup, and of that the parameters."""
    setup = prepare.read(folder / "setup_finetune.yaml")
    return folder / "artifacts", setup, {name: each["value"] for name, each in setup["parameters"].items()}


def _kind(values: Mapping[str, Any]) -> Any:
    """The class of the trainer."""
    if values.get("objective") == DPO:
        from ckgit.workers.trl.preferences.trainer import PreferenceTrainer

        return PreferenceTrainer
    from ckgit.workers.trl.packing.trainer import PackedTrainer
    from ckgit.workers.trl.trainer import RecordedTrainer

    return PackedTrainer if values.get("packing_length") else RecordedTrainer


def _rows(artifacts: Path, name: str) -> list[dict[str, list[int]]]:
    from ckgit.workers.trl.trainer import read_rows

    return read_rows(artifacts / ROWS / f"{name}.jsonl")


if __name__ == "__main__":
    main()
