"""First part of a training job: clear what an earlier start left, but for whole epochs; check that evaluation will see training's tokens.

`python -m ckgit.workers.torchtune.prepare experiments/NAME/RUN [--file=PATH=SHA256...]`, at the top of a work tree. Writes
`artifacts/start.yaml`, the configuration that torchtune is started with (finetune.yaml itself, unless a training goes on),
`artifacts/tokens.json` (a TokenRecord for `train` and for each task), `artifacts/versions.json` and `artifacts/starts.json`. Ends with
exit code 66 where tokens differ, with 65 where one of the files, the weights of a large model, has changed, and with 68 where rows
cannot be trained on or asked: every row is looked at, and each such row is named.
"""

from __future__ import annotations

import datetime
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from omegaconf import DictConfig, OmegaConf
from torchtune import config

from ckgit.experiment.results import ROW_DIGITS, TokenRecord, rows_digest
from ckgit.formats.rows import DataError, messages, user_text
from ckgit.jobs.script import INPUTS_CHANGED
from ckgit.workers.digests import changed, parse_file_options
from ckgit.workers.rendering import IGNORED, Renderer, RenderError, check_room, load_tokenizer, pinned_template, prefixes_digest
from ckgit.workers.torchtune.components import RowRenderer, Rows, read_split
from ckgit.workers.torchtune.outputs import resume, starts
from ckgit.workers.torchtune.outputs.codes import ROWS_REFUSED, TOKENS_DIFFER

MOST_ROWS = 256  # of each split; all rows are rendered by the same code, so more would find nothing else
T = TypeVar("T")
TOOLS = ("torch", "torchtune", "torchao", "transformers", "tokenizers", "safetensors")


class PromptsDifferError(Exception):
    """Two ways of rendering one row disagree; the message shows both texts."""


class TrainedPrompt(NamedTuple):
    """A row's prefix as training has it, and what it was asked with."""

    row_input: str
    prompt: str
    system_prompt: str
    prefix: Sequence[int]


def main(run_folder: Path) -> None:
    """Run the step for one run."""
    artifacts, content = run_folder / "artifacts", (run_folder / "finetune.yaml").read_bytes()
    finetune = OmegaConf.load(run_folder / "finetune.yaml")
    setup = OmegaConf.to_container(OmegaConf.load(run_folder / "setup_finetune.yaml"))
    if not go_on(artifacts, content, setup):
        begin(artifacts, content)
    starts.add(artifacts, content)
    checks = check_tokens(finetune, setup["evaluated_rows"])
    _write(artifacts / "tokens.json", {name: check.model_dump(mode="json") for name, check in checks.items()})
    for name, check in checks.items():
        click.echo(f"ckgit: {check.rows} rows of {name}: training and evaluation see the same tokens ({check.sha256[:12]})")


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
    """Compare the rows of the dataset that torchtune makes from a config with what the model folder's own tokenizer gives.

    Args:
        finetune: a torchtune config.
        evaluated: the entries of setup_finetune.yaml's `evaluated_rows`.

    Raises:
        TokensDifferError: at the first row that differs.
        RenderError: rows that cannot be trained on or asked, all of them up to a limit.
        DataError: rows cannot be read.
    """
    tokenizer: RowRenderer = config.instantiate(finetune.tokenizer)
    renderer = tokenizer.renderer
    refused: list[str] = []
    dataset: Rows | None = _unless_refused(partial(config.instantiate, finetune.dataset, tokenizer), refused)
    asked = {entry["task"]: _unless_refused(partial(_asked, entry, finetune.tokenizer), refused) for entry in evaluated}
    if dataset is None or refused:
        raise RenderError("\n".join(refused))
    direct = direct_prefixes(finetune.tokenizer)
    rows = {"train": list(_trained(dataset, renderer)), **asked}
    return {name: _check(name, prompted or [], renderer, direct) for name, prompted in rows.items()}


def _unless_refused(make: Callable[[], T], refused: list[str]) -> T | None:
    """What `make` makes; where it refuses rows, its words are added to the others', so that all are told at once."""
    try:
        return make()
    except RenderError as error:
        refused.append(str(error))
        return None


def _trained(dataset: Rows, renderer: Renderer) -> Iterator[TrainedPrompt]:
    for position, row in enumerate(dataset.rows[:MOST_ROWS]):
        item = dataset[position]
        ignored = sum(1 for _ in takewhile(lambda label: label == IGNORED, item["labels"]))
        if IGNORED in item["labels"][ignored:] or item["labels"][-1:] != [renderer.end_of_turn]:
            raise PromptsDifferError(f"train row {row.input!r}: its answer or its end-of-turn token is not trained: {item['labels']}")
        yield TrainedPrompt(row.input, renderer.prompt, renderer.system_prompt, item["tokens"][:ignored])


def _asked(entry: dict[str, Any], tokenizer: DictConfig) -> list[TrainedPrompt]:
    """Rows of a task, with the task's own prompts where it has them; all are looked at, and the first ones are handed back."""
    renderer = config.instantiate(tokenizer, prompt=entry["prompt"], system_prompt=entry["system_prompt"]).renderer
    split = entry["split"]
    rows = read_split(entry["path"], split, entry["input_column"], entry["output_column"])[: entry["limit"]]
    prefixes = [renderer.prefix(row.input) for row in rows]
    numbered = ((f"{split} row {number}", prefix) for number, prefix in enumerate(prefixes))
    check_room(renderer, numbered, f"task {entry['task']}, {entry['path']}")
    pairs = zip(rows[:MOST_ROWS], prefixes, strict=False)
    return [TrainedPrompt(row.input, entry["prompt"], entry["system_prompt"], prefix) for row, prefix in pairs]


def _check(name: str, rows: Sequence[TrainedPrompt], renderer: Renderer, direct: Callable[[TrainedPrompt], list[int]]) -> TokenRecord:
    for row in rows:
        _compare(name, row, direct(row), renderer)
    by_row = tuple(prefixes_digest([row.prefix])[:ROW_DIGITS] for row in rows)
    return TokenRecord(
        rows=len(rows),
        sha256=prefixes_digest(row.prefix for row in rows),
        template_sha256=renderer.template_sha256,
        template_date=renderer.template_date.isoformat() if renderer.template_sha256 else None,
        end_of_turn=renderer.end_of_turn,
        by_row_sha256=rows_digest(by_row),
        by_row=by_row,
    )


def _compare(name: str, row: TrainedPrompt, expected: Sequence[int], renderer: Renderer) -> None:
    if list(row.prefix) != list(expected):
        decode = renderer.tokenizer.decode
        raise PromptsDifferError(
            f"{name}: the tokens of row {row.row_input!r} differ\n"
            f"  training:     {decode(row.prefix)!r}\n  model folder: {decode(expected)!r}\n"
            f"  training:     {list(row.prefix)}\n  model folder: {list(expected)}"
        )


def direct_prefixes(tokenizer: DictConfig) -> Callable[[TrainedPrompt], list[int]]:
    """Token prefixes by a tokenizer that ckgit's renderer has not touched, in transformers' own one step."""
    direct = load_tokenizer(Path(tokenizer.model_folder))
    if tokenizer.dataset_type != "chat":
        return lambda row: _plain(direct, row)
    template = pinned_template(str(direct.get_chat_template()), datetime.date.fromisoformat(tokenizer.template_date))

    def chat(row: TrainedPrompt) -> list[int]:
        conversation = messages(row.row_input, prompt=row.prompt, system_prompt=row.system_prompt)
        encoded = direct.apply_chat_template(conversation, chat_template=template, tokenize=True, add_generation_prompt=True)
        return list(encoded["input_ids"])

    return chat


def _plain(direct: Any, row: TrainedPrompt) -> list[int]:
    system = f"{row.system_prompt}\n" if row.system_prompt else ""
    ids = list(direct(system + user_text(row.row_input, row.prompt))["input_ids"])
    return ids[:-1] if ids and ids[-1] == direct.eos_token_id else ids


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def refuse_changed(files: Mapping[str, str]) -> bool:
    """Whether a file has another SHA-256, which is said; all of them are read, as they will be for training."""
    if lines := changed(files):
        click.echo("\n".join(lines), err=True)
        click.echo("ckgit: an input is missing or has changed since it was scaffolded", err=True)
    return bool(lines)


def run(run_folder: Path, large: Mapping[str, str]) -> int:
    """The step and its exit code, with words for whoever reads the job's output.

    Args:
        large: SHA-256 of files that the job's script has checked by their size alone, by path.
    """
    if refuse_changed(large):
        return INPUTS_CHANGED
    try:
        main(run_folder)
    except PromptsDifferError as difference:
        click.echo(f"ckgit: tokens differ: {difference}", err=True)
        return TOKENS_DIFFER
    except (RenderError, DataError) as refusal:
        lines = str(refusal).splitlines()
        if len(lines) > 1:
            click.echo(str(refusal), err=True)
        click.echo(f"ckgit: {' '.join(line.strip() for line in lines)}", err=True)  # who explains the job's end reads one line
        return ROWS_REFUSED
    return 0


if __name__ == "__main__":
    (folder,), named = parse_file_options(sys.argv[1:])
    sys.exit(run(Path(folder), named))
