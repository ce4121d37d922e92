"""Contexts for tests, made from a design as a user would write it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ckgit.examples.tiny_model import ARCHITECTURE
from ckgit.experiment.card import ModelCard
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.experiment.worker import Context
from ckgit.formats.rows import parse_rows

DATA = "data/words.json"
WORDS = {
    "train": [{"input": w, "output": w.upper()} for w in ("apple", "bread", "chair", "dress", "eagle", "flame", "grape", "house", "inlet")],
    "test": [{"input": w, "output": w.upper()} for w in ("knife", "lemon", "mango")],
}
DIGEST = "ab" * 32


def card(name: str = "tiny", **changes: Any) -> ModelCard:
    """A card of a tiny Llama; `architecture` changes single sizes."""
    document: dict[str, Any] = {
        "name": name,
        "family": "llama",
        "model_type": "llama",
        "architecture": {**ARCHITECTURE.model_dump(mode="json"), **changes.pop("architecture", {})},
        "parameters": 361_728,
        "dtype": "float32",
        "template": {"sha256": DIGEST, "uses_date": False},
        "end_of_turn": [4],
        "checkpoint_files": ["model.safetensors"],
        "files": {"model.safetensors": {"sha256": DIGEST, "bytes": 5}},
        **changes,
    }
    return ModelCard.model_validate_json(json.dumps(document))


def context(
    *, cards: tuple[ModelCard, ...] = (), words: dict[str, Any] = WORDS, recorded: dict[str, Any] | None = None, **design: Any
) -> Context:
    """A context whose design has these parts; one run `run` with rank 8 where none are given."""
    content = json.dumps(words).encode()
    splits = {split: len(rows) for split, rows in parse_rows(content, suffix=".json").items()}
    measured = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "splits": splits}
    cards = cards or (card(),)
    document = {
        "schema_version": 1,
        "state": "designed",
        "experiment": {"name": "capital", "question": "Does rank matter?", "date": "2026-11-23"},
        "models": [each.name for each in cards],
        "data": {"words": {"path": DATA}},
        "runs": [{"name": "run"}],
        "evaluation": {"tasks": [{"name": "capitalization"}]},
        "recorded": {"data": {"words": measured}} if recorded is None else recorded,
        **design,
    }
    document["controls"] = {"device": "cpu", "dtype": "fp32", **document.get("controls", {})}
    summary = read_summary(document)
    return Context(summary, build_plan(summary), {each.name: each for each in cards}, Cluster(), "local", "0.1.0", {DATA: content})


def write_tree(context: Context, files: dict[str, bytes], work: Path, models: dict[str, Path]) -> None:
    """What an export makes of it: scaffolded files, data, and links to the models."""
    for path, content in {**files, **context.sources}.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)
    (work / "models").mkdir(exist_ok=True)
    for name, folder in models.items():
        (work / "models" / name).symlink_to(folder)
