"""What an analysis costs, from the answers that were read to everything that is committed: `python -m bench analysis`.

Reading small logs before it is measured by `python -m bench jobs`, and here large ones: their peak of memory follows their rows, and
not their bytes. `python -m bench.analysis LAB NAME` is one analysis.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.labs import design, make_lab
from bench.large_logs import make_log
from bench.measure import Row, Used, run
from ckgit.analysis.assemble import assemble
from ckgit.analysis.pages.report_page import page_of
from ckgit.analysis.report import render
from ckgit.experiment.accounting import Accounting
from ckgit.experiment.jobs import Job
from ckgit.experiment.results import CellResult, LossPoint, Metric, Sample, TrainingResult
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.analyze.files import document_of, pictures_of
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.plugins import evaluation_for, preparation_for

SAMPLES, STEPS = 100, 60
LARGE = ((20_000, 10_000), (50, 4_000_000))  # samples of a log, and bytes of each
RATES = [n / 1000 for n in range(1, 11)]
VARIABLES = {
    10: f"{{lr: {RATES}}}",
    100: f"{{lr: {RATES}, lora_rank: {list(range(1, 11))}}}",
    1_000: f"{{lr: {RATES}, lora_rank: {list(range(1, 11))}, seed: {list(range(10))}}}",
}
BLANK = """\
import io
from matplotlib.figure import Figure
for _ in range(3):
    figure = Figure(figsize=(7, 4), layout="constrained")
    figure.subplots().plot(range(60))
    for form in ("svg", "png", "pdf"):
        figure.savefig(io.BytesIO(), format=form)
"""


def rows(folder: Path) -> Iterator[Row]:
    """Analyses of 10, 100 and 1,000 cells."""
    lab = make_lab(folder / "analysis", files=1, experiments=0)
    for count, variables in VARIABLES.items():
        design(lab, f"cells{count}", variables)
        floor = [run([sys.executable, "-c", BLANK], cwd=lab).seconds for _ in range(3)]
        used = [run([sys.executable, "-m", "bench.analysis", str(lab), f"cells{count}"], cwd=Path.cwd())]
        yield Row(f"analysis of {count:,} cells of {SAMPLES} samples", used, floor, "python + three curves drawn in three formats", "")

    yield from _large_logs(folder)


def _large_logs(folder: Path) -> Iterator[Row]:
    """Logs of 200 MB, of many samples and of large ones, beside one of 100 samples."""
    few = _reading(make_log(folder / "few.eval", samples=100, size=LARGE[0][1]))
    for samples, size in LARGE:
        file = make_log(folder / f"{samples}.eval", samples=samples, size=size)
        note = f"{file.stat().st_size / 1e6:.0f} MB; peak of 100 samples: {few.megabytes:.0f} MB"
        used = [_reading(file)]
        yield Row(f"reading a log of {samples:,} samples of {size:,} bytes", used, [few.seconds], "a log of 100 samples", "", note)
        file.unlink()


def _reading(file: Path) -> Used:
    return run([sys.executable, "-m", "bench.large_logs", str(file)], cwd=Path.cwd())


def analyze(lab: Path, name: str) -> None:
    """One analysis of made answers, without the commit."""
    context = open_experiment(open_lab(lab), name).context
    workers = [worker for worker in (preparation_for(context.summary), evaluation_for(context.summary)) if worker]
    jobs = [job for worker in workers for job in worker.jobs(context)]
    results = assemble(context, jobs, {job.name: _left(job) for job in jobs}, {}, Accounting())
    pictures = pictures_of(results)
    files = {file: content for name, picture in pictures.items() for file, content in picture.files(name).items()}
    files["results.json"] = document_of(results)
    files["report.md"] = render(context, None, results, {f"{name}.svg": picture.words for name, picture in pictures.items()})
    page_of(context.summary.experiment.name, files)


def _left(job: Job) -> Sequence[TrainingResult | CellResult]:
    chance = random.Random(job.name)  # noqa: S311 - no secret
    if not job.tasks:
        losses = tuple(LossPoint(step=step, loss=2 / step + chance.random() / 10) for step in range(1, STEPS + 1))
        return [TrainingResult(run=job.run, steps=STEPS, final_loss=losses[-1].loss, seconds=80.0, losses=losses)]
    return [_cell(job, task, chance) for task in job.tasks]


def _cell(job: Job, task: str, chance: random.Random) -> CellResult:
    scores = [float(chance.random() < 0.6) for _ in range(SAMPLES)]  # noqa: PLR2004 - a share like many
    answers = tuple(Sample(id=at, scores={"match": score}, answer="Abc", target="Abc") for at, score in enumerate(scores, start=1))
    metric = Metric(scorer="match", name="accuracy", value=sum(scores) / SAMPLES, samples=SAMPLES)
    return CellResult(
        run=job.run,
        task=task,
        epoch=job.epoch,
        checkpoint=job.checkpoint,
        log=f"experiments/x/{job.run}/{task}.eval",
        log_sha256="0" * 64,
        seconds=7.0,
        metrics=(metric,),
        samples=answers,
    )


if __name__ == "__main__":
    analyze(Path(sys.argv[1]), sys.argv[2])
