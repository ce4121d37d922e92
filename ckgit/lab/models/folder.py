"""From a Hugging Face model folder to its model card. Reads JSON and the headers of weight files; runs nothing of the folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.card import Architecture, FileDigest, HubSource, ModelCard, RopeScaling, Template, TrainedSource, is_model_file
from ckgit.formats.listing import escaped
from ckgit.formats.plain_json import read_json
from ckgit.formats.safetensors import DTYPES, LENGTH_BYTES, Header, HeaderError, Tensor, header_length, parse_header
from ckgit.formats.yaml.document import read_yaml
from ckgit.lab.models.card_file import dump_card, first_problem
from ckgit.lab.models.find import sha256

INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
DATE_FUNCTION = "strftime_now"  # by which a chat template asks for today's date
LARGEST_JSON = 200_000_000
_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
# What transformers takes for granted where config.json is silent.
_ROPE_THETA = 10_000.0
_TIED: Mapping[str, bool] = {"gemma": True, "llama": False, "mistral": False, "phi3": False}


class _Unfit(Exception):  # noqa: N818 - becomes a CkgitError that names the folder
    """Why a folder gets no card."""


def read_card(name: str, folder: Path, source: HubSource | TrainedSource | None = None) -> tuple[ModelCard, bytes]:
    """A folder's card, and the bytes of its file.

    Args:
        source: where in the hub the folder was fetched, or which training of the lab left it.

    Raises:
        CkgitError: the folder is not a complete model of a known family; says what is missing.
    """
    try:
        card = _card(name, folder).model_copy(update={"trained" if isinstance(source, TrainedSource) else "hub": source})
    except (_Unfit, OSError, ArithmeticError, AttributeError, TypeError, ValueError) as error:
        text = str(error) if isinstance(error, _Unfit | OSError) else f"a value in its JSON files makes no sense: {first_problem(error)}"
        raise CkgitError(
            text,
            code=Exit.USAGE,
            where=str(folder),
            state="no model card was written",
            next="give the folder of a Hugging Face model with config.json, safetensors weights and a tokenizer",
        ) from error
    return card, dump_card(card)


def _card(name: str, folder: Path) -> ModelCard:
    if not folder.is_dir():
        raise _Unfit("there is no such folder")
    config = _json(folder, "config.json")
    if config is None:
        raise _Unfit("config.json is missing")
    family = _family(config)
    weights = _weight_files(folder)
    tensors = {tensor: entry for file in weights for tensor, entry in _header(folder / file).tensors.items()}
    _check_tokenizer(folder)
    return ModelCard(
        name=name,
        family=family,
        model_type=str(config["model_type"]),
        architecture=_architecture(config, family, tensors),
        parameters=sum(tensor.items for tensor in tensors.values()),
        dtype=_dtype(tensors),
        template=_template(folder),
        end_of_turn=_end_of_turn(folder, config),
        checkpoint_files=tuple(weights),
        files={file.name: _digest(file) for file in sorted(folder.iterdir()) if file.is_file() and is_model_file(file.name)},
    )


def _json(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / name
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST_JSON:
        raise _Unfit(f"{name} has more than {LARGEST_JSON} bytes")
    try:
        document = read_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _Unfit(f"{name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _Unfit(f"{name} is not a JSON object")
    return document


def _family(config: Mapping[str, Any]) -> str:
    family = config.get("model_type")
    if not family or not isinstance(family, str):
        raise _Unfit("config.json has no model_type")
    if config.get("quantization_config"):
        raise _Unfit("the weights are quantized, which cannot be fine-tuned here; take the unquantized model")
    return family


def _architecture(config: Mapping[str, Any], family: str, tensors: Mapping[str, Tensor]) -> Architecture:
    if missing := [name for name in _SIZES if config.get(name) is None]:
        raise _Unfit(f"config.json lacks {', '.join(missing)}")
    sizes = {name: config[name] for name in _SIZES}
    rope = config.get("rope_parameters") or {}
    partial = rope.get("partial_rotary_factor", config.get("partial_rotary_factor"))
    return Architecture(
        **sizes,
        num_key_value_heads=config.get("num_key_value_heads") or sizes["num_attention_heads"],
        rms_norm_eps=float(config["rms_norm_eps"]) if config.get("rms_norm_eps") is not None else None,
        partial_rotary_factor=float(partial) if partial not in (None, 1, 1.0) else None,
        mlp_bias=True if config.get("mlp_bias") else None,
        head_dim=config.get("head_dim") or sizes["hidden_size"] // sizes["num_attention_heads"],
        rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or _ROPE_THETA),
        rope_scaling=_rope_scaling(rope or config.get("rope_scaling") or {}),
        tie_word_embeddings=_tied(config, family, tensors),
        attention_bias=bool(config.get("attention_bias")),
        hidden_act=str(config.get("hidden_activation") or config.get("hidden_act")),
        sliding_window=_sliding_window(config, family),
    )


def _tied(config: Mapping[str, Any], family: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether output and embedding are one matrix; configuration and weights must agree."""
    tied = config.get("tie_word_embeddings")
    if tied is None and family not in _TIED:
        raise _Unfit("config.json lacks tie_word_embeddings")
    tied = _TIED[family] if tied is None else bool(tied)
    if tied == ("lm_head.weight" in tensors):
        raise _Unfit(f"tie_word_embeddings is {str(tied).lower()}, and the weights hold {'an' if tied else 'no'} lm_head.weight")
    return tied


def _rope_scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
    kind = rope.get("rope_type") or rope.get("type")
    if kind in (None, "default"):
        return None
    fields = {name: rope[name] for name in RopeScaling.model_fields if rope.get(name) is not None}
    numbers = {name: float(value) for name, value in fields.items() if name.endswith("factor")}
    return RopeScaling(**{**fields, "factor": 1.0, **numbers, "rope_type": str(kind)})


def _sliding_window(config: Mapping[str, Any], family: str) -> int | None:
    window = config.get("sliding_window")
    used = config.get("use_sliding_window", family != "qwen2")
    return window if window and used and window < config["max_position_embeddings"] else None


def _weight_files(folder: Path) -> list[str]:
    """Names of the weight files: all that the index lists, or the only one."""
    index = _json(folder, INDEX)
    if index is not None:
        return _indexed(folder, index)
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"]
    others = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".gguf", ".pth", ".pt"))
    hint = f"; {others[0]} must be converted: load it with transformers and save it with save_pretrained" if others else ""
    raise _Unfit(f"there is neither model.safetensors nor {INDEX}{hint}")


def _indexed(folder: Path, index: Mapping[str, Any]) -> list[str]:
    mapping = index.get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise _Unfit(f"{INDEX} has no weight_map")
    names = sorted({str(name) for name in mapping.values()})
    if missing := [name for name in names if "/" in name or not (folder / name).is_file()]:
        raise _Unfit(f"weight file {missing[0]} of {INDEX} is missing")
    return names


def _header(path: Path) -> Header:
    try:
        with path.open("rb") as stream:
            length = header_length(stream.read(LENGTH_BYTES))
            header = parse_header(stream.read(length), length)
    except HeaderError as error:
        raise _Unfit(f"{path.name} is not a whole safetensors file: {error}") from error
    if path.stat().st_size != header.file_bytes:
        raise _Unfit(f"{path.name} has {path.stat().st_size} bytes instead of {header.file_bytes}")
    return header


def _dtype(tensors: Mapping[str, Tensor]) -> str:
    """The number format of most weights."""
    counts: Counter[str] = Counter()
    for tensor in tensors.values():
        counts[tensor.dtype] += tensor.items
    most = counts.most_common(1)[0][0]
    return DTYPES.get(most, most)


def _check_tokenizer(folder: Path) -> None:
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise _Unfit(f"there is no tokenizer: neither {' nor '.join(TOKENIZERS)}")


def _template(folder: Path) -> Template | None:
    text = _template_text(folder)
    return Template(sha256=hashlib.sha256(text.encode()).hexdigest(), uses_date=DATE_FUNCTION in text) if text else None


def _template_text(folder: Path) -> str | None:
    """The chat template where transformers looks for it."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        found = (_json(folder, name) or {}).get("chat_template")
        if isinstance(found, list):
            found = {str(entry.get("name")): entry.get("template") for entry in found}.get("default")
        if found:
            return str(found)
    return None


def _end_of_turn(folder: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """Ids at which generation ends, by generation_config.json, config.json and the tokenizer."""
    found: set[int] = set()
    for document in (_json(folder, "generation_config.json") or {}, config):
        value = document.get("eos_token_id")
        found |= set(value) if isinstance(value, list) else {value} if isinstance(value, int) else set()
    found |= set(_tokenizer_end(folder))
    if not found:
        raise _Unfit("nothing names the token that ends an answer (eos_token_id)")
    return tuple(sorted(found))


def _tokenizer_end(folder: Path) -> Iterator[int]:
    token = (_json(folder, "tokenizer_config.json") or {}).get("eos_token")
    text = token.get("content") if isinstance(token, dict) else token
    if text:
        tokens = (_json(folder, "tokenizer.json") or {}).get("added_tokens", [])
        yield from (entry["id"] for entry in tokens if entry.get("content") == text)


def _digest(path: Path) -> FileDigest:
    return FileDigest(sha256=sha256(path), bytes=path.stat().st_size)


def license_of(folder: Path) -> str | None:
    """The licence that a model folder names, in config.json or at the head of its README.md; None where neither does."""
    try:
        config = _json(folder, "config.json") or {}
        readme = (folder / "README.md").read_text(encoding="utf-8") if (folder / "README.md").is_file() else ""
    except (_Unfit, OSError, ValueError):
        return None
    front = readme[4:].partition("\n---")[0] if readme.startswith("---\n") else ""
    head = read_yaml(front).value if front else None
    named = config.get("license") or (head.get("license") if isinstance(head, dict) else None)
    return escaped(named) if isinstance(named, str) else None
