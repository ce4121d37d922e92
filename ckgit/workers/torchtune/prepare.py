"""First part of a training job: clear what an earlier start left, but for whole epochs; check that evaluation will see training's tokens.

`python -m ckgit.workers.torchtune.prepare experiments/NAME/RUN [--file=PATH=SHA256...]`, at the top of a work tree. Writes
`artifacts/start.yaml`, the configuration that torchtune is started with (finetune.yaml itself, unless a training goes on),
`artifacts/tokens.json` (a TokenRecord for `train` and for each task), `artifacts/versions.json` and `artifacts/starts.json`. Ends with
exit code 66 where tokens differ, with 65 where one of the files, the weights of a large model, has changed, and with 68 where rows
cannot be trained on or asked: every row is looked at, and each such row is named.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from omegaconf import DictConfig, OmegaConf
from torchtune import config

from ckgit.experiment.results import TokenRecord
from ckgit.formats.rows import Row
from ckgit.workers.digests import parse_file_options
from ckgit.workers.rendering import Tokens
from ckgit.workers.torchtune.components import RowRenderer, Rows
from ckgit.workers.torchtune.outputs import resume
from ckgit.workers.training import tokens
from ckgit.workers.training.guarded import guarded
from ckgit.workers.training.outputs import starts

TOOLS = ("torch", "torchtune", "torchao", "transformers", "tokenizers", "safetensors")


def main(run_folder: Path) -> None:
    """Run the step for one run."""
    artifacts, content = run_folder / "artifacts", (run_folder / "finetune.yaml").read_bytes()
    finetune = OmegaConf.load(run_folder / "finetune.yaml")
    setup = OmegaConf.to_container(OmegaConf.load(run_folder / "setup_finetune.yaml"))
    if not go_on(artifacts, content, setup):
        begin(artifacts, content)
    starts.add(artifacts, content)
    checks = check_tokens(finetune, setup["evaluated_rows"])
    tokens.record(artifacts, checks)


def begin(artifacts: Path, content: bytes) -> None:
    """A training that owes nothing to an earlier start."""
    if artifacts.exists():
        shutil.rmtree(artifacts)
    artifacts.mkdir(parents=True)
    _write(artifacts / "versions.json", versions())
    (artifacts / resume.CONFIG).write_bytes(content)
    (artifacts / resume.START).write_bytes(content)


def go_on(artifacts: Path, content: bytes, setup: Mapping[str, Any]) -> bool:
    """Have torchtune go on after the whole epochs of an earlier start; False where there are none, or where that is not sound."""
    config: dict[str, Any] = OmegaConf.to_container(OmegaConf.create(content.decode()))
    shape = resume.EpochPlan.of(config, setup["train_rows"], setup["processes"])
    done, why = resume.whole_epochs(artifacts, content, versions(), shape)
    if why:
        click.echo(f"ckgit: an earlier start of this training is not used: {why}")
    if not done:
        return False
    resume.cut_back(artifacts, shape, done)
    (artifacts / resume.START).write_text(OmegaConf.to_yaml(OmegaConf.create(resume.resuming(config, artifacts, done))), encoding="utf-8")
    click.echo(f"ckgit: training goes on after {done} of {shape.epochs} epochs, from step {done * shape.steps}")
    return True


def versions() -> dict[str, str]:
    """Versions of what takes part in training."""
    return {"python": sys.version.split()[0], **{tool: version(tool) for tool in TOOLS}}


def check_tokens(finetune: DictConfig, evaluated: Sequence[dict[str, Any]]) -> dict[str, TokenRecord]:
    """Compare the rows of the dataset that torchtune makes from a config with what evaluation will send; see `tokens.check_tokens`.

    Args:
        finetune: a torchtune config.
        evaluated: the entries of setup_finetune.yaml's `evaluated_rows`.
    """
    tokenizer: RowRenderer = config.instantiate(finetune.tokenizer)

    def trained() -> Sequence[tuple[Row, Tokens]]:
        dataset: Rows = config.instantiate(finetune.dataset, tokenizer)
        return [(row, Tokens(**dataset[position])) for position, (row, _) in enumerate(dataset.rendered)]

    return tokens.check_tokens(tokenizer.renderer, trained, evaluated)


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    (folder,), named = parse_file_options(sys.argv[1:])
    sys.exit(guarded(lambda: main(Path(folder)), named))
