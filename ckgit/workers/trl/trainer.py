"""TRL's trainer, which writes down what each step came to, and is held to the rows that were rendered.

Imported in training jobs only, where torchao is hidden.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback, Trainer
from trl import (
    DatasetMixtureConfig,
    ModelConfig,
    ScriptArguments,
    SFTConfig,
    SFTTrainer,
    TrlParser,
    get_peft_config,
    get_quantization_config,
)

from ckgit.workers.loading import as_trained
from ckgit.workers.rendering import IGNORED
from ckgit.workers.training.tokens import PromptsDifferError
from ckgit.workers.trl.callbacks import Recorder, Saver, Saving
from ckgit.workers.trl.distributed.checks import gathered
from ckgit.workers.trl.model import refuse_dropout, refuse_untrained, refuse_without_experts

Rows = Sequence[Mapping[str, list[int]]]
# As dropout does, a validation draws random numbers.
_DRAWN = "beside it a validation draws from the random numbers of the training, and changes what is trained; leave validation_split out"


class Recording(Trainer):
    """What ckgit adds to a trainer of TRL's: it counts the tokens that are trained on, and knows how rows are handed to it."""

    tokens = 0  # since the last line of the log
    dropping = ""  # why its model may drop nothing; empty where it may

    @staticmethod
    def trained(inputs: Any) -> int:
        """How many tokens of a batch are trained on."""
        raise NotImplementedError

    @staticmethod
    def handed(batch: Mapping[str, Any]) -> Iterator[bytes]:
        """A digest of each row of a batch, as the model is handed it."""
        raise NotImplementedError

    @staticmethod
    def rendered(row: Mapping[str, list[int]]) -> bytes:
        """The same of a row as it was rendered."""
        raise NotImplementedError

    @staticmethod
    def sequence(row: Mapping[str, list[int]]) -> list[int]:
        """The tokens of a row by which two models are compared."""
        raise NotImplementedError

    def most_again(self, dataset: Any, sequences: int) -> int:  # noqa: ARG002 - for those that override it
        """How many rows may be there once more where so many sequences are, so that all processes have equally many."""
        return sequences

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As TRL's."""
        self.tokens += self.trained(inputs)
        return super().training_step(model, inputs, *args, **kwargs)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's. What it measures is of all processes: it would leave some out at the end of an epoch, unless that was gone on with."""
        there = self.accelerator
        stock, there.gather_for_metrics = there.gather_for_metrics, there.gather
        try:
            return super().compute_loss(*args, **kwargs)
        finally:
            there.gather_for_metrics = stock

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As TRL's; losses come with their tokens."""
        if "loss" in logs:
            mine = torch.tensor(self.tokens, device=self.accelerator.device)
            logs["tokens"] = int(self.accelerator.reduce(mine, "sum"))
            self.tokens = 0
        super().log(logs, start_time)


class RecordedTrainer(Recording, SFTTrainer):
    """Trains answers."""

    config = SFTConfig

    @staticmethod
    def trained(inputs: Any) -> int:
        """Those whose label is not ignored."""
        return int((inputs["labels"] != IGNORED).sum())

    @staticmethod
    def handed(batch: Mapping[str, Any]) -> Iterator[bytes]:
        """See `Recording`."""
        for ids, labels, mask in zip(*(batch[name].tolist() for name in ("input_ids", "labels", "attention_mask")), strict=True):
            length = sum(mask)
            padding = [label for label in labels[length:] if label != IGNORED]  # that is trained would be another row
            yield digest(ids[:length], [*labels[:length], *padding])

    @staticmethod
    def rendered(row: Mapping[str, list[int]]) -> bytes:
        """See `Recording`."""
        return digest(row["input_ids"], row["labels"])

    @staticmethod
    def sequence(row: Mapping[str, list[int]]) -> list[int]:
        """See `Recording`."""
        return row["input_ids"]


def read_rows(file: Path) -> list[dict[str, list[int]]]:
    """Rows as tokens and labels; none where there is no such file."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def make_trainer(config: Path, rows: Rows, held_out: Rows = (), saving: Saving | None = None, kind: Any = RecordedTrainer) -> Any:
    """The trainer that TRL's command would make of a configuration, but for what it writes down.

    Args:
        held_out: rows whose loss is measured.
        saving: None for a training that need not go on.
        kind: a `Recording` of TRL's trainer for the objective.

    Raises:
        CannotTrainError: the model lacks a module that LoRA is to change or to train as a whole, of which PEFT says nothing; or it has
            dropout of its own, and rows are held out; or it has no experts, and a share of their loss is given.
    """
    parser = TrlParser((ScriptArguments, kind.config, ModelConfig, DatasetMixtureConfig))
    _, args, model, _ = parser.parse_args_and_config(["--config", str(config)])
    args.model_init_kwargs = {
        "revision": model.model_revision,
        "trust_remote_code": args.trust_remote_code,
        "attn_implementation": model.attn_implementation,
        "dtype": model.dtype,
    }
    if args.router_aux_loss_coef:
        refuse_without_experts(model.model_name_or_path)
    artifacts = Path(args.output_dir)
    trainer = kind(
        model=model.model_name_or_path,
        args=args,
        train_dataset=Dataset.from_list(list(rows)),
        eval_dataset=Dataset.from_list(list(held_out)) if held_out else None,
        quantization_config=get_quantization_config(model),
        peft_config=get_peft_config(model),
        callbacks=[Recorder(artifacts), *([Saver(artifacts, saving)] if saving else [])],
    )
    for spoken in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(spoken)
    as_trained(trainer.model)
    if model.use_peft:
        refuse_untrained(trainer.model, model.lora_target_modules, model.lora_modules_to_save or ())
    for why in (kind.dropping, _DRAWN if held_out else ""):
        if why:
            refuse_dropout(trainer.model, why)
    return trainer


def check_handed(trainer: Any, rows: Rows, held_out: Rows = ()) -> None:
    """Compare what the model will be handed, in an epoch and in a validation, with what was rendered. The training's random numbers stay.

    Raises:
        PromptsDifferError: a row is cut, masked otherwise, or not there; or there twice, and no process needs it to have as many.
    """
    with torch.random.fork_rng():
        _compare(trainer, trainer.get_train_dataloader(), rows, trainer.train_dataset)
        if held_out:
            _compare(trainer, trainer.get_eval_dataloader(), held_out, trainer.eval_dataset)


def _compare(trainer: Any, batches: Iterable[Mapping[str, Any]], rows: Rows, dataset: Any) -> None:
    shares = gathered(Counter(each for batch in batches for each in trainer.handed(batch)))
    trainer.accelerator._dataloaders.pop()  # noqa: SLF001 - it keeps each for saving states of its own, and this one does not train
    rendered = Counter(map(trainer.rendered, rows))
    handed: Counter[bytes] = sum(shares, Counter())
    again = handed - rendered if len(shares) > 1 else Counter[bytes]()  # so that all processes have equally many
    most = trainer.most_again(dataset, int(trainer.args.per_device_train_batch_size) * len(shares) - 1)
    if again.keys() <= rendered.keys() and again.total() <= most:
        handed -= again
    if handed != rendered:
        others, lost = sum((handed - rendered).values()), sum((rendered - handed).values())
        said = f"of {len(rows)} rows, {lost} do not reach the model as they were rendered"
        raise PromptsDifferError(f"{said}; it is handed {others} others")


def digest(*tokens: Sequence[int]) -> bytes:
    """Of lists of numbers."""
    return hashlib.sha256(json.dumps([list(each) for each in tokens]).encode()).digest()
