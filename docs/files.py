"""Every file of an experiment, for the reference. A test holds the list against an experiment that really ran."""

from __future__ import annotations

from typing import NamedTuple


class File(NamedTuple):
    """One kind of file; `RUN`, `CELL` and `N` in the pattern stand for names."""

    pattern: str
    step: str
    text: str


_PICTURES = {
    "design": "the main metric of each task as the design varies it",
    "loss": "loss curves and learning rates",
    "margins": "by how much chosen answers are rewarded above rejected ones, where preferences were trained",
    "scores": "every metric by run",
    "reliability": "how often sure answers are right, where logs hold probabilities",
}
FILES = (
    File("experiment_summary.md", "design", "the design, the state, and tables that each commit renews"),
    File("design-experiment.log", "design", "what design checked, measured and estimated"),
    File("estimate.json", "design", "how long each job was expected to take, and from what"),
    File("scaffold-experiment.log", "scaffold", "what scaffolding did"),
    File("scaffold-torchtune.log", "scaffold", "what its worker wrote"),
    File("scaffold-inspect.log", "scaffold", "what its worker wrote"),
    File("kept.json", "revise", "jobs whose results are kept, where from, and the digest of what they were made from"),
    File("defaults.json", "scaffold", "the defaults of parameters that it was scaffolded with"),
    File("cluster.json", "scaffold", "what of the cluster profile its job scripts were rendered from, last"),
    File("RUN/setup_finetune.yaml", "scaffold", "the run's parameters, each with where its value came from"),
    File("RUN/finetune.yaml", "scaffold", "torchtune's config, whole"),
    File("RUN/finetune.slurm", "scaffold", "the training job"),
    File("RUN/eval/CELL.yaml", "scaffold", "arguments of the task"),
    File("RUN/eval/CELL.slurm", "scaffold", "the evaluation job (`epochN.slurm` or `base.slurm` where cells share one)"),
    File("jobs.json", "submit", "the ledger: every attempt of every job"),
    File("run-experiment.log", "submit", "what was submitted, and how it ended"),
    File("run-torchtune.log", "train", "what its worker saw"),
    File("RUN/slurm-N.out", "train", "what the training job printed"),
    File("RUN/training.log", "train", "loss and learning rate at each step"),
    File("RUN/tokens.json", "train", "the check that training and evaluation see the same tokens"),
    File("RUN/versions.json", "train", "versions of the tools in the job"),
    File("RUN/checkpoints.json", "train", "manifest of the checkpoints: path, bytes, SHA-256 of every file that evaluation loads"),
    File("RUN/starts.json", "train", "the jobs that made them, and the digest of their configuration"),
    File("run-inspect.log", "evaluate", "what its worker saw"),
    File("RUN/eval/slurm-N.out", "evaluate", "what the evaluation job printed"),
    File("RUN/eval/logs/CELL.eval", "evaluate", "inspect-ai's log; over the size limit a `.json` with its digest, size and results"),
    File("analyze-experiment.log", "analyze", "what was read, and what was left out"),
    File("analysis/report.md", "analyze", "the report"),
    File("analysis/results.json", "analyze", "every number of the report, per cell and per sample"),
    File("analysis/samples.parquet", "analyze", "every answer, a row each; not committed where it is larger than `max_log_bytes`"),
    File("analysis/report.html", "analyze", "the report as one page that needs no other file"),
    *(File(f"analysis/{name}.{form}", "analyze", text) for name, text in _PICTURES.items() for form in ("svg", "png", "pdf")),
)
