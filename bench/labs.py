"""Labs to measure in, made by ckgit itself."""

from __future__ import annotations

import contextlib
import io
import subprocess
from pathlib import Path

from ckgit.cli import group
from ckgit.examples.tiny_model import tiny_card
from ckgit.experiment.card import FileDigest, ModelCard, Template
from ckgit.lab.models.card_file import dump_card

MODEL = "bench_llama"
DESIGN = """\
schema_version: 1
experiment:
  name: {name}
  question: What does a step cost?
  date: 2026-01-01
models: [{model}]
data:
  words: {{path: data/words_5L.json}}
controls: {{epochs: {epochs}, batch_size: 8, device: cpu, dtype: fp32}}
variables: {variables}
evaluation:
  tasks: [{{name: capitalization}}]
  matrix: [{{epochs: all}}]
"""


def ckgit(*words: str | Path) -> str:
    """Run a command of ckgit in this process, which saves its start; what it prints to standard output.

    Raises:
        RuntimeError: its exit code was not 0.
    """
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        code = group.main([str(word) for word in words], prog_name="ckgit", standalone_mode=False)
    if code:
        raise RuntimeError(f"ckgit {' '.join(map(str, words))} ended with {code}")
    return output.getvalue()


def git(lab: Path, *words: str, stdin: str = "") -> str:
    """What a git command prints."""
    return subprocess.run(["git", *words], cwd=lab, input=stdin, check=True, capture_output=True, text=True).stdout.strip()


def make_lab(folder: Path, *, files: int, experiments: int) -> Path:
    """A lab with so many files on its default branch and so many designed experiments, called e0000 and so on."""
    ckgit("init", folder)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / f"{MODEL}.yaml").write_bytes(dump_card(bench_card()))
    for number in range(files):
        path = folder / "notes" / f"{number // 100:03}" / f"{number % 100:02}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"note {number}\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A model card and notes")
    for number in range(experiments):
        design(folder, f"e{number:04}")
    git(folder, "pack-refs", "--all")  # as git itself does now and then
    git(folder, "gc", "--quiet")
    return folder


def design(lab: Path, name: str, variables: str = "{lora_rank: [4, 8]}", epochs: int = 1) -> None:
    """One more designed experiment."""
    file = lab.parent / f"{name}.yaml"
    file.write_text(DESIGN.format(name=name, model=MODEL, variables=variables, epochs=epochs))
    ckgit("-C", lab, "design", name, "--from", file)
    file.unlink()


def bench_card() -> ModelCard:
    """A card of a model that does not exist: scaffolding reads nothing else."""
    digest = FileDigest(sha256="0" * 64, bytes=1)
    files = {"model.safetensors": digest, "tokenizer.json": digest, "config.json": digest}
    return tiny_card(MODEL, files, Template(sha256="0" * 64, uses_date=False))
