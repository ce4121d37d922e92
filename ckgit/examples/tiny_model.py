"""A tiny Llama that can spell: made from random weights, and trained by torchtune to say a word again.

`python -m ckgit.examples.tiny_model DEST` makes the folder DEST, which must not exist; it takes about twenty
seconds. The same versions of torch and torchtune give the same weights. It is what the quickstart and the
tests fine-tune: a real model for every tool, small enough for any machine.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ckgit.examples.appear import appear
from ckgit.experiment.card import Architecture, FileDigest, ModelCard, Template
from ckgit.experiment.cluster import Cluster
from ckgit.experiment.design.expand import build_plan
from ckgit.experiment.tools.by_tool import read_summary
from ckgit.experiment.worker import Context
from ckgit.workers.torchtune.config import finetune_yaml, recipe
from ckgit.workers.torchtune.finish import main as finish

SEED = 1
NAME = "random_llama"
RUN = "echo"
FOLDER = f"experiments/tiny_llama/{RUN}"
SPECIAL = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ARCHITECTURE = Architecture(
    vocab_size=256 + len(SPECIAL),
    hidden_size=128,
    intermediate_size=256,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=4,
    head_dim=32,
    max_position_embeddings=256,
    rms_norm_eps=1e-5,
    rope_theta=10_000.0,
    tie_word_embeddings=True,
)
ROWS = 8_000
TRAINING = {"method": "full", "epochs": 1, "batch_size": 32, "lr": 3e-3, "num_warmup_steps": 20, "device": "cpu", "dtype": "fp32"}


def make(destination: Path) -> None:
    """Make the model folder. It appears whole or not at all.

    Raises:
        FileExistsError: the destination is there already.
        subprocess.CalledProcessError: torchtune failed; what it printed is on stderr.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists already")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".tiny-llama-") as folder:
        work = Path(folder)
        write_random_model(work / "models" / NAME)
        (work / "words.json").write_text(json.dumps({"train": echo_rows()}), encoding="utf-8")
        _train(work)
        trained = work / FOLDER / "artifacts" / "epoch_0"
        shutil.rmtree(trained / "adapter", ignore_errors=True)
        appear(trained, destination)


def tiny_card(name: str, files: Mapping[str, FileDigest] | None = None, template: Template | None = None) -> ModelCard:
    """The card of a model of this shape, whether it exists or not."""
    return ModelCard(
        name=name,
        family="llama",
        model_type="llama",
        architecture=ARCHITECTURE,
        parameters=330_000,
        dtype="float32",
        template=template,
        end_of_turn=(SPECIAL.index("<|end|>"),),
        checkpoint_files=("model.safetensors",),
        files=dict(files or {}),
    )


def write_random_model(folder: Path, **changes: Any) -> None:
    """A Llama with seeded random weights and a byte-level tokenizer, as a Hugging Face folder."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    torch.manual_seed(SEED)
    sizes = ARCHITECTURE.model_dump(exclude={"rope_theta", "rope_scaling"}, exclude_none=True) | changes
    config = LlamaConfig(
        **sizes,
        rope_parameters={"rope_type": "default", "rope_theta": ARCHITECTURE.rope_theta},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def byte_tokenizer() -> Any:
    """One token a byte, the special tokens, and a chat template that uses them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>", model_max_length=256)  # noqa: S106
    wrapped.chat_template = TEMPLATE
    return wrapped


def echo_rows() -> list[Mapping[str, str]]:
    """Words of random letters, half of them in capitals, each to be said again."""
    choice = random.Random(SEED)  # noqa: S311 rows, not secrets
    words = ("".join(choice.choices(string.ascii_lowercase, k=5)) for _ in range(ROWS))
    cased = (word.upper() if choice.random() < 0.5 else word for word in words)  # noqa: PLR2004 half
    return [{"input": word, "output": word} for word in cased]


def _context() -> Context:
    """The training as an experiment, so that its config is one that every experiment gets."""
    design = {
        "schema_version": 1,
        "state": "designed",
        "experiment": {"name": "tiny_llama", "question": "Can a tiny Llama learn to say a word again?", "date": "2026-01-01"},
        "tools": {"evaluation": "none"},
        "models": [NAME],
        "data": {"words": {"path": "words.json"}},
        "controls": {"seed": SEED, **TRAINING},
        "runs": [{"name": RUN}],
        "recorded": {"data": {"words": {"sha256": "0" * 64, "bytes": 0, "splits": {"train": ROWS}}}},
    }
    summary = read_summary(design)
    return Context(summary, build_plan(summary), {NAME: tiny_card(NAME)}, Cluster(), "local", "", {})


def _train(work: Path) -> None:
    context = _context()
    run = context.plan.run(RUN)
    (work / FOLDER).mkdir(parents=True)
    (work / FOLDER / "finetune.yaml").write_bytes(finetune_yaml(context, run))
    command = [sys.executable, "-m", "torchtune._cli.tune", "run", recipe(run, 1), "--config", f"{FOLDER}/finetune.yaml"]
    # One thread, because sums over several come out differently on machines with other numbers of cores.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(command, cwd=work, env=environment, stdout=subprocess.DEVNULL, check=True)
    finish(work / FOLDER, 1, work / "models" / NAME)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
