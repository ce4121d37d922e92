"""Last part of a training job: make each saved epoch a Hugging Face folder that loads without PEFT, and list them.

`python -m ckgit.workers.torchtune.finish experiments/NAME/RUN EPOCHS MODEL_FOLDER`, at the top of a work tree.
Writes `artifacts/checkpoints.json`, and `artifacts/finished.json` about all that the job left. Needs neither torch nor transformers.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from ckgit.experiment.card import is_model_file
from ckgit.workers.torchtune.outputs.evidence import TRAINER
from ckgit.workers.torchtune.outputs.resume import STATE
from ckgit.workers.training.outputs import finished
from ckgit.workers.training.outputs.checkpoint import ADAPTER_FOLDER, described, epoch_folder, problems, required, write_manifest
from ckgit.workers.training.outputs.codes import CHECKPOINTS_MISSING


def main(run_folder: Path, epochs: int, model_folder: Path) -> int:
    """Run the step for one run; the exit code."""
    artifacts = run_folder / "artifacts"
    if lacking := missing(run_folder, epochs, model_folder):
        click.echo("ckgit: a checkpoint is not complete: " + "; ".join(lacking), err=True)
        return CHECKPOINTS_MISSING
    write_manifest(artifacts, [described(epoch_folder(artifacts, epoch), epoch=epoch) for epoch in range(epochs)])
    finished.write(artifacts, TRAINER.records)
    shutil.rmtree((artifacts / STATE).parent, ignore_errors=True)  # only of use to a training that was cut short
    return 0


def missing(run_folder: Path, epochs: int, model_folder: Path) -> list[str]:
    """What the checkpoints lack, when all that can be put in its place is there."""
    model_files = frozenset(file.name for file in model_folder.iterdir() if file.is_file() and is_model_file(file.name))
    lacking: list[str] = []
    for epoch in range(epochs):
        folder = epoch_folder(run_folder / "artifacts", epoch)
        _copy_missing(model_folder, folder, required(model_files))
        move_adapter(folder)
        lacking += problems(folder, model_files)
    return lacking


def _copy_missing(model_folder: Path, folder: Path, names: set[str]) -> None:
    """Files of more than 100 MiB, as some tokenizers are, are left out by torchtune."""
    for name in sorted(names):
        if folder.is_dir() and not (folder / name).exists():
            shutil.copyfile(model_folder / name, folder / name)


def move_adapter(folder: Path) -> None:
    """The folder holds the merged model; beside an adapter, transformers would apply the adapter once more."""
    for file in sorted(folder.glob("adapter_*")):
        (folder / ADAPTER_FOLDER).mkdir(exist_ok=True)
        file.rename(folder / ADAPTER_FOLDER / file.name)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
