"""What `ckgit validate` and `ckgit design` say of the rows, columns, lengths and runs of a design, on real files in a real lab."""

import gzip
import json
from importlib.resources import files

import pytest

from tests.cli.remarks import DESIGN, WORDS, ckgit, rows, said, splits
from tests.whole import tiny_llama


def test_a_sound_design_has_nothing_said_of_it(validate):
    assert said(validate(splits(rows()))) == []


# Rows without text


def alpaca(*, empty):
    """Rows as Alpaca has them; of every six, so many have no input."""
    made = rows(instruction=lambda n, w: f"Write {w} in capitals.")
    return splits([{**row, "input": "" if n % 6 < empty else row["input"]} for n, row in enumerate(made)])


def test_an_alpaca_file_is_refused_and_told_which_column_holds_the_question(validate):
    assert validate(alpaca(empty=4))["valid"]  # it is read as what it is
    two = DESIGN.replace("data/rows.json", "data/rows.json, shape: columns")
    found = said(validate(None, two))
    assert found == [
        ("5:3: 6 of 8 rows of split train (train row 0 is the first) have no text in input_column 'input', and nothing uses the text "
        "column instruction: the model would be trained on the prompt without it; write input_column: instruction, or join the columns "
        "into one in the file"),
        ("5:3: 2 of 4 rows of split test (test row 0 is the first) have no text in input_column 'input', and nothing uses the text "
        "column instruction: the model would be asked the prompt without it; write input_column: instruction, or join the columns into "
        "one in the file"),
    ]
    mended = DESIGN.replace("data/rows.json", "data/rows.json, input_column: instruction")
    assert validate(None, mended)["valid"]


def test_a_few_rows_without_input_are_a_warning_with_the_first(validate):
    made = rows()
    made[3]["input"] = " \n"
    assert said(validate(splits(made))) == [
        "5:3: 1 of 8 rows of split train (train row 3) have no text in input_column 'input': there the model is trained on the prompt alone"
    ]


def test_an_unused_column_beside_inputs_is_a_warning_that_names_it(validate):
    made = rows(instruction=lambda n, w: f"Write {w} in capitals.", context=lambda n, w: f"about {n} letters", id=lambda n, w: f"word {n}")
    found = said(validate(splits(made), DESIGN.replace("data/rows.json", "data/rows.json, shape: columns")))
    assert found == ["5:3: nothing uses the text columns instruction and context of data/rows.json: the model is never shown them"]
    other = "data/rows.json}\n  other: {path: data/rows.json, input_column: instruction, output_column: context}"
    assert not [text for text in said(validate(None, DESIGN.replace("data/rows.json}", other))) if "nothing uses the text" in text]


def test_earlier_turns_that_alpaca_rows_are_read_without_are_told(validate):
    made = rows(instruction=lambda n, w: f"Write {w}", history=lambda n, w: [["hi", "hello"]] if n else [], tags=lambda n, w: ["a word"])
    found = said(validate(splits(made), DESIGN.replace("data/rows.json", "data/rows.json, shape: alpaca")))
    assert found == ["5:3: nothing uses the text column history of data/rows.json: the model is never shown it"]


@pytest.mark.parametrize(
    "given",
    [
        "groups: [where]",
        "clusters: where",
        "args: {columns: {choices: [where]}}",
        "args: {columns: {where: label}}",
        "scorers: [{name: pattern, args: {pattern: where}}]",
    ],
)
def test_a_column_that_a_task_or_a_scorer_is_told_of_is_used(validate, given):
    made = rows(where=lambda n, w: "at home" if n % 2 else "at work")
    assert any("nothing uses the text column where" in text for text in said(validate(splits(made))))
    found = validate(None, DESIGN.replace("- name: capitalization", f"- {{name: capitalization, {given}}}"))
    assert (found["valid"], said(found)) == (True, [])


def test_the_column_that_names_a_rows_split_is_used(validate):
    made = rows(where=lambda n, w: "train" if n < 8 else "test")
    design = DESIGN.replace("{path: data/rows.json}", "{path: data/rows.json, split_column: where}")
    assert said(validate(made, design)) == []


def test_columns_that_say_something_about_a_row_or_repeat_it_are_no_text(validate):
    made = rows(
        id=lambda n, w: f"row {n}", url=lambda n, w: "https://example.org/a b", date=lambda n, w: "2026-11-23", row_key=lambda n, w: "a b",
        number=lambda n, w: "17", label_code=lambda n, w: f"x{n}", prefixed=lambda n, w: f"word: {w}", weight=lambda n, w: 0.5,
    )  # fmt: skip
    assert said(validate(splits(made))) == []


def test_no_column_of_the_sample_data_is_missed_whichever_is_the_output(validate):
    made = json.loads((files("ckgit.lab") / "templates/data/words_5L.json").read_bytes())
    assert said(validate(made)) == []
    assert said(validate(None, DESIGN.replace("data/rows.json", "data/rows.json, output_column: prefixed"))) == []


def test_all_inputs_empty_is_refused_where_only_the_template_is_left(validate):
    made = [{"input": "", "output": w} for w in WORDS]
    found = said(validate(splits(made)))
    assert "all 8 rows of split train (train row 0 is the first)" in found[0]
    assert found[0].endswith("the model would be trained on nothing but its template")
    plain = DESIGN.replace("batch_size: 2", "batch_size: 2, dataset_type: text_completion")
    assert validate(None, plain)["valid"]  # a language model is trained so


def test_rows_without_output_train_the_end_of_the_turn_alone(validate):
    made = rows()
    made[1]["output"] = ""
    made[9]["output"] = "  "
    assert [text.partition(": ")[2].partition(" (")[0] for text in said(validate(splits(made)))] == [
        "1 of 8 rows of split train",
        "1 of 4 rows of split test",
    ]
    for row in made:
        row["output"] = ""
    found = said(validate(splits(made)))
    assert len(found) == 1  # training; a test row without output may be judged otherwise
    assert "they train nothing but the end of the turn" in found[0]


def test_rows_that_are_trained_on_and_evaluated_are_counted(validate):
    made = rows()
    both = {"train": made[:8], "test": [*made[6:8], *made[8:10]]}
    assert said(validate(both)) == [
        (
            "5:3: train/test overlap: 2 of 4 rows of split test have an input that is trained on, too (split train); "
            "on these rows the score measures memorization"
        )
    ]
    same = DESIGN.replace("name: capitalization", "{name: capitalization, split: train}")
    assert said(validate(None, same)) == ["11:7: task capitalization evaluates split train of data words, which the runs are trained on"]


# Prompts


@pytest.mark.parametrize(
    ("prompt", "valid", "message"),
    [
        ("{question} {input}", False, "6:53: {question} in prompt is sent as it stands, as only {input} is replaced; did you mean "),
        ("{topic}: {input}", True, "6:53: {topic} in prompt is sent as it stands, as only {input} is replaced"),
        ("{{input}}", True, "6:53: {{input}} in prompt keeps its outer braces: write {input}"),
        ("{ input } {input}", False, "{ input } in prompt is sent as it stands"),
        ('Answer {\\"word\\": 1} {} {input}', True, None),
    ],
)  # fmt: skip
def test_braces_that_nothing_fills(validate, prompt, valid, message):
    made = rows(question=lambda n, w: f"Which are the capitals of {w}?")
    design = DESIGN.replace("batch_size: 2", f'batch_size: 2, prompt: "{prompt}"')
    document = validate(splits(made), design)
    found = [text for text in said(document) if "text column" not in text]
    assert document["valid"] == valid
    assert [message in text for text in found] == ([True] if message else [])


def test_an_input_in_the_system_prompt_or_a_task_s_own_prompt_has_its_place(validate):
    text = DESIGN.replace("batch_size: 2", "batch_size: 2, system_prompt: 'Say {input}'")
    text = text.replace("name: capitalization", "name: capitalization\n      prompt: '{output} {input}'")
    found = said(validate(splits(rows()), text))
    assert [one.partition(" is sent")[0] for one in found] == ["6:53: {input} in system_prompt", "12:7: {output} in prompt"]


# Bad rows, and files that hold none


def test_every_bad_row_is_named_in_the_file_s_order(validate):
    made = rows(WORDS * 4)
    made[7]["output"] = None
    del made[9]["input"]
    made[11] = "text"
    made[12]["input"] = 5
    made[13]["output"] = "\ud800"
    found = said(validate(made))
    assert found == [
        ("5:3: data/rows.json: 5 of 48 rows cannot be used:\n"
        "  row 7: column 'output' is null\n"
        "  row 9: no text in column 'input' (columns: output)\n"
        "  row 11: expected an object, found str\n"
        "  row 12: column 'input' holds a number, not text\n"
        "  row 13: its text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    ]


def test_of_many_bad_rows_the_first_ones_are_named_and_the_others_counted(validate):
    made = rows(WORDS * 10)
    for number in range(30, 90):
        made[number]["output"] = [number]
    lines = said(validate(made))[0].splitlines()
    assert (len(lines), lines[1], lines[-1]) == (22, "  row 30: column 'output' holds a list, not text", "  and 40 more")


def test_bad_lines_and_bad_rows_of_json_lines_are_named_together(validate, commit):
    lines = [json.dumps(row) for row in rows()]
    lines[2], lines[4] = "{broken", '{"input": "a"}'
    commit({"data/rows.jsonl": "\n".join(lines)})
    found = said(validate(None, DESIGN.replace("rows.json", "rows.jsonl")))
    assert [line.partition(":")[0] for line in found[0].splitlines()[1:]] == ["  line 3", "  line 5"]


def test_one_reason_for_all_rows_is_said_once(validate):
    found = said(validate(splits([{"messages": [], "text": "a"} for _ in WORDS])))
    assert found == [
        "5:3: data/rows.json: all 12 rows: column 'messages' holds no list of messages"
    ]


LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LFS, "it is a git-lfs pointer, not the file itself, which git lfs pull fetches; commit the file itself, or keep"),
        (LFS, f", at a path that the lab does not have, and write its sha256 into the design: sha256: {'ab' * 32}"),
        ("/annex/objects/MD5E-s5--abc.json\n", "it is a git-annex pointer"),
        ("outs:\n- md5: a304afb96060aad90176268345e10355\n  path: rows.json\n", "it is a DVC pointer"),
        ("", "it is an empty file"),
        (" \n", "it is an empty file"),
        ("<!DOCTYPE html>\n<html></html>", "it is an HTML page"),
        (gzip.compress(b"{}"), "it is a gzip file; unpack it"),
        (b"PK\x03\x04rest", "it is a zip archive"),
        (b"PAR1rest", "it is a Parquet file; give it the suffix .parquet"),
        ('[{"input": "a", "output": "b"}]'.encode("utf-16"), "it is UTF-16 text; write it as UTF-8"),
        ('[{"input": "a", "output": "b"}]'.encode("utf-16-le"), "it is UTF-16 text; write it as UTF-8"),
        (b"\x01\x00\x02binary\x03", "it is a binary file"),
        ('{"input": "a"}\n{"input": "a"}\n', "one JSON value a line, and not one JSON document; such a file is called .jsonl"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=["lfs", "sha", "annex", "dvc", "empty", "blank", "html", "gzip", "zip", "parquet", "utf16", "utf16le", "binary", "jsonl", "deep"],
)  # fmt: skip
def test_what_is_no_data_file_is_called_by_its_name(validate, content, words):
    [found] = said(validate(content))
    assert found.startswith("5:3: data/rows.json: ")
    assert words in found


def test_what_stands_in_a_file_s_place_is_called_by_its_name(validate, commit, lab_folder, run):
    commit({"data/folder.json/x": "1", "data/gone.json.dvc": "outs:\n- md5: a\n", "data/words.json": "[]"})
    (lab_folder / "data/link.json").symlink_to("words.json")
    (lab_folder / "data/annex.json").symlink_to("../.git/annex/objects/00/11/KEY/KEY")
    (lab_folder / "far").symlink_to("data")
    (lab_folder / "tasks/linked.py").symlink_to("capitalization.py")
    (lab_folder / "models/linked.yaml").symlink_to("tiny.yaml")
    run(lab_folder, "add", "--all")
    run(lab_folder, "update-index", "--add", "--cacheinfo", f"160000,{run(lab_folder, 'rev-parse', 'HEAD')},sub")
    run(lab_folder, "commit", "--quiet", "--message=Links")

    def of(path):
        [found] = said(validate(None, DESIGN.replace("data/rows.json", path)))
        assert found.startswith("5:11: ")
        return found

    assert "data/folder.json: a folder that save_to_disk of Hugging Face datasets wrote has dataset_dict.json" in of("data/folder.json")
    assert "data/link.json is a symbolic link to words.json on branch main" in of("data/link.json")
    assert "git-annex keeps the file itself elsewhere (git annex get fetches it)" in of("data/annex.json")
    assert "far/words.json is inside a symbolic link to data (far)" in of("far/words.json")
    assert "sub is a submodule" in of("sub")
    assert "sub/rows.json is inside a submodule (sub)" in of("sub/rows.json")
    assert "data/gone.json.dvc points to it (dvc pull fetches it)" in of("data/gone.json")
    linked = DESIGN.replace("rows.json", "words.json").replace("[tiny]", "[linked]")
    found = said(validate(None, linked.replace("name: cap", "file: tasks/linked.py\n      name: cap")))
    assert any("models/linked.yaml is a symbolic link to tiny.yaml" in text for text in found)
    assert any("tasks/linked.py is a symbolic link to capitalization.py" in text for text in found)


def test_a_pointer_in_place_of_a_task_or_a_card_is_called_by_its_name(validate, commit):
    commit({"tasks/pointer.py": LFS, "models/pointer.yaml": LFS, "data/rows.json": splits(rows())})
    found = said(validate(None, DESIGN.replace("[tiny]", "[pointer]").replace("name: capitalization", "name: pointer")))
    assert [text.partition(": ")[2].partition(",")[0] for text in found] == [
        "models/pointer.yaml is a git-lfs pointer",
        "tasks/pointer.py is a git-lfs pointer",
    ]


# Lengths


def test_rows_that_are_too_long_are_refused_before_anything_is_committed(validate, lab_folder, run):
    made = rows()
    made[2]["input"], made[5]["input"], made[9]["input"] = "x" * 3000, "y" * 130, "z" * 200
    found = said(validate(splits(made)))
    assert found == [
        ("5:3: 2 rows are too long: more than the context length of model tiny (128 tokens); a longer row cannot be trained on: shorten "
        "it, or leave it out:\n  train row 2 (at least 3,006 tokens)\n  train row 5 (at least 136 tokens)"),
        ("5:3: task capitalization: test row 1 (at least 200 tokens) is too long: no room is left for an answer in the context length "
        "of model tiny (128 tokens)"),
    ]
    assert run(lab_folder, "branch", "--list", "exp/*") == ""


def test_the_model_s_own_tokenizer_counts_where_it_is_here(lab_folder, commit, run):
    assert ckgit(lab_folder, "models", "add", "tiny_llama", str(tiny_llama())).returncode == 0
    made = rows()
    made[2]["input"], made[9]["input"] = "x" * 3000, "é" * 128  # 256 bytes in 128 characters
    commit({"data/rows.json": splits(made)})
    done = ckgit(lab_folder, "design", "cap", "--from", "-", stdin=DESIGN.replace("[tiny]", "[tiny_llama]"))
    assert done.returncode == 3
    assert "train row 2 (at least 3,006 tokens) is too long: more than the context length of model tiny_llama (256 tokens)" in done.stderr
    assert "test row 1 (at least 256 tokens)" not in done.stderr  # a merged piece may be shorter than its bytes
    assert run(lab_folder, "branch", "--list", "exp/*") == ""


def test_max_seq_len_is_the_limit_where_it_is_smaller(validate):
    made = rows()
    made[2]["input"] = "x" * 60
    found = said(validate(splits(made), DESIGN.replace("batch_size: 2", "batch_size: 2, max_seq_len: 50")))
    assert "is too long: more than max_seq_len 50" in found[0]
    packed = DESIGN.replace("batch_size: 2", "batch_size: 2, max_seq_len: 60, packing_length: 50")
    packed = packed.replace("models:", "tools: {preparation: trl}\nmodels:")
    found = said(validate(None, packed))
    assert "train row 2 (at least 66 tokens) is too long: more than packing_length 50; a longer row cannot be trained on" in found[0]


def large_vocabulary(lab_folder, commit):
    card = (lab_folder / "models/tiny.yaml").read_text()
    commit({"models/tiny.yaml": card.replace("vocab_size: 259", "vocab_size: 32000")})


def test_without_the_tokenizer_a_guess_is_a_warning(validate, lab_folder, commit):
    large_vocabulary(lab_folder, commit)
    made = rows()
    made[2]["input"], made[9]["input"] = "x" * 600, "y" * 600
    found = said(validate(splits(made)))
    assert "train row 2 (about " in found[0]
    assert "task capitalization: test row " in found[1]
    assert "(about " in found[1]


def test_of_many_rows_that_may_be_too_long_the_longest_are_named_and_the_rest_is_counted(validate, lab_folder, commit):
    large_vocabulary(lab_folder, commit)
    made = rows()
    for number in range(8):
        made[number]["input"] = "x" * (600 + 40 * number)
    lines = said(validate(splits(made)))[0].splitlines()
    assert [line.split(" (")[0] for line in lines[1:]] == ["  train row 7", "  train row 6", "  train row 5", "  and 5 more"]


def test_an_answer_that_cannot_be_given_in_max_tokens_is_named(validate):
    made = rows()
    made[10]["output"] = "o" * 40
    found = said(validate(splits(made)))
    assert found == ["11:7: task capitalization: the output of test row 2 has at least 40 tokens, and an answer ends after max_tokens 12"]
    made[10]["input"] = "i" * 108
    [tight, _] = said(validate(splits(made)))
    words = "test row 2 and an answer of max_tokens 12 are together longer than the context length of model tiny (128 tokens)"
    assert tight == f"11:7: task capitalization: {words}"


def test_a_claim_about_a_misspelt_metric_is_warned_of(validate):
    claim = "{metric: acuracy, task: capitalization, left: rank8, right: rank4, direction: greater}"
    claimed = DESIGN.replace("experiment:\n", f"experiment:\n  claims:\n    - {claim}\n")
    warnings = said(validate(splits(rows()), claimed))
    assert any("3:8: the claim is about metric acuracy" in text and "did you mean accuracy?" in text for text in warnings), warnings
    assert not any("metric" in text for text in said(validate(None, claimed.replace("acuracy", "accuracy"))))
