"""The command of a training job: it prepares, has torchtune train, and finishes, in one process.

`python -m ckgit.workers.torchtune.train experiments/NAME/RUN --recipe=RECIPE --epochs=N --model=models/NAME [--processes=N]
[--file=PATH=SHA256...]`, at the top of a work tree. Only where a training has several processes does torchrun start them. Each part has
its exit codes: those of `prepare`, torchtune's own, that of `finish`. Where torchtune fails when all is saved, in its cleaning up, the
last part is done nevertheless: the judge goes by what a job left (`outputs.evidence`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ckgit.workers.digests import parse_file_options
from ckgit.workers.torchtune import finish, prepare
from ckgit.workers.torchtune.outputs.resume import START
from ckgit.workers.training.guarded import guarded

RANK = "ckgit/workers/rank.py"  # `tune run` imports a path as a module, from anywhere


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--recipe", required=True, help="As `tune run` takes it.")
@click.option("--epochs", required=True, type=int)
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The folder of the model that is trained.")
@click.option("--processes", default=1, help="How many train together.")
@click.option("--file", "files", multiple=True, metavar="PATH=SHA256", help="A large file that is not checked yet.")
def main(*, folder: Path, recipe: str, epochs: int, model: Path, processes: int, files: Sequence[str]) -> None:
    """Train one run."""
    _, large = parse_file_options([f"--file={each}" for each in files])
    if code := guarded(lambda: prepare.main(folder), large):
        sys.exit(code)
    try:
        tune_run(recipe, folder / "artifacts" / START, processes)
    except (Exception, SystemExit):
        if not finish.missing(folder, epochs, model):
            finish.main(folder, epochs, model)
            click.echo("ckgit: torchtune failed after it had saved every epoch: the training counts if its log is whole", err=True)
        raise
    sys.exit(finish.main(folder, epochs, model))


def tune_run(recipe: str, config: Path, processes: int) -> None:
    """What `tune run` does, here; it returns where the training came to its end.

    Raises:
        SystemExit: the recipe ended otherwise.
        Exception: whatever the recipe raises.
    """
    from torchtune._cli.tune import main as tune

    words = ["--nproc_per_node", str(processes), RANK, str(stock_recipe(recipe))] if processes > 1 else [recipe]
    sys.argv = ["tune", "run", *words, "--config", str(config)]
    try:
        tune()
    except SystemExit as end:
        if end.code:
            raise


def stock_recipe(name: str) -> Path:
    """The file of a recipe that torchtune ships."""
    import torchtune

    return Path(torchtune.__file__).parent.parent / "recipes" / f"{name}.py"


if __name__ == "__main__":
    main()
