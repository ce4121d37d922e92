"""Before a training: render the rows, check that evaluation will see the same tokens, and clear what an earlier start left.

A start that was cut short is gone on with where that is sound; see `outputs.state`.
"""

from __future__ import annotations

import datetime
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from ckgit.formats.rows import Row
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers.rendering import Renderer, Tokens
from ckgit.workers.training import tokens
from ckgit.workers.training.design.parameters import DPO
from ckgit.workers.training.outputs import starts
from ckgit.workers.training.rows import render, rendered_rows
from ckgit.workers.training.scaffold import ROWS
from ckgit.workers.training.setup import read_setup
from ckgit.workers.trl.design.parameters import KEEPING
from ckgit.workers.trl.outputs import state
from ckgit.workers.trl.outputs.packing import PackingRecord, write_packing
from ckgit.workers.trl.packing.rows import render_whole
from ckgit.workers.trl.preferences.rows import render_pair

RUNS_OF_WANDB = "wandb"  # in artifacts/: what W&B has written of this start and of earlier ones
TRAIN, VALIDATION = "train", "validation"  # files of rows, and splits as TRL is told of them
TOOLS = ("torch", "trl", "peft", "transformers", "accelerate", "datasets", "tokenizers", "safetensors")


def main(run_folder: Path) -> int:
    """Run the step for one run; the step after which an earlier start goes on. Leaves `artifacts/` with its rows as tokens for TRL.

    Raises:
        PromptsDifferError, RenderError, DataError: as `tokens.check_tokens`.
    """
    artifacts, rules = run_folder / "artifacts", read(run_folder / "rows.yaml")
    renderer = renderer_of(rules)
    rendered = dict[str, bytes]()
    make = _preferences if rules.get("objective") == DPO else _answers

    def trained() -> Sequence[tuple[Row, Tokens]]:
        found, rendered[TRAIN] = make(renderer, rules, rules["split"])
        if rules["validation_split"]:
            _, rendered[VALIDATION] = make(renderer, rules | {"max_samples": None}, rules["validation_split"])
        return found

    checks = tokens.check_tokens(renderer, trained, read(run_folder / "setup_finetune.yaml")["evaluated_rows"])
    quantized = read(run_folder / "finetune.yaml").get("load_in_4bit", False)
    rows = {f"{ROWS}/{name}.jsonl": content for name, content in rendered.items()}
    step = _begin(artifacts, {"versions.json": _versions(quantized=quantized), **rows}, _configs(run_folder))
    starts.add(artifacts, (run_folder / "finetune.yaml").read_bytes())
    if packing_length := rules.get("packing_length"):
        lengths = [_lengths(rendered.get(name, b"")) for name in (TRAIN, VALIDATION)]
        write_packing(artifacts, PackingRecord.of(packing_length, *lengths))
    tokens.record(artifacts, checks)
    return step


def made_from(run_folder: Path) -> str:
    """One digest of all that a training is made from, when it was prepared."""
    artifacts = run_folder / "artifacts"
    left = [artifacts / "versions.json", *sorted((artifacts / ROWS).glob("*.jsonl"))]
    return state.digest_of({path.relative_to(artifacts).as_posix(): path.read_bytes() for path in left} | _configs(run_folder))


def _configs(run_folder: Path) -> dict[str, bytes]:
    settings = read_setup((run_folder / "setup_finetune.yaml").read_bytes()) or {}
    kept = {name: settings[name].value for name in KEEPING if name in settings}
    own = {"keeping": json.dumps(kept).encode()} if kept else {}
    return {**own, **{name: (run_folder / name).read_bytes() for name in ("finetune.yaml", "rows.yaml")}}


def _versions(*, quantized: bool) -> bytes:
    found = {"python": sys.version.split()[0], **{tool: version(tool) for tool in (*TOOLS, *(["bitsandbytes"] if quantized else []))}}
    return f"{json.dumps(found, indent=2)}\n".encode()


def _begin(artifacts: Path, files: Mapping[str, bytes], configs: Mapping[str, bytes]) -> int:
    """The step after which an earlier start is gone on with; of 0, `artifacts/` has nothing of it any more, and these files."""
    step, why = state.go_on(artifacts, state.digest_of({**files, **configs}))
    if why:
        click.echo(f"ckgit: an earlier start of this training is not used: {why}")
    if step:
        click.echo(f"ckgit: training goes on after step {step}")
        return step
    for left in artifacts.iterdir() if artifacts.exists() else ():
        if left.name == RUNS_OF_WANDB:
            continue  # they are offline, and may not have been sent
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    (artifacts / ROWS).mkdir(parents=True)
    for name, content in files.items():
        (artifacts / name).write_bytes(content)
    return 0


def read(path: Path) -> dict[str, Any]:
    """A file that scaffolding wrote."""
    found: dict[str, Any] = read_yaml(path.read_text(encoding="utf-8")).value
    return found


def renderer_of(rules: Mapping[str, Any]) -> Renderer:
    """By the rules of a rows.yaml."""
    names = ("dataset_type", "prompt", "system_prompt")
    date = datetime.date.fromisoformat(rules["template_date"])
    return Renderer(rules["model_folder"], template_date=date, **{name: rules[name] for name in names})


def _answers(renderer: Renderer, rules: Mapping[str, Any], split: str) -> tuple[Sequence[tuple[Row, Tokens]], bytes]:
    """Rows with their tokens, and these as TRL reads them."""
    made = partial(render_whole, rules["packing_length"]) if rules.get("packing_length") else render
    rows = rendered_rows(renderer, rules["path"], split, made=made, **_which(rules))
    return rows, "".join(json.dumps({"input_ids": each.tokens, "labels": each.labels}) + "\n" for _, each in rows).encode()


def _lengths(rows: bytes) -> list[int]:
    """Tokens of each row, of what TRL reads."""
    return [len(json.loads(line)["input_ids"]) for line in rows.splitlines()]


def _preferences(renderer: Renderer, rules: Mapping[str, Any], split: str) -> tuple[Sequence[tuple[Row, Tokens]], bytes]:
    """The same of rows with two answers: with the chosen ones, after a look at the others."""
    rows = rendered_rows(renderer, rules["path"], split, made=render_pair, **_which(rules))
    list(tokens.trained_prompts([(row, pair.rejected) for row, pair in rows], renderer))
    return [(row, pair.chosen) for row, pair in rows], "".join(pair.line() + "\n" for _, pair in rows).encode()


def _which(rules: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: rules[name] for name in ("input_column", "output_column")}
    return {"columns": columns, "shuffle_seed": None, **{name: rules[name] for name in ("max_seq_len", "max_samples")}}
