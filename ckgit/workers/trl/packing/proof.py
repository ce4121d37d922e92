"""Before the first step: that rows which are packed into one sequence do not see each other, for this model and this attention.

A model keeps rows apart by their positions, which begin anew with each row, or not at all; which of both is a matter of its code, of
what its attention is computed with, and of versions. So it is tried, with the model that is about to be trained and what TRL hands to it.
Imported in training jobs only, where torchao is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch

from ckgit.workers.trl.model import CannotTrainError

MOST_ALONE = 8  # rows that are looked at by themselves, too; whether others change a row is looked at for all of them
MOST_TOKENS = 8192  # of the rows whose logits are looked at, unless one or two have more: a training does not hold all logits at once
# Share of the largest logit by which those of a row may differ from what it has alone: rounding, as its numbers are added in another order.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
Sequence_ = Mapping[str, Any]  # of TRL's: input_ids, labels, and seq_lengths, which are those of its rows
_REMEDY = "leave packing_length out"


def check_apart(trainer: Any) -> None:
    """Look at the logits of packed rows, each beside the others and alone. The training's random numbers stay.

    In bf16 a model that mixes rows a little differs by no more than rounding does; but where nothing is mixed, no bit of a row changes with
    the tokens of the others. So both are looked at: other rows of the same lengths must change nothing, and no rows little.

    Raises:
        CannotTrainError: rows see each other, or the model does not take them so; says which model, and with which attention.
    """
    model, config = trainer.model, trainer.model.config
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(), torch.no_grad():
            why = _found(trainer, _fullest(trainer))
    except (NotImplementedError, TypeError, ValueError) as error:  # as its code refuses what it is handed
        why = f"it does not take packed rows: {' '.join(str(error).split())}"
    finally:
        model.train(was_training)
    if why:
        which = f"{type(config).__name__.removesuffix('Config')} ({config.model_type}) with {config._attn_implementation} attention"  # noqa: SLF001
        raise CannotTrainError(f"packed rows are not trained as rows by themselves are: of model {which}, {why}; {_REMEDY}")


def _fullest(trainer: Any) -> Sequence_:
    """Rows of the sequences that have the most, of as many as a batch has but no more than two, as one: TRL joins those of a batch, too."""
    packed = trainer.train_dataset
    counts = list(map(len, packed["seq_lengths"]))
    by_rows = sorted(range(len(packed)), key=lambda at: -counts[at])
    chosen = [packed[at] for at in by_rows[: min(2, int(trainer.args.per_device_train_batch_size))]]
    whole = {name: [each for one in chosen for each in one[name]] for name in ("input_ids", "labels", "seq_lengths")}
    ends = list(accumulate(whole["seq_lengths"]))
    number = max(sum(end <= MOST_TOKENS for end in ends), min(2, len(ends)))
    tokens = ends[number - 1]
    return {"input_ids": whole["input_ids"][:tokens], "labels": whole["labels"][:tokens], "seq_lengths": whole["seq_lengths"][:number]}


def _found(trainer: Any, whole: Sequence_) -> str:
    """What is wrong with the logits of a sequence's rows; empty where nothing is."""
    rows = list(pairwise(accumulate(whole["seq_lengths"], initial=0)))
    logits = _logits(trainer, whole)
    largest = max(float(logits.abs().max()), 1e-9)
    for parity in (0, 1):
        kept = [row for number, row in enumerate(rows) if number % 2 == parity]
        others = _logits(trainer, {**whole, "input_ids": _replaced(whole["input_ids"], kept)})
        if changed := max((_apart(logits[begin:end], others[begin:end]) for begin, end in kept), default=0.0):
            return f"the logits of a row change by {changed / largest:.2g} of the largest with the other rows of its sequence"
    most = TOLERANCE[trainer.model.dtype]
    for begin, end in _some(rows):
        alone = {name: whole[name][begin:end] for name in ("input_ids", "labels")} | {"seq_lengths": [end - begin]}
        if not (apart := _apart(logits[begin:end], _logits(trainer, alone)) / largest) <= most:
            return f"the logits of a row in a sequence differ by {apart:.2g} of the largest from those that it has alone"
    return ""


def _logits(trainer: Any, sequence: Sequence_) -> torch.Tensor:
    """Of each token, as the model is handed the sequence in training."""
    batch = trainer.data_collator([sequence])
    inputs = {name: value for name, value in trainer._prepare_inputs(batch).items() if name != "labels"}  # noqa: SLF001 - to its device
    with trainer.accelerator.autocast():
        found: torch.Tensor = trainer.model(**inputs, use_cache=False).logits[0]
    return found


def _replaced(tokens: Sequence[int], kept: Sequence[tuple[int, int]]) -> list[int]:
    """Other tokens, of those that the sequence has, in all rows but some."""
    known = sorted({*tokens})
    following = dict(zip(known, [*known[1:], known[0]], strict=True))
    inside = {at for begin, end in kept for at in range(begin, end)}
    return [token if at in inside else following[token] for at, token in enumerate(tokens)]


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference; what is no number differs from everything."""
    return float((one.float() - other.float()).abs().nan_to_num(nan=float("inf")).max())


def _some(rows: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The first, the last, and those between that lie as far from each other."""
    number = min(MOST_ALONE, len(rows))
    yield from (rows[round(at * (len(rows) - 1) / max(1, number - 1))] for at in range(number))
