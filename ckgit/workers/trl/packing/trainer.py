"""TRL's trainer of answers, on rows that are packed. Imported in training jobs only, where torchao is hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch

from ckgit.workers.rendering import IGNORED
from ckgit.workers.training.tokens import PromptsDifferError
from ckgit.workers.trl.outputs.log import READ
from ckgit.workers.trl.outputs.packing import PackingRecord
from ckgit.workers.trl.trainer import RecordedTrainer, digest


class PackedTrainer(RecordedTrainer):
    """Trains answers, several rows in a sequence. A validation loss is the mean over all tokens, however rows were packed."""

    read = 0  # tokens of sequences since the last line of the log
    _measured = (0.0, 0)  # in a validation until now: losses of tokens, and their number
    _looked_at = 0  # sequences of which a validation has measured the loss until now, in this process

    @staticmethod
    def handed(batch: Mapping[str, Any]) -> Iterator[bytes]:
        """See `Recording`. A row begins wherever positions do."""
        ids, labels, positions = (batch[name][0].tolist() for name in ("input_ids", "labels", "position_ids"))
        begins = [at for at, position in enumerate(positions) if position == 0]
        for begin, end in pairwise([*begins, len(ids)]):
            yield digest(ids[begin:end], labels[begin:end])

    @staticmethod
    def rendered(row: Mapping[str, list[int]]) -> bytes:
        """See `Recording`. Nothing comes before a row's first token, from which it could be told."""
        return digest(row["input_ids"], [IGNORED, *row["labels"][1:]])

    def most_again(self, dataset: Any, sequences: int) -> int:
        """See `Recording`: the rows of these sequences."""
        return sum(sorted(map(len, dataset["seq_lengths"]), reverse=True)[:sequences])

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As TRL's."""
        self.read += int(inputs["input_ids"].numel())
        return super().training_step(model, inputs, *args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As TRL's; losses come with all tokens that were read for them."""
        if "loss" in logs:
            logs[READ] = int(self.accelerator.reduce(torch.tensor(self.read, device=self.accelerator.device), "sum"))
            self.read = 0
        super().log(logs, start_time)

    def prediction_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As TRL's, of which the losses are summed up; each batch is one sequence. The last ones may be there for another process alone."""
        number = self._looked_at * self.accelerator.num_processes + self.accelerator.process_index
        tokens = self.trained(inputs) if number < len(self.eval_dataset) else 0
        found = super().prediction_step(model, inputs, *args, **kwargs)
        self._measured = (self._measured[0] + float(found[0]) * tokens, self._measured[1] + tokens)
        self._looked_at += 1
        return found

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's, whose loss would be a mean over batches, and one that has a single short row would weigh as much as any."""
        self._measured, self._looked_at = (0.0, 0), 0
        output = super().evaluation_loop(*args, **kwargs)
        mine = torch.tensor(self._measured, device=self.accelerator.device, dtype=torch.float64)
        losses, tokens = self.accelerator.reduce(mine, "sum").tolist()
        output.metrics["eval_loss"] = losses / tokens
        return output


def check_packed(trainer: Any, record: PackingRecord) -> None:
    """Compare what TRL has packed with what was counted.

    Raises:
        PromptsDifferError: it has other sequences.
    """
    for packed, counted in ((trainer.train_dataset, record.train), (trainer.eval_dataset, record.validation)):
        if counted and len(packed) != counted.sequences:
            counts = f"{counted.rows} rows make {counted.sequences} sequences of at most {record.packing_length} tokens"
            raise PromptsDifferError(f"{counts}, and TRL has packed them into {len(packed)}")
