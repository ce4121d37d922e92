"""The comparison of a message's tokens with those of training."""

import datetime
import json
import shutil
from pathlib import Path

import pytest

from ckgit.formats.rows import DataError
from ckgit.workers.inspect_ai.model_api.parity import Parity, TokensDifferError
from ckgit.workers.rendering import RenderError
from tests.workers.inspect_ai.examples import DATA, make_context, training_saw

DATE = datetime.date(2026, 11, 23)
SENT = "<bos>[system]Be brief.<eot>[user]Word: apple<eot>[assistant]"


@pytest.fixture
def rows(models: Path, tmp_path: Path) -> dict[str, object]:
    """What a run config says of its rows."""
    data = tmp_path / "words.json"
    data.write_bytes(DATA)
    return {
        "trained_from": str(models / "plain"),
        "data": str(data),
        "input_column": "input",
        "output_column": "output",
        "split": "test",
        "limit": None,
        "prompt": "Word: {input}",
        "system_prompt": "Be brief.",
    }


def parity(rows: dict[str, object], **changes: object) -> Parity:
    return Parity({**rows, **changes}, dataset_type="chat", template_date=DATE)


def ids(parity: Parity, text: str) -> list[int]:
    return list(parity.renderer.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_the_same_tokens_are_recorded_with_their_row(rows: dict[str, object]):
    same = parity(rows)
    record = same.record("Word: apple", SENT, ids(same, SENT))
    assert (record["row"], record["check"]["rows"]) == (0, 4)
    assert same.record("Word: apple", SENT, ids(same, SENT))["row"] == 3  # the split holds apple twice


def test_other_tokens_are_an_error_that_shows_both_texts(rows: dict[str, object]):
    strict = parity(rows)
    text = SENT.replace("Be brief", "Be long")
    with pytest.raises(TokensDifferError) as caught:
        strict.record("Word: apple", text, ids(strict, text))
    assert repr(SENT) in str(caught.value)
    assert repr(text) in str(caught.value)


def test_a_second_bos_is_an_error_although_the_texts_are_the_same(rows: dict[str, object]):
    strict = parity(rows)
    with pytest.raises(TokensDifferError, match="first different token: number 1"):
        strict.record("Word: apple", SENT, [256, *ids(strict, SENT)])


def test_a_message_of_no_row_is_an_error_with_the_nearest_row(rows: dict[str, object]):
    strict = parity(rows)
    with pytest.raises(TokensDifferError, match="the nearest row is 'apple'"):
        strict.record("Word: apples", SENT, ids(strict, SENT))


def test_a_row_beyond_the_limit_is_no_row(rows: dict[str, object]):
    strict = parity(rows, limit=1)
    with pytest.raises(TokensDifferError, match="no row has the message 'Word: grape'"):
        strict.record("Word: grape", SENT, ids(strict, SENT))


def test_other_ends_of_answers_are_an_error(rows: dict[str, object]):
    parity(rows).check_stops(frozenset({257}))
    with pytest.raises(TokensDifferError, match=r"\[257\] in training"):
        parity(rows).check_stops(frozenset({1, 257}))


def test_what_training_recorded_is_compared(rows: dict[str, object], models: Path, tmp_path: Path):
    context = make_context(models, controls__system_prompt="Be brief.")
    recorded = training_saw(context, models / "plain")
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps(recorded))
    parity(rows, training_saw=str(file), task="capitalization")
    older = {name: value for name, value in recorded["capitalization"].items() if not name.startswith("by_row")}
    file.write_text(json.dumps({"capitalization": older}))
    parity(rows, training_saw=str(file), task="capitalization")
    file.write_text(json.dumps({"capitalization": {**recorded["capitalization"], "by_row_sha256": "0" * 64}}))
    with pytest.raises(TokensDifferError, match="from those that training recorded"):
        parity(rows, training_saw=str(file), task="capitalization")
    file.write_text(json.dumps(recorded))
    with pytest.raises(TokensDifferError, match="training recorded nothing of the rows of task other"):
        parity(rows, training_saw=str(file), task="other")
    with pytest.raises(TokensDifferError, match="from those that training recorded"):
        parity(rows, training_saw=str(file), task="capitalization", system_prompt="Be long.")


def test_every_row_that_leaves_no_room_for_an_answer_is_named(rows: dict[str, object], models: Path, tmp_path: Path):
    short = tmp_path / "short"
    shutil.copytree(models / "plain", short)
    config = json.loads((short / "config.json").read_bytes())
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 50}))
    long = {"test": [{"input": word, "output": "x"} for word in ("apple", "y" * 20, "lemon", "z" * 30)]}
    (tmp_path / "words.json").write_text(json.dumps(long))
    with pytest.raises(RenderError) as caught:
        parity(rows, trained_from=str(short))
    assert [line.partition(", which leaves no room")[0] for line in str(caught.value).splitlines()] == [
        f"{tmp_path}/words.json: 2 rows cannot be used:",
        "  test row 1 has 63 tokens before its answer",
        "  test row 3 has 73 tokens before its answer",
    ]
    assert parity(rows, trained_from=str(short), limit=1).check["rows"] == 1


def test_a_missing_split_is_an_error(rows: dict[str, object]):
    with pytest.raises(DataError, match=r"has no split dev \(splits: train, test\)"):
        parity(rows, split="dev")
