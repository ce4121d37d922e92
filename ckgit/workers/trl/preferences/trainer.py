"""TRL's trainer of preferences, on rows that are tokens already. Imported in training jobs only, where torchao is hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trl import DPOConfig, DPOTrainer

from ckgit.workers.trl.trainer import Recording, digest


class PreferenceTrainer(Recording, DPOTrainer):
    """Trains a chosen answer against a rejected one; the model as it was before is the reference."""

    config = DPOConfig
    # TRL takes the dropout of modules away, and leaves what a model's code does by a number of its configuration.
    dropping = (
        "a reward would be of what is dropped, not of what is learned; set it to 0 in the model's config.json, and add the model again"
    )

    def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:  # noqa: ARG002 - as it is called
        """TRL's would make tokens of texts by the folder's template: with what that writes after the end of a turn, and today's date."""
        return dataset

    @staticmethod
    def trained(inputs: Any) -> int:
        """Those of both answers."""
        return int(inputs["completion_mask"].sum())

    @staticmethod
    def handed(batch: Mapping[str, Any]) -> Iterator[bytes]:
        """See `Recording`. The first half of a batch is chosen, and the second rejected."""
        made = list(_sequences(batch))
        half = len(made) // 2
        for (prompt, chosen), (other, rejected) in zip(made[:half], made[half:], strict=True):
            yield digest(prompt, chosen, rejected, *([] if prompt == other else [other]))

    @staticmethod
    def rendered(row: Mapping[str, list[int]]) -> bytes:
        """See `Recording`."""
        return digest(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"])

    @staticmethod
    def sequence(row: Mapping[str, list[int]]) -> list[int]:
        """With the chosen answer."""
        return [*row["prompt_ids"], *row["chosen_ids"]]


def _sequences(batch: Mapping[str, Any]) -> Iterator[tuple[list[int], list[int]]]:
    """The tokens of each row of a batch whose loss is ignored, and those that are trained; what is padding and trained is one of these."""
    for ids, trained, mask in zip(*(batch[name].tolist() for name in ("input_ids", "completion_mask", "attention_mask")), strict=True):
        yield [each for each, at, there in zip(ids, trained, mask, strict=True) if there and not at], [
            each for each, at in zip(ids, trained, strict=True) if at
        ]
