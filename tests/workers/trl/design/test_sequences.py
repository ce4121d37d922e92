"""How many sequences there are follows from the lengths of rows alone, and is what TRL makes."""

from __future__ import annotations

import random

import pytest
from datasets import Dataset
from trl import pack_dataset

from ckgit.workers.trl.design.sequences import GROUP, histograms, sequences

KINDS = {
    "alike": lambda choice: 30,
    "short": lambda choice: choice.randint(1, 9),
    "of all lengths": lambda choice: choice.randint(1, 96),
    "long and short": lambda choice: choice.choice((1, 2, 3, 60, 95, 96)),
    "half": lambda choice: choice.randint(44, 52),
    "skewed": lambda choice: min(96, 1 + int(choice.expovariate(0.08))),
}


@pytest.mark.parametrize("number", [1, 2, 7, 300, GROUP, GROUP + 1, 2345])
@pytest.mark.parametrize("kind", KINDS)
def test_there_are_as_many_sequences_as_trl_makes(kind: str, number: int) -> None:
    choice = random.Random(f"{kind} {number}")  # noqa: S311 no secret
    lengths = [KINDS[kind](choice) for _ in range(number)]
    packed = pack_dataset(Dataset.from_list([{"input_ids": [1] * length} for length in lengths]), 96, "bfd")
    groups = histograms(lengths)
    assert sum(sum(group.values()) for group in groups) == number
    assert sequences(groups, 96) == len(packed)
    assert max(map(sum, packed["seq_lengths"])) <= 96
    assert sorted(length for each in packed["seq_lengths"] for length in each) == sorted(lengths)


def test_the_order_of_rows_matters_between_groups_alone() -> None:
    lengths = [60] * GROUP + [36] * GROUP
    assert sequences(histograms(lengths), 96) == GROUP + GROUP // 2
    assert sequences(histograms(lengths[::2] + lengths[1::2]), 96) == GROUP
    assert sequences(histograms(list(reversed(lengths[:GROUP]))), 96) == GROUP
