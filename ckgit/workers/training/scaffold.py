"""What the files of all trainings have in common: where they are, what they depend on, the job and its script. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ckgit.experiment.card import FileDigest
from ckgit.experiment.design.model import Stage
from ckgit.experiment.design.plan import Run, resources
from ckgit.experiment.design.row_files import files_of, read_from
from ckgit.experiment.jobs import Job
from ckgit.experiment.worker import Context
from ckgit.formats.plain_json import leaves
from ckgit.formats.yaml.document import read_yaml
from ckgit.jobs.script import Needs, job_script, measured
from ckgit.workers.digests import options
from ckgit.workers.training.setup import evaluated

ROWS = "rows"  # in a run's artifacts/: its rows as tokens, of a trainer that reads them from a file


def artifacts(context: Context, run: Run) -> str:
    """Where a run's checkpoints and training log go, relative to the work tree."""
    return f"{context.run_folder(run.name)}/artifacts"


def script_path(context: Context, run: Run) -> str:
    """Where a run's job script is, relative to the lab and to the work tree."""
    return f"{context.run_folder(run.name)}/finetune.slurm"


def scaffolded(context: Context, run: str | None, files_of_run: Callable[[Run], Mapping[str, bytes]]) -> dict[str, bytes]:
    """The files of each fine-tuned run (or of one), by path relative to the lab."""
    files: dict[str, bytes] = {}
    for row in context.plan.training if run is None else [context.plan.run(run)]:
        if row.trains:
            files |= files_of_run(row)
    return files


def jobs(context: Context) -> list[Job]:
    """One job for each fine-tuned run."""
    return [
        Job(
            name=f"{run.name}/finetune",
            stage=Stage.TRAINING,
            run=run.name,
            script=script_path(context, run),
            folder=context.run_folder(run.name),
            resources=resources(context.summary, run, Stage.TRAINING, context.cluster.training),
        )
        for run in context.plan.training
    ]


def script(context: Context, run: Run, configs: Mapping[str, bytes], *, tool: str, command: Sequence[str], needs: Needs) -> bytes:
    """The job script of a run.

    Args:
        configs: its other files, by path.
        tool: as people call it.
        command: `python -m MODULE WORD...`; what the script checks by size alone is added to it.
    """
    depends = inputs(context, run)
    return job_script(
        title=f"Fine-tunes run {run.name} of experiment {context.summary.experiment.name} with {tool}.",
        script=script_path(context, run),
        resources=resources(context.summary, run, Stage.TRAINING, context.cluster.training),
        cluster=context.cluster,
        inputs={**{path: hashlib.sha256(content).hexdigest() for path, content in configs.items()}, **depends},
        programs=("python",),
        commands=([*command, *options(measured(depends))],),
        needs=needs,
    )


def inputs(context: Context, run: Run) -> dict[str, str | FileDigest]:
    """Digest of the data, model and further files that a run depends on, by path relative to the work tree."""
    summary = context.summary
    paths = {read_from(summary, run["data"]), *(entry.path for entry in evaluated(context, run))}
    files = {read_from(summary, name): files_of(summary, name) for name in summary.recorded.data}
    further = {path: summary.recorded.files[path] for path in summary.files}
    card = context.cards[run.model]
    model = {f"models/{card.name}/{name}": digest for name, digest in card.files.items()}
    return {**{name: digest for path in paths for name, digest in files[path].items()}, **further, **model}


def lacking(context: Context, job: Job, work: Path) -> list[str]:
    """Files that a job needs and that the work tree lacks, a sentence each."""
    paths = [job.script, *inputs(context, context.plan.run(job.run))]
    return [f"{path} is not in the work tree" for path in paths if not (work / path).is_file()]


def renders(context: Context, job: Job) -> list[str]:
    """Paths of the three files of a run."""
    folder = context.run_folder(job.run)
    return [f"{folder}/setup_finetune.yaml", f"{folder}/finetune.yaml", job.script]


def made_from(context: Context, run: Run, config: bytes, dated: str) -> dict[str, str]:
    """Every value of a run's configuration, and the digests of the data, the model and further files: they decide the checkpoints.

    That tasks have other rows or prompts changes what is compared before training, and nothing that is trained. A path in the run's own
    folder counts by its name there, because another experiment has another folder.

    Args:
        config: its finetune.yaml.
        dated: the place in it of the day that the chat template sees.
    """
    if run["data"] not in context.summary.recorded.data:
        return {}  # a design by hand, of which nobody has measured the rows
    here, inside, rows = f"{context.folder}/", artifacts(context, run), read_from(context.summary, run["data"])
    own = {rows: rows.removeprefix(here), inside: "artifacts", f"{inside}/{ROWS}": f"artifacts/{ROWS}"}
    values = {place: json.dumps(own.get(str(value), value)) for place, value in leaves(read_yaml(config.decode()).value)}
    if not context.cards[run.model].dated:
        values.pop(dated, None)
    data = files_of(context.summary, run["data"])
    digests = {f"data {path.removeprefix(here)}": json.dumps(digest) for path, digest in data.items()}
    digests |= {f"file {path}": json.dumps(context.summary.recorded.files.get(path)) for path in context.summary.files}
    digests |= {f"model file {name}": json.dumps(file.sha256) for name, file in context.cards[run.model].files.items()}
    return {**values, **digests}
