"""Model API `ckgit/NAME`: inspect's Hugging Face provider, held to what training saw.

It differs from its base class in five things. The chat template sees the design's date. Special tokens come from the
template alone (the base class lets the tokenizer add a second BOS). Generation follows the design and not the model
folder's generation_config.json, apart from the tokens that end an answer. Evaluations of one folder in one process share
its weights. And before anything is generated, the tokens of each sample are compared with training's own rendering of its row.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inspect_ai.model import ChatMessage, GenerateConfig, ModelOutput
from inspect_ai.model._providers import hf
from inspect_ai.tool import ToolChoice, ToolInfo
from transformers import AutoModelForCausalLM

from ckgit.experiment.card import folder_digest
from ckgit.workers.digests import digests_once
from ckgit.workers.inspect_ai.model_api.parity import METADATA_KEY, Parity, Said
from ckgit.workers.loading import load_model
from ckgit.workers.rendering import RenderError, end_ids, pinned_template, short


class CkgitAPI(hf.HuggingFaceAPI):
    """A model folder as one cell of a design evaluates it.

    Args:
        model_name: shown in logs; the weights are those of `model_path`.
        base_url: not used.
        api_key: not used.
        config: the cell's generation settings.
        model_path: Hugging Face folder with the weights.
        device: `cpu` or `cuda`.
        dtype: number format of the weights in memory, as torch calls it.
        do_sample: false decodes greedily.
        dataset_type: `chat` or `text_completion`.
        template_date: the day that the chat template sees (YYYY-MM-DD).
        rows: what `Parity` needs; absent for a task that brings data of its own.

    Raises:
        TokensDifferError: the folder ends its answers with other tokens than training did.
        RenderError: a folder cannot render rows.
        DataError: the data file cannot be read.
    """

    def __init__(  # noqa: PLR0913  # inspect gives each by name
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  # as the base class has it; it is never changed
        *,
        model_path: str,
        device: str,
        dtype: str,
        do_sample: bool,
        dataset_type: str,
        template_date: str,
        rows: Mapping[str, Any] | None = None,
    ) -> None:
        date = datetime.date.fromisoformat(template_date)
        # Before the weights are loaded: a wrong row costs a second, not minutes.
        self.parity = Parity(rows, dataset_type=dataset_type, template_date=date) if rows else None
        if config.seed is None:  # what is sampled must not depend on what was evaluated before in this process
            hf.set_random_seeds(_NO_SEED)
        with _weights_loaded_once():
            super().__init__(model_name, base_url, api_key, config, model_path=model_path, device=device, dtype=dtype, do_sample=do_sample)
        self.dataset_type = dataset_type
        if dataset_type == "chat":
            self.tokenizer.chat_template = pinned_template(str(self.tokenizer.get_chat_template()), date)
            self.tokenizer_call_args = {"add_special_tokens": False}
        self.weights = folder_digest(digests_once(Path(model_path)))
        stops = end_ids(Path(model_path), self.tokenizer)
        if self.parity:
            self.parity.check_stops(stops)
        self.model.generation_config = _generation_config(self.tokenizer, stops, do_sample=do_sample)

    def hf_chat(self, messages: list[ChatMessage], tools: list[ToolInfo]) -> str:
        """The text that is sent: through the chat template, or for a base model the bare text of the messages."""
        if self.dataset_type == "chat":
            return str(super().hf_chat(messages, tools))
        return "\n".join(message.text for message in messages)

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Check the tokens, then answer. The output's metadata tells which row and tokens it was, and with which weights and versions.

        Raises:
            TokensDifferError: training saw other tokens for this row, or the message belongs to no row.
            RenderError: there is no room for an answer.
        """
        text = self.hf_chat(input, tools)
        ids = list(self.tokenizer(text, **self.tokenizer_call_args)["input_ids"])
        message, before = _asked(input)
        record = self.parity.record(message, text, ids, before) if self.parity else {}
        self._check_room(message, ids)
        output = await super().generate(input, tools, tool_choice, config)
        output.metadata = {**(output.metadata or {}), METADATA_KEY: {**record, "weights": self.weights, "versions": _versions()}}
        return output


    def _check_room(self, message: str, ids: list[int]) -> None:
        """Refuse a sample of a task that brings its own data; the design's rows were all looked at before the first one was asked."""
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most is not None and len(ids) >= most:
            why = f"which leaves no room for an answer in the model's context length ({most} tokens)"
            raise RenderError(f"the sample {short(message)} has {len(ids)} tokens before its answer, {why}")


@functools.cache
def _versions() -> dict[str, str]:
    """Versions of what computes answers; inspect's log has its own only."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in ("torch", "transformers", "tokenizers", "safetensors")}}


_NO_SEED = 0  # of an evaluation to which the design gives none
_loaded: dict[str, Any] = {}  # the weights of the folder that was loaded last


class _Loader:
    """Stands for transformers' class in our base class, which loads the weights anew for each evaluation."""

    @staticmethod
    def from_pretrained(path: str, **options: Any) -> Any:
        key = repr((path, sorted(options.items())))
        if key not in _loaded:
            _loaded.clear()  # before the next ones are loaded: memory may not hold both
            _loaded[key] = load_model(path, **options)
        return _loaded[key]


@contextlib.contextmanager
def _weights_loaded_once() -> Iterator[None]:
    hf.AutoModelForCausalLM = _Loader
    try:
        yield
    finally:
        hf.AutoModelForCausalLM = AutoModelForCausalLM


def _asked(messages: list[ChatMessage]) -> tuple[str, Said]:
    """The user's last message, and what was said before it."""
    said = [(str(message.role), message.text) for message in messages]
    last = max((number for number, (role, _) in enumerate(said) if role == "user"), default=None)
    return ("", tuple(said)) if last is None else (said[last][1], tuple(said[:last]))


def _generation_config(tokenizer: Any, stops: frozenset[int], *, do_sample: bool) -> Any:
    from transformers import GenerationConfig

    config = GenerationConfig(bos_token_id=tokenizer.bos_token_id, eos_token_id=sorted(stops), pad_token_id=tokenizer.pad_token_id)
    if do_sample:
        config.top_k = 0  # transformers samples from the 50 likeliest tokens where nothing is said
    return config
