"""The one process of a job: it checks the environment, then does the work.

`python -m ckgit.workers.job --module=torch --gpus=1 MODULE WORD...` imports what is named, ends with exit code 69
where the environment is not fit (see `environment`), and goes on as `python -m MODULE WORD...` in the same
interpreter: on a busy parallel file system each import of torch takes a minute of a GPU's time.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

import click

from ckgit.jobs.script import RUN
from ckgit.workers.environment import describe, end_where_unfit


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--program", "programs", multiple=True, help="It must be on PATH.")
@click.option("--path", "paths", multiple=True, help="It must be there.")
@click.option("--gpus", default=0, help="So many GPUs must be usable.")
@click.option("--extra", default=RUN, help="The extra of ckgit whose versions are wanted.")
@click.option("--hide", "hidden", multiple=True, help="A module that must not be found.")
@click.option("--module", "modules", multiple=True, help="It must load, in a version that the extra asks for.")
@click.argument("worker")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def main(
    *,
    programs: Sequence[str],
    paths: Sequence[str],
    gpus: int,
    extra: str,
    hidden: Sequence[str],
    modules: Sequence[str],
    worker: str,
    words: Sequence[str],
) -> None:
    """Check the environment of a job, then run the module WORKER with WORDS."""
    for module in hidden:
        sys.modules[module] = None  # type: ignore[assignment]  # an import of it fails from now on, as if it were not installed
    end_where_unfit(programs, paths, gpus, modules, extra)
    click.echo(describe(modules, gpus))
    sys.argv = [worker, *words]
    runpy.run_module(worker, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
