"""The job: `python -m ckgit_prompts_job experiments/NAME/RUN`, at the top of a work tree."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import sys
from pathlib import Path

import click
import torch
from transformers import AutoModelForCausalLM

from ckgit.experiment.results import MANIFEST, MANIFEST_OF, Checkpoint
from ckgit.formats.rows import parse_rows
from ckgit.workers.rendering import Renderer


def main(folder: Path) -> None:
    config = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    data, artifacts = config["data"], folder / "artifacts"
    columns = {name: data[name] for name in ("input_column", "output_column")}
    rows = parse_rows(Path(data["path"]).read_bytes(), suffix=Path(data["path"]).suffix, **columns)[config["train_split"]][: config["rows"]]
    model = AutoModelForCausalLM.from_pretrained(config["model"]).eval()
    tried = []
    for prompt in config["candidates"]:
        date = datetime.date.fromisoformat(config["template_date"])
        how = {"dataset_type": config["dataset_type"], "system_prompt": config["system_prompt"], "template_date": date}
        renderer = Renderer(config["model"], prompt=prompt, **how)
        losses = [loss(model, *renderer.tokens(row)) for row in rows]
        tried.append({"prompt": prompt, "loss": sum(losses) / len(losses)})
        click.echo(f"tried: {prompt!r}, loss {tried[-1]['loss']:.4f}")
    kept = min(tried, key=lambda trial: trial["loss"])["prompt"]
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir()
    (artifacts / "tried.json").write_text(json.dumps({"tried": tried, "kept": kept}, indent=2) + "\n", encoding="utf-8")
    digest, size = hashlib.sha256(kept.encode()).hexdigest(), len(kept.encode())
    saved = Checkpoint(epoch=0, path=f"{artifacts.as_posix()}/epoch_0", bytes=size, sha256=digest, prompt=kept)
    (artifacts / MANIFEST).write_bytes(MANIFEST_OF.dump_json((saved,), indent=2) + b"\n")


def loss(model, tokens, labels) -> float:
    with torch.no_grad():
        return float(model(input_ids=torch.tensor([tokens]), labels=torch.tensor([labels])).loss)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
