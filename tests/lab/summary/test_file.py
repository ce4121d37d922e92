"""The summary: read strictly, edited byte for byte."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ckgit.errors import DesignError, Exit
from ckgit.experiment.design.model import Recorded, RecordedData, State
from ckgit.formats.yaml.edit import ValueChange
from ckgit.lab.summary.file import SummaryFile

GOOD = """\
---
schema_version: 1
# what it is for
experiment:
  name: cap_lora
  question: "Does rank matter?"   # in one sentence
  date: 2026-11-23
models: [tiny]
data:
  words: {path: data/words.json}
controls:   {epochs: 2,
             prompt: 'Say "{input}"'}
variables:
    lora_rank: [4,   8]
    lr: [1e-5, 1.0e-4]
runs:
- name: base
  type: control
state:   designed   # by ckgit
evaluation:
  tasks:
    - name: capitalization
---
# My notes

Text of mine, with --- and <!-- comments -->.
"""
RECORDED = Recorded(data={"words": RecordedData(sha256="a" * 64, bytes=3, splits={"train": 8, "test": 2})})


def parse(text):
    return SummaryFile.parse(text.encode(), "f.md")


def problems(text):
    with pytest.raises(DesignError) as caught:
        parse(text)
    assert caught.value.code is Exit.INVALID_DESIGN
    return [problem.at("f.md") for problem in caught.value.problems]


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


def test_untouched_it_is_byte_identical():
    assert parse(GOOD).dump() == GOOD.encode()


def test_values_are_typed():
    summary = parse(GOOD).summary
    assert summary.variables == {"lora_rank": (4, 8), "lr": (1e-5, 1e-4)}
    assert summary.controls.prompt == 'Say "{input}"'
    assert str(summary.experiment.date) == "2026-11-23"
    assert summary.state is State.DESIGNED


def test_another_state_changes_one_word():
    after = parse(GOOD).with_state(State.SCAFFOLDED)
    assert after.text == GOOD.replace("state:   designed ", "state:   scaffolded ")
    assert after.summary == parse(after.text).summary
    assert after.with_state(State.DESIGNED).text == GOOD


def test_a_missing_state_counts_as_designed_and_can_be_set():
    text = changed("state:   designed   # by ckgit\n", "")
    file = parse(text)
    assert file.summary.state is State.DESIGNED
    assert file.dump() == text.encode()
    after = file.with_state(State.TRAINED).with_state(State.EVALUATED)
    assert after.text == text.replace("---\n# My", "state: evaluated\n---\n# My")
    assert after == parse(after.text)


def test_what_design_recorded_is_replaced_and_removed_alone():
    once = parse(GOOD).with_recorded(RECORDED)
    assert parse(once.text).summary.recorded == RECORDED
    assert once == parse(once.text)
    assert once.with_recorded(RECORDED).text == once.text
    assert once.with_recorded(Recorded()).text == GOOD


def test_recorded_in_the_middle_leaves_what_follows_alone():
    text = changed("data:\n", "recorded:\n  models:\n    tiny: " + "b" * 64 + "  # card\n\n# the data\ndata:\n")
    after = parse(text).with_state(State.SCAFFOLDED).with_recorded(RECORDED).with_state(State.TRAINED)
    assert after == parse(after.text)
    assert after.with_recorded(Recorded()).with_state(State.DESIGNED).text == changed("data:\n", "\n# the data\ndata:\n")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([*State, RECORDED, Recorded(), "runs", "finetune"]), max_size=8))
def test_edits_in_any_order_leave_the_rest_alone(steps):
    file = parse(GOOD)
    for step in steps:
        if isinstance(step, State):
            file = file.with_state(step)
        elif isinstance(step, Recorded):
            file = file.with_recorded(step)
        else:
            file = file.with_block(step, f"table of {step}")
        assert file == parse(file.text)
    back = file.with_state(State.DESIGNED).with_recorded(Recorded()).text
    assert back.startswith(GOOD)


def test_blocks_are_replaced_in_place_and_the_body_stays():
    placed = changed("# My notes\n", "# My notes\n\n<!-- ckgit:runs -->\nold\n<!-- /ckgit:runs -->\n")
    after = parse(placed).with_block("runs", "| new |\n")
    assert after.text == placed.replace("\nold\n", "\n| new |\n")
    assert after.with_block("status", "x").text == after.text + "\n<!-- ckgit:status -->\nx\n<!-- /ckgit:status -->\n"


def test_text_of_a_block_cannot_end_it():
    file = parse(GOOD).with_block("runs", "a\n<!-- /ckgit:runs -->\n\\1 \\g<0>")
    assert "\\1 \\g<0>" in file.text
    assert parse(file.with_block("runs", "b").text).text == parse(GOOD).with_block("runs", "b").text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("epochs: 2", "epochs: no"), "f.md:11:22: no is true or false to some readers"),
        (changed("epochs: 2", "num_epochs: 2"), "f.md:11:14: unknown key num_epochs: did you mean epochs?"),
        (changed("epochs: 2", "learning_rate: 2"), "unknown key learning_rate: did you mean lr?"),
        (changed("epochs: 2", "rank: 2"), "unknown key rank: did you mean lora_rank?"),
        (changed("epochs: 2", "alpha: 2"), "did you mean lora_alpha?"),
        (changed("epochs: 2", "warmup_steps: 2"), "did you mean num_warmup_steps?"),
        (changed("epochs: 2", "per_device_train_batch_size: 2"), "did you mean batch_size?"),
        (changed("epochs: 2", "epcohs: 2"), "did you mean epochs?"),
        (changed("epochs: 2", "frobnicate: 2"), "unknown key frobnicate (known here: model, data,"),
        (changed("epochs: 2", "dataset_val: x"), "dataset_val is not supported: torchtune 0.6.1's recipes have no validation"),
        (changed("epochs: 2", "run_val_every_n_steps: 2"), "run_val_every_n_steps is not supported"),
        (changed("epochs: 2", "resume_from_checkpoint: true"), "a training that was cut short goes on after its last whole epoch"),
        (changed("epochs: 2", "packed: true"), "packed is not supported: packing joins rows"),
        (changed("epochs: 2", "epochs: 2, epochs: 3"), "f.md:11:25: the key epochs is here twice (first on line 11)"),
        (changed("epochs: 2", 'epochs: "2"'), "expected a whole number; found '2'; a number is written without quotes"),
        (changed("epochs: 2", "epochs: 2.5"), "expected a whole number; found 2.5"),
        (changed("epochs: 2", "epochs: 0"), "f.md:11:14: epochs must be at least 1; found 0"),
        (changed("epochs: 2", "seed: 99999999999"), "seed must be less than 4294967296; found 99999999999"),
        (changed("epochs: 2", "lr: 0"), "lr must be greater than 0; found 0"),
        (changed("epochs: 2", "shuffle: 1"), "expected true or false; found 1"),
        (changed("epochs: 2", "dtype: fp16"), "expected fp32 or bf16; found 'fp16'; did you mean bf16?"),
        (changed("epochs: 2", "template_date: soon"), "expected a date, YYYY-MM-DD; found 'soon'"),
        (changed("epochs: 2", "system_prompt: 5"), 'expected text; found 5; quote it if it is text: "5"'),
        (changed("epochs: 2", "lora_attn_modules: q_proj"), "expected a list; found 'q_proj'; write ['q_proj']"),
        (changed("epochs: 2", "lora_attn_modules: []"), "lora_attn_modules must not be empty"),
        (changed('Say "{input}"', "Say it"), "f.md:12:14: a prompt must contain {input}"),
        (changed("lora_rank:", "rank:"), "f.md:14:5: unknown key rank: did you mean lora_rank?"),
        (changed("[4,   8]", "[4, four]"), "f.md:14:20: expected a whole number; found 'four'"),
        (changed("[4,   8]", "[4, 4]"), "two values give the same part of a run's name, rank4"),
        (changed("[4,   8]", "[]"), "lora_rank has no values, so the design makes no runs"),
        (changed("name: cap_lora", "name: $(touch x)"), "f.md:5:3: '$' at position 1 is not allowed in a name"),
        (changed("name: cap_lora", "name: 12"), 'expected text; found 12; quote it if it is text: "12"'),
        (changed("models: [tiny]", "models: tiny"), "expected a list; found 'tiny'; write ['tiny']"),
        (changed("models: [tiny]\n", ""), "f.md:2:1: models is missing: Model cards that are used."),
        (changed('  question: "Does rank matter?"   # in one sentence\n', ""), "question is missing: The question it answers"),
        (changed("path: data/words.json", "path: ../words.json"), "must be a path inside the lab"),
        (changed("data:\n  words:", "data:\n  wor ds:"), "f.md:10:3: ' ' at position 4 is not allowed in a name"),
        (
            changed("type: control", "type: controll"),
            "expected fine-tuned or control or eval-only; found 'controll'; did you mean control?",
        ),
        (changed("type: control", "type: eval-only"), "checkpoint: is needed for a run of type eval-only"),
        (changed("schema_version: 1", "schema_version: 2"), "f.md:2:1: format 2 is newer than this ckgit, which knows 1: upgrade ckgit"),
        (changed("schema_version: 1\n", ""), "schema_version is missing"),
        (changed("state:   designed", "state: finished"), "expected designed or scaffolded or trained or evaluated or analyzed"),
        (changed("# My notes", "<!-- ckgit:runs -->"), "f.md:24:1: the block ckgit:runs is not closed"),
        (changed("# My notes", "<!-- /ckgit:runs -->"), "f.md:24:1: the markers of the block ckgit:runs do not pair up"),
        (changed("# My notes", "<!-- ckgit:a -->\n<!-- /ckgit:a -->\n<!-- ckgit:a -->\n<!-- /ckgit:a -->"), "is here twice"),
        (GOOD.replace("\n", "\r\n"), "f.md:1:4: a carriage return; save the file with line ends LF"),
        (changed("models:", "<<<<<<< HEAD\nmodels:"), "f.md:8:1: a conflict marker of git"),
        (GOOD.removeprefix("---\n"), "f.md:1:1: the summary must begin with a line ---"),
        (changed("---\n# My", "# My"), "f.md:1:1: the summary must begin with a line ---"),
        ("---\n---\n", "expected a mapping"),
        ("---\n- a\n---\n", "f.md:2:1: expected a mapping (key: value); found a list"),
        ("---\n{schema_version: 1}\n---\n", "the keys of the front matter stand on lines of their own"),
        ("", "f.md:1:1: the summary must begin with a line ---"),
        (changed("epochs: 2", "epochs: !!python/object/apply:os.system [x]"), "the tag tag:yaml.org,2002:python/object/apply:os.system"),
    ],
)
def test_a_problem_has_its_place_and_plain_words(text, message):
    found = problems(text)
    assert any(message in one for one in found), found
    assert not any("Value error" in one or "Input should" in one for one in found)


def test_bytes_that_are_no_text_have_their_place():
    for content, place in (
        (b"\xef\xbb\xbf---\n", "f:1:1: the file begins with a byte order mark"),
        (b"---\na: \xff\n", "f:2:4: not UTF-8"),
    ):
        with pytest.raises(DesignError) as caught:
            SummaryFile.parse(content, "f")
        assert caught.value.problems[0].at("f").startswith(place)


def test_unions_have_one_message_each():
    text = changed(
        "    - name: capitalization\n", "    - name: capitalization\n  matrix: [{epochs: first}, {epochs: [-1]}, {runs: 3}, {tasks: [5]}]\n"
    )
    assert [one.partition(": ")[2] for one in problems(text)] == [
        "expected last, all, best, or a list of epochs counted from 0, e.g. [0, 2]; found 'first'",
        "epochs must be at least 0; found -1",
        "expected all, or a list of run names; found 3",
        'expected text; found 5; quote it if it is text: "5"',
    ]


def test_every_problem_is_reported_at_once_in_order():
    text = changed("epochs: 2", "learning_rate: 2, shuffle: yes").replace("models: [tiny]", "models: 1").replace("type: control", "type: x")
    assert [int(one.split(":")[1]) for one in problems(text)] == [8, 11, 11, 18]


@given(st.binary(max_size=200) | st.text(max_size=300).map(str.encode))
@example(GOOD.encode())
@example(b"---\n\xc2\x85\n---\n")
@example(b"---\na: \xe2\x80\xa8b\n---\n")
def test_any_bytes_give_a_summary_or_a_design_error(content):
    try:
        assert SummaryFile.parse(content, "f").dump() == content
    except DesignError as error:
        assert error.problems  # noqa: PT017 - either outcome is right


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, len(GOOD) - 1),
    st.sampled_from(["", "\t", "\n", ":", "- ", "'", '"', "{", "]", "&a ", "!x ", "#", "\x00", "é", "-", "0"]),
)
def test_a_summary_with_any_slip_gives_a_summary_or_a_design_error(at, slip):
    content = (GOOD[:at] + slip + GOOD[at + 1 :]).encode()
    for read in (SummaryFile.parse, SummaryFile.from_design):
        try:
            file = read(content, "f")
        except DesignError as error:
            assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)  # noqa: PT017 - likewise
        else:
            assert parse(file.with_state(State.TRAINED).with_recorded(RECORDED).text).summary.recorded == RECORDED


def test_a_bare_design_gets_what_it_lacks_and_keeps_its_comments():
    bare = (
        "# why\nexperiment:\n  question: Q?  # hm\nmodels: [tiny]\ndata: {d: {path: data/a.json}}\n"
        "tools: {evaluation: none}\nvariables: {seed: [1, 2]}\n"
    )
    file = SummaryFile.from_design(
        bare.encode(), "d.yaml", defaults=[ValueChange("experiment.name", "n"), ValueChange("experiment.date", "2026-01-02")]
    )
    assert file.summary.experiment.name == "n"
    assert file.summary.state is State.DESIGNED
    assert "# why\n" in file.text
    assert "  question: Q?  # hm\n" in file.text
    assert parse(file.text).summary == file.summary


def test_a_summary_as_a_design_loses_what_ckgit_wrote():
    used = parse(GOOD).with_recorded(RECORDED).with_state(State.ANALYZED).with_block("runs", "x")
    file = SummaryFile.from_design(used.dump(), "f", changes=[ValueChange("variables.lr", [0.5])])
    assert file.summary.state is State.DESIGNED
    assert file.summary.recorded == Recorded()
    assert file.summary.variables["lr"] == (0.5,)
    assert "ckgit:runs" not in file.text
    assert "Text of mine, with --- and <!-- comments -->.\n" in file.text


def test_problems_of_a_changed_design_have_their_place_in_the_file_that_was_given():
    bare = "# one\n# two\n" + GOOD.split("---\n")[1]
    with pytest.raises(DesignError) as caught:
        SummaryFile.from_design(
            bare.replace("epochs: 2", "epochs: 0").encode(),
            "d.yaml",
            changes=[ValueChange("controls.lr", "x"), ValueChange("experiment.name", "b")],
        )
    assert [problem.at("d") for problem in caught.value.problems] == [
        "d:12:1: --set controls.lr: expected a number; found 'x'; a number is written without quotes",
        "d:12:14: epochs must be at least 1; found 0",
    ]


def test_json_is_a_design_too():
    value = {"experiment": {"name": "n", "question": "Q?", "date": "2026-01-02"}, "models": ["m"], "data": {"d": {"path": "a.json"}}}
    value |= {"tools": {"evaluation": "none"}, "variables": {"seed": [1]}, "controls": {"prompt": "no: {input}"}}
    file = SummaryFile.from_design(json.dumps(value).encode(), "d.json")
    assert file == SummaryFile.parse(file.dump(), "d.json")
    assert file.summary.controls.prompt == "no: {input}"


def test_a_new_summary_is_written_from_plain_values():
    value = {"experiment": {"name": "n", "question": "Q: no?", "date": "2026-01-02"}, "models": ["m"], "data": {"d": {"path": "a.json"}}}
    file = SummaryFile.new(value | {"tools": {"evaluation": "none"}, "variables": {"lr": [1e-5, 2.0], "system_prompt": ["yes", "a\nb"]}})
    assert file.summary.variables == {"lr": (1e-5, 2.0), "system_prompt": ("yes", "a\nb")}
    assert file.summary.experiment.question == "Q: no?"
