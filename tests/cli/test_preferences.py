"""What `ckgit validate` says of preferences."""

from tests.cli.remarks import DESIGN, WORDS, said, splits


def pairs(before=""):
    """Rows whose answers begin so, with their prompt in it."""
    texts = [(word, before.format(word)) for word in WORDS]
    return splits([{"prompt": word, "chosen": start + word.upper(), "rejected": start + word} for word, start in texts])


CONTROLS = "batch_size: 2, objective: dpo, lr: 2e-5"
OF_PAIRS = DESIGN.replace("models:", "tools: {preparation: trl}\nmodels:").replace("batch_size: 2", CONTROLS)
READ = "data/rows.json is read as preferences (prompt, chosen, rejected); write shape: preference to say so, or input_column and"


def test_preferences_are_found_out_and_told_of(validate):
    [told] = said(validate(pairs(), OF_PAIRS))
    assert READ in told
    assert said(validate(None, OF_PAIRS.replace("rows.json}", "rows.json, shape: preference}"))) == []


def test_answers_that_begin_with_their_prompt_are_told_of(validate):
    both = "both answers of all 8 rows of split train begin with their prompt, which the model is sent before them"
    assert any(both in each for each in said(validate(pairs("{} is "), OF_PAIRS)))


def test_one_answer_is_not_picked_out_of_two(validate):
    [which] = said(validate(pairs(), DESIGN))
    assert "run rank4 and 1 other: rows of data words have a chosen and a rejected answer, and one is trained" in which
    assert said(validate(None, DESIGN.replace("rows.json}", "rows.json, input_column: prompt, output_column: chosen}"))) == []


def test_rows_that_are_no_preferences_are_named(validate):
    rows = pairs()
    rows["train"][3]["rejected"] = rows["train"][3]["chosen"]
    rows["test"][0]["chosen"] = ""
    [bad] = said(validate(rows, OF_PAIRS))
    assert "2 of 12 rows cannot be used:" in bad
    assert "train row 3: its chosen and its rejected answer are the same" in bad
    assert "test row 0: its chosen answer is empty" in bad
