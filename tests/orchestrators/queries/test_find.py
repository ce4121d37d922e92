"""Conditions on designs, as `ckgit list --where` takes them."""

from __future__ import annotations

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.orchestrators.queries.design_values import _values
from ckgit.orchestrators.queries.find import Where, unknown_name

DESIGN = _values(
    b"""---
schema_version: 1
experiment:
  name: demo
  date: 2026-11-23
models: [SmolLM2-135M-Instruct]
data:
  words: {path: data/words_5L.json}
controls: {lr: 0.0003, packed: false, epochs: 2}
variables:
  lora_rank: [4, 16]
runs:
  - {name: base, type: control}
evaluation:
  tasks: [{name: capitalization, split: test}]
  generation: {temperature: 0.0}
state: designed
recorded:
  data:
    words: {bytes: 777}
---
"""
)
HOLDS = [
    "lora_rank=16",
    "lora_rank=4.0",
    "lora_rank>10",
    "lora_rank!=8",
    "variables.lora_rank=4",
    "lr=3e-4",
    "lr<1e-3",
    "controls.lr >= 3e-4",
    "model=SmolLM2*",
    "models=SmolLM2-135M-Instruct",
    "data=words",
    "path=data/words_5L.json",
    "task=capitalization",
    "run=base",
    "type=control",
    "packed=false",
    "packed!=true",
    "date>=2026-11",
    "date<2027",
    "generation.temperature=0",
    "variables=lora_rank",
    "variable=lora_rank",
    "name=demo",
]
DOES_NOT = [
    "lora_rank=8",
    "lora_rank!=16",
    "lora_rank<4",
    "rank=16",
    "lr=3",
    "model=smollm2",
    "packed=0",
    "packed<1",
    "epochs>x",
    "date>2027",
    "temperature=",
    "bytes=777",
    "controls.lora_rank=4",
]


@pytest.mark.parametrize("condition", HOLDS)
def test_what_holds(condition: str) -> None:
    assert Where.parse(condition).holds(DESIGN)


@pytest.mark.parametrize("condition", DOES_NOT)
def test_what_does_not(condition: str) -> None:
    assert not Where.parse(condition).holds(DESIGN)


@pytest.mark.parametrize("text", ["", "lora_rank", "=8", "lora rank=8", "8=lora_rank"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(CkgitError, match="--where takes a name") as caught:
        Where.parse(text)
    assert caught.value.code is Exit.USAGE


def test_a_name_that_no_design_has() -> None:
    assert unknown_name([Where.parse("lora_rnk=8")], [{}, DESIGN]) == "no design has 'lora_rnk'; did you mean lora_rank?"
    assert unknown_name([Where.parse("lora_rank=8")], [{}, DESIGN]) == ""
    assert unknown_name([Where.parse("lora_rank=8")], []) == ""


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"---\na: [\n---\n", b"no front matter"])
def test_a_summary_that_cannot_be_read_says_nothing(content: bytes | None) -> None:
    assert _values(content) == {}
