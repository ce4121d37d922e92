"""A design, and the work tree that it is evaluated in."""

import hashlib
import importlib.resources
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.jobs import Attempt, Job, Phase, Status
from ckgit.experiment.results import rows_digest
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.experiment.worker import Context, Evidence
from ckgit.workers.inspect_ai import worker
from tests.warm import programs

TASK = (importlib.resources.files("ckgit.lab") / "templates/tasks/capitalization.py").read_bytes()
WORDS = {
    split: [{"input": word, "output": word.upper()} for word in words]
    for split, words in {"train": ["bread"], "test": ["apple", "grape", "lemon", "apple"]}.items()
}
DATA = json.dumps(WORDS).encode()
TUNED, BASE = "tuned/eval/capitalization_epoch0", "base/eval/capitalization_base"
LOG = "experiments/cap/tuned/eval/logs/capitalization_epoch0.eval"
DESIGN = {
    "schema_version": 1,
    "experiment": {"name": "cap", "question": "Can it write capitals?", "date": "2026-11-23"},
    "models": ["plain"],
    "data": {"words": {"path": "data/words.json"}},
    "controls": {"prompt": "Word: {input}", "system_prompt": "Use {capitals}.", "device": "cpu", "dtype": "fp32"},
    "runs": [{"name": "tuned"}, {"name": "base", "type": "control"}],
    "evaluation": {"tasks": [{"name": "capitalization"}], "generation": {"max_tokens": 4, "max_connections": 4}},
    "state": "designed",
}


def changed(document: dict, **paths: object) -> dict:
    """A design with other values: `controls__prompt="{input}"`."""
    document = json.loads(json.dumps(document))
    for path, value in paths.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[int(parent)] if parent.isdigit() else place.setdefault(parent, {})
        place[last] = value
    return document


def card(name: str, folder: Path | None = None) -> ModelCard:
    """A card as `ckgit models add` would write it, of a real folder where one is given."""
    names = sorted(file.name for file in folder.iterdir()) if folder else ["config.json", "model.safetensors", "tokenizer.json"]
    contents = {each: (folder / each).read_bytes() if folder else each.encode() for each in names}
    sizes = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
    )
    document = {
        "name": name,
        "family": "llama",
        "model_type": "llama",
        "architecture": {**dict.fromkeys(sizes, 2), "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": False},
        "parameters": 1,
        "dtype": "float32",
        "template": None if name == "base" else {"sha256": "0" * 64, "uses_date": name == "dated"},
        "end_of_turn": [257],
        "checkpoint_files": ["model.safetensors"],
        "files": {each: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for each, content in contents.items()},
    }
    return ModelCard.model_validate_json(json.dumps(document))


def make_context(folders: Path | None = None, task: bytes = TASK, **paths: object) -> Context:
    """A context of DESIGN with other values."""
    document = changed(DESIGN, **paths)
    recorded = {
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "bytes": len(DATA),
        "splits": {split: len(rows) for split, rows in WORDS.items()},
    }
    document["recorded"] = {"data": dict.fromkeys(document["data"], recorded)}
    summary = read_summary(document)
    plan = build_plan(summary)
    names = {*summary.models, *(run.model for run in plan.runs)}
    cards = {name: card(name, folders / name if folders else None) for name in sorted(names)}
    return Context(summary, plan, cards, Cluster(), "local", "0.1.0", {"tasks/capitalization.py": task, "data/words.json": DATA})


def make_work_tree(context: Context, models: Path, work: Path) -> Path:
    """What export makes of a context: sources, generated files and models; and what training left."""
    for path, content in {**context.sources, **worker.scaffold(context)}.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)
    (work / "models").mkdir()
    for name in context.cards:
        (work / "models" / name).symlink_to(models / name)
    for run in context.plan.training:
        artifacts = work / context.run_folder(run.name) / "artifacts"
        shutil.copytree(models / run.model, artifacts / "epoch_0")
        (artifacts / "tokens.json").write_text(json.dumps(training_saw(context, models / run.model)))
    return work


def training_saw(context: Context, model: Path) -> dict[str, object]:
    """What a training job records of the task's rows, made by the renderer alone."""
    from ckgit.workers.rendering import Renderer, prefixes_digest

    run = context.plan.training[0]
    renderer = Renderer(
        model,
        dataset_type=run["dataset_type"],
        prompt=run["prompt"],
        system_prompt=run["system_prompt"],
        template_date=run["template_date"],
    )
    prefixes = [renderer.prefix(row["input"]) for row in WORDS["test"][:2]]
    by_row = [prefixes_digest([prefix])[:16] for prefix in prefixes]
    return {
        "capitalization": {
            "rows": 2,  # training looks at the first rows of a long split only
            "sha256": prefixes_digest(prefixes),
            "by_row": by_row,
            "by_row_sha256": rows_digest(by_row),
            "template_sha256": renderer.template_sha256,
            "template_date": str(run["template_date"]),
            "end_of_turn": renderer.end_of_turn,
        }
    }


def run_job(context: Context, work: Path, name: str, number: int = 1, *, warm: bool = True) -> Attempt:
    """Run a job's script as a scheduler would.

    Args:
        warm: the job is a fork of a process whose imports are done, see `tests.warm`.
    """
    job = job_of(context, name)
    token = f"ck-{name.replace('/', '-')}-{number}"
    output = work / ".ckgit/jobs" / token / "output"
    output.parent.mkdir(parents=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INSPECT_")}
    found = programs() if warm else Path(sys.executable).parent
    environment = {**kept, "PATH": f"{found}:{kept['PATH']}", "HOME": str(output.parent), "CKGIT_JOB": token}
    with output.open("wb") as file:
        done = subprocess.run(["bash", job.script], cwd=work, stdout=file, stderr=file, check=False, env=environment)
    status = Status.model_validate_json((output.parent / "status.json").read_bytes())
    assert status.exit_code == done.returncode
    return Attempt(
        job=name,
        stage=job.stage,
        number=number,
        token=token,
        script_sha256="0" * 64,
        phase=Phase.SUBMITTED,
        submitted=status.started,
        job_id=status.job_id,
        started=status.started,
        ended=status.ended,
        exit_code=status.exit_code,
    )


def job_of(context: Context, name: str) -> Job:
    """The job of that name."""
    return next(job for job in worker.jobs(context) if job.name == name)


class Ended(NamedTuple):
    """A job that was run, and what is needed to judge it."""

    context: Context
    work: Path
    attempt: Attempt

    def evidence(self, context: Context | None = None) -> Evidence:
        """The worker's judgement."""
        return worker.evidence(context or self.context, job_of(self.context, self.attempt.job), self.attempt, self.work)

    @property
    def output(self) -> str:
        """What the job printed."""
        return (self.work / ".ckgit/jobs" / self.attempt.token / "output").read_text()


def run_cell(models: Path, work: Path, name: str, *, warm: bool = True, **changes: object) -> Ended:
    """Run a cell's job in a work tree of its own."""
    context = make_context(models, **changes)
    make_work_tree(context, models, work)
    assert worker.ready(context, job_of(context, name), work) == []
    return Ended(context, work, run_job(context, work, name, warm=warm))
