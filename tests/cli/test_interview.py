"""The interview of `ckgit design`, on a terminal of a width of its own, and the design that its answers make."""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios

import click
import pytest

from ckgit.cli.designing import answers as answer
from ckgit.cli.designing.answers import Answers
from ckgit.experiment.design.model import TaskSpec
from ckgit.formats.yaml.document import read_yaml
from ckgit.orchestrators.design.beginnings.choices import DataChoice
from tests.command_line import ckgit

# Questions in their order, of a lab whose rows have the columns input and output and two splits.
QUESTIONS = ("question", "model", "data", "trained", "evaluated", "prompt", "varied", "values", "seeds", "epochs", "device", "tasks")
QUESTIONS = (*QUESTIONS, "control", "names", "expected", "agreed")
CTRL_C = "\x03"


def converse(folder, args, given, *, columns=80, **environment):
    """Run ckgit on a terminal, give each answer when a question waits, and return the exit code and all that was shown."""
    known = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | environment
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-m", "ckgit", *args], known)  # noqa: S606 - the child of a terminal
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    shown, waiting, interrupted = "", list(given), False
    while True:
        ready, _, _ = select.select([terminal], [], [], 1 if interrupted else 60)
        if interrupted and not ready:
            os.write(terminal, CTRL_C.encode())  # one that comes just before Python begins to wait is taken for none
            continue
        assert ready, shown
        try:
            chunk = os.read(terminal, 65536).decode()
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
        if waiting and shown.rstrip(" ").endswith(":"):
            text = waiting.pop(0)
            interrupted = text == CTRL_C
            os.write(terminal, text.encode() if interrupted else f"{text}\n".encode())
            shown += "\n"
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.replace("\r\n", "\n")


def said(**of):
    """What is typed at each question: nothing, which takes its default, but for these. Of a list, one after the other."""
    typed = [of.pop(question, "") for question in QUESTIONS]
    assert not of
    return [text for each in typed for text in (each if isinstance(each, list) else [each])]


def summary_of(run, folder, name="cap"):
    return run(folder, "show", f"exp/{name}:experiments/{name}/experiment_summary.md")


def design_in(run, folder, name="cap"):
    return read_yaml(summary_of(run, folder, name).split("---\n")[1]).value


def test_with_every_default_it_makes_an_experiment(lab_folder, run):
    code, shown = converse(lab_folder, ["design", "cap"], said())
    assert code == 0, shown
    assert "  data/words.json: 8 train, 2 test\n" in shown
    assert "  data/words.json begins with: apple -> APPLE\n" in shown
    assert "Commit this as exp/cap? (yes, edit, again) [yes]:" in shown
    assert shown.count("warning: run rank4 and 1 other: trains for") == 1
    assert shown.index("warning: ") < shown.index("Commit this")
    assert run(lab_folder, "log", "-1", "--format=%s", "exp/cap") == "design cap: none -> designed"
    found = design_in(run, lab_folder)
    assert found["variables"] == {"lora_rank": [4, 16]}
    assert found["runs"] == [{"name": "base", "type": "control"}]
    assert found["evaluation"] == {"tasks": [{"name": "capitalization", "split": "test"}], "generation": {"temperature": 0.0}}
    assert "claims" not in found["experiment"]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_plan_and_every_line_fit_the_terminal(lab_folder, columns):
    given = said(values="2, 4, 8", seeds="0, 1", names="a, b, c, d, e, f, the_model_as_it_is", expected="f > the_model_as_it_is by 0.1")
    code, shown = converse(lab_folder, ["design", "cap"], [*given[:-1], "", CTRL_C], columns=columns)
    assert code == 130, shown
    plan = shown[shown.index("\nrun ") : shown.index("Commit this")]
    assert [line.split()[0] for line in plan.splitlines()[2:9]] == ["a", "b", "c", "d", "e", "f", "the_model_as_it_is"]
    assert "|" not in plan
    assert max(map(len, plan.splitlines())) <= columns
    listed = "  rank2_seed0, rank2_seed1, rank4_seed0, rank4_seed1, rank8_seed0, rank8_seed1,"
    assert (listed in shown) == (columns == 80)  # the names that are offered do not fit on the line of their question


def test_columns_splits_seeds_names_and_claims_are_those_that_are_chosen(lab_folder, run):
    rows = {"fit": [{"id": "1", "q": f"{n}?", "a": "yes"} for n in range(9)], "held": [{"id": "2", "q": "5?", "a": "no"}]}
    (lab_folder / "data/qa.json").write_text(json.dumps(rows))
    run(lab_folder, "add", "data")
    run(lab_folder, "commit", "--quiet", "--message=Rows")
    given = said(
        data=["data/q", "q", "a"],  # the beginning of a name does, and rows with other columns are asked about
        seeds="0, 1",
        names="small0, small1, large0, large1, as_it_is",
        expected="large0 > as_it_is by 0.25; small0 < large0",
    )
    code, shown = converse(lab_folder, ["design", "cap"], [*given[:-1], "includes", "again", *([""] * 20)])
    assert code == 0, shown
    assert "Which column is the model given? (id, q, a) [id]:" in shown
    assert "data/qa.json begins with: 0? -> yes" in shown
    found = design_in(run, lab_folder)
    assert found["data"] == {"rows": {"path": "data/qa.json", "input_column": "q", "output_column": "a"}}
    assert found["controls"]["train_split"] == "fit"
    assert found["evaluation"]["tasks"] == [{"name": "capitalization", "split": "held"}]
    assert [each["name"] for each in found["runs"]] == ["small0", "small1", "large0", "large1", "as_it_is"]
    assert found["runs"][1]["parameters"] == {"lora_rank": 4, "seed": 1}
    assert found["experiment"]["claims"] == [
        {"metric": "includes", "task": "capitalization", "left": "large0", "right": "as_it_is", "direction": "greater", "by": 0.25},
        {"metric": "includes", "task": "capitalization", "left": "small0", "right": "large0", "direction": "less"},
    ]


def test_rows_with_two_answers_make_a_design_that_trains_both(lab_folder, run):
    rows = [json.dumps({"prompt": f"{n}?", "chosen": "yes", "rejected": "no"}) for n in range(20)]
    (lab_folder / "data/pairs.jsonl").write_text("\n".join(rows))
    run(lab_folder, "add", "data")
    run(lab_folder, "commit", "--quiet", "--message=Rows")
    given = said(data=["data/p", "0.2"], trained=[], evaluated=[], varied="beta")
    code, shown = converse(lab_folder, ["design", "cap"], given)
    assert code == 0, shown
    assert "its rows have a better and a worse answer: trl trains on both (objective: dpo)" in " ".join(shown.split())
    assert "begins with: 0? -> yes" in shown
    assert "Over which values? [0.1, 0.5]:" in shown
    assert "is read as preferences" not in shown  # it says so itself
    assert "lr is ckgit's default" not in shown
    found = design_in(run, lab_folder)
    assert found["tools"]["preparation"] == "trl"
    assert found["data"]["rows"]["shape"] == "preference"
    assert (found["controls"]["objective"], found["controls"]["lr"]) == ("dpo", 2e-5)
    assert found["variables"] == {"beta": [0.1, 0.5]}


def test_what_only_another_trainer_has_is_not_offered_again_with_other_rows(lab_folder, run):
    (lab_folder / "data/pairs.jsonl").write_text("\n".join(json.dumps({"prompt": n, "chosen": "y", "rejected": "n"}) for n in "abcdef"))
    run(lab_folder, "add", "data")
    run(lab_folder, "commit", "--quiet", "--message=Rows")
    first = said(data=["data/p", "0.2"], trained=[], evaluated=[], varied="beta", agreed="again")
    code, shown = converse(lab_folder, ["design", "cap"], [*first, *said(data="data/w")])
    assert code == 0, shown
    assert design_in(run, lab_folder)["variables"] == {"lora_rank": [4, 16]}
    assert "objective" not in design_in(run, lab_folder)["controls"]


def test_a_wrong_answer_is_asked_again_and_nobody_types_twice(lab_folder, run):
    given = said(
        question="Is it?",
        model=["nobody", "tiny"],
        prompt=["Say it", "Say: {input}"],
        varied=["learning_rate", "lr"],
        values=["fast", "yes", "1e-4, 1e-3"],
        seeds="3",
        epochs=["0", "2"],
        tasks=["nothing", "capitalization"],
        names=["one", "slow, fast, slow", "slow, fast, base"],
        expected=["fast is better", "fast > nobody", "fast > base by x", "fast > base"],
    )
    code, shown = converse(lab_folder, ["design", "cap"], [*given[:-1], "accuracy", "again", *said(), ""])
    assert code == 0, shown
    for words in (
        "nobody is none of tiny",
        "did you mean lr?",
        "there is no task nothing (tasks: capitalization); new for one of your own",
        "1 names for 3 runs",
        "two runs are called slow",
        "write it as in: rank16 > base by 0.1",
        "there is no run nobody",
        "x is no number",
    ):
        assert words in " ".join(shown.split()), words
    assert shown.index("a prompt must contain {input}") < shown.index("Which parameter varies?")
    assert "Let us go through it again: Enter keeps an answer" in shown
    found = design_in(run, lab_folder)
    assert found["experiment"]["question"] == "Is it?"
    assert found["controls"] == {"prompt": "Say: {input}", "epochs": 2, "device": "cpu", "dtype": "fp32", "seed": 3}
    assert found["runs"][0] == {"name": "slow", "parameters": {"lr": 1e-4}}
    assert found["experiment"]["claims"][0]["left"] == "fast"


def test_what_makes_no_design_is_said_and_asked_again_with_the_answers_kept(lab_folder, run):
    args = ["design", "cap", "--set", "evaluation.tasks.0.limit=-1"]
    code, shown = converse(lab_folder, args, [*said(question="Why so?")[:-1], CTRL_C])
    assert code == 130, shown
    assert "What is the question? [Why so?]:" in shown
    assert run(lab_folder, "branch", "--list", "exp/*") == ""


@pytest.mark.parametrize("after", range(0, len(QUESTIONS), 3))
def test_ctrl_c_leaves_nothing_at_any_question(lab_folder, run, after):
    before = sorted(path for path in lab_folder.rglob("*") if ".git" not in path.parts)
    code, shown = converse(lab_folder, ["design", "cap"], [*said()[:after], CTRL_C])
    assert (code, "Traceback" in shown) == (130, False), shown
    assert run(lab_folder, "for-each-ref", "refs/heads/exp", "refs/ckgit") == ""
    assert sorted(path for path in lab_folder.rglob("*") if ".git" not in path.parts) == before


def test_the_answers_can_be_edited_before_they_are_committed(lab_folder, run, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/epochs: 1/epochs: 3/" "$1"\n')
    editor.chmod(0o755)
    code, shown = converse(lab_folder, ["design", "cap"], [*said(agreed=["edit"])], VISUAL=str(editor))
    assert code == 0, shown
    assert design_in(run, lab_folder)["controls"]["epochs"] == 3


def test_without_an_editor_the_answers_are_still_there(lab_folder, run):
    code, shown = converse(lab_folder, ["design", "cap"], [*said(agreed=["edit", "yes"])], VISUAL="", EDITOR="")
    assert code == 0, shown
    assert "neither VISUAL nor EDITOR is set" in shown
    assert run(lab_folder, "branch", "--list", "exp/*") != ""


def test_a_task_that_is_to_be_written_first_keeps_the_answers_as_a_design(lab_folder, run):
    given = said(question="Mine?", prompt="Q: {input}", tasks=["new", "a task", "mine"])
    code, shown = converse(lab_folder, ["design", "cap"], given[:-1])
    file = lab_folder / ".ckgit/edited/cap.yaml"
    told = " ".join(shown.split())
    assert code == 2, shown
    assert "ckgit task new mine --data data/words.json --split test --prompt 'Q: {input}' --input-column input" in told
    assert f"ckgit design cap --from {file}" in told
    assert run(lab_folder, "branch", "--list", "exp/*") == ""
    task = (lab_folder / "tasks/capitalization.py").read_text()
    (lab_folder / "tasks/mine.py").write_text(task.replace("def capitalization", "def mine"))
    run(lab_folder, "add", "tasks")
    run(lab_folder, "commit", "--quiet", "--message=A task")
    assert ckgit("design", "cap", "--from", str(file), folder=lab_folder).returncode == 0
    found = design_in(run, lab_folder)
    assert (found["experiment"]["question"], found["evaluation"]["tasks"]) == ("Mine?", [{"name": "mine", "split": "test"}])


def test_a_model_without_a_template_makes_a_design_of_plain_text(lab_folder, run):
    card = lab_folder / "models/tiny.yaml"
    before, _, after = card.read_text().partition("template:\n")
    card.write_text(before + after[after.index("end_of_turn") :])
    run(lab_folder, "commit", "--quiet", "--all", "--message=A base model")
    code, shown = converse(lab_folder, ["design", "cap"], said(), columns=120)
    assert code == 0, shown
    assert "tiny has no chat template, so rows are plain text: dataset_type is text_completion." in shown
    assert "dataset_type: text_completion" in summary_of(run, lab_folder)


def test_many_files_are_listed_with_numbers_and_one_that_cannot_be_read_is_asked_again(lab_folder, run):
    rows = json.dumps([{"input": "a\x1b", "output": "b"}])
    for number in range(9):
        (lab_folder / f"data/a_long_name_for_rows_{number}.json").write_text("[]" if number == 3 else rows)
    run(lab_folder, "add", "data")
    run(lab_folder, "commit", "--quiet", "--message=Rows")
    code, shown = converse(lab_folder, ["design", "cap"], ["", "", "4", "5", "", CTRL_C])
    assert code == 130
    assert "   4  data/a_long_name_for_rows_3.json\n" in shown
    assert "data/a_long_name_for_rows_3.json: no rows can be read in it: the file holds no rows" in shown
    assert "data/a_long_name_for_rows_4.json begins with: a\\x1b -> b" in " ".join(shown.split())
    assert "All rows are in one split. Which share of them is evaluated, and not trained on? [0.2]:" in " ".join(shown.split())
    assert "\x1b" not in shown.partition("^C")[0]


def test_rows_of_a_table_are_divided_by_the_share_that_is_evaluated(lab_folder, run):
    (lab_folder / "data/reviews.csv").write_text("review,stars\n" + "".join(f"text {n},{n % 5}\n" for n in range(20)))
    run(lab_folder, "add", "data")
    run(lab_folder, "commit", "--quiet", "--message=Reviews")
    typed = ["", "", "data/r", "review", "stars", "2", "0.25", *([""] * 20)]
    code, shown = converse(lab_folder, ["design", "cap"], typed)
    assert code == 0, shown
    assert "give a share from 0 to less than 1" in " ".join(shown.split())
    assert "data/reviews.csv begins with: text 0 -> 0" in shown
    found = design_in(run, lab_folder)
    assert found["data"]["rows"]["fractions"] == {"train": 0.75, "test": 0.25}
    assert found["recorded"]["data"]["rows"]["splits"] == {"train": 15, "test": 5}


def test_a_chat_is_known_by_its_rows_and_no_column_is_asked_for(lab_folder, run):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    (lab_folder / "data/chat.jsonl").write_text(f"{json.dumps({'messages': turns})}\n" * 10)
    run(lab_folder, "add", "data")
    run(lab_folder, "commit", "--quiet", "--message=Chats")
    code, shown = converse(lab_folder, ["design", "cap"], ["", "", "data/c", "0", *([""] * 20)])
    assert code == 0, shown
    assert "data/chat.jsonl begins with: Hi -> Ho" in shown
    assert "Which column" not in shown
    assert design_in(run, lab_folder)["data"] == {"rows": {"path": "data/chat.jsonl", "shape": "messages"}}


def answers(**changes):
    data = DataChoice("data/x.json", ("input", "output"), {"train": 8, "test": 2}, {})
    plain = Answers(model="m", device="cpu", data=data, input="input", output="output", trained="train", evaluated="test")
    made = plain._replace(tasks=[TaskSpec(name="t")], **changes)
    return made._replace(names=made.names or answer.own_names(made))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"values": "4, 8"}, ["rank4", "rank8", "base"]),
        ({"values": "4, 8", "seeds": "0, 1"}, ["rank4_seed0", "rank4_seed1", "rank8_seed0", "rank8_seed1", "base"]),
        ({"varied": "seed", "values": "0, 1", "control": False}, ["seed0", "seed1"]),
        ({"varied": "prompt", "values": '"{input}", "Q: {input}"', "seeds": "0, 1"}, ["prompt1_seed0", "prompt1_seed1"]),
    ],
)
def test_runs_are_called_as_a_design_would_call_them(changes, names):
    assert list(answer.own_names(answers(**changes)))[: len(names)] == names


def test_names_of_ones_own_write_the_runs_out_and_another_name_of_the_base_model_does_not():
    same = answer.design_of(answers(names=["rank4", "rank16", "plain"]), bare=False)
    assert (same["variables"], same["runs"]) == ({"lora_rank": [4, 16]}, [{"name": "plain", "type": "control"}])
    own = answer.design_of(answers(names=["a", "b", "base"]), bare=False)
    assert "variables" not in own
    assert own["runs"][0] == {"name": "a", "parameters": {"lora_rank": 4}}


@pytest.mark.parametrize("text", ["a > b by -1", "a > b by inf", "a = b", "a > c", "a > b by"])
def test_what_is_no_claim_is_refused(text):
    with pytest.raises(click.UsageError):
        answer.claims(text, {"a": "a", "b": "b"})


def test_where_several_seeds_are_trained_a_claim_may_be_about_settings():
    known = answer.sides(answers(names=["rank4_seed0", "rank4_seed1", "rank16_seed0", "rank16_seed1", "base"], seeds="0, 1"))
    assert {name: known[name] for name in ("rank4", "rank16", "base")} == {
        "rank4": {"lora_rank": 4},
        "rank16": {"lora_rank": 16},
        "base": "base",
    }
    assert answer.claims("rank16 > base by 0.1; rank16 = rank4 within 0.05; increases with lora_rank", known) == [
        {"left": {"lora_rank": 16}, "right": "base", "direction": "greater", "by": 0.1},
        {"left": {"lora_rank": 16}, "right": {"lora_rank": 4}, "direction": "same", "by": 0.05},
        {"direction": "increases", "along": "lora_rank"},
    ]
    assert set(answer.sides(answers(names=["rank4", "rank16", "base"]))) == {"rank4", "rank16", "base"}
    with pytest.raises(click.UsageError, match="there is no parameter rank; did you mean lora_rank"):
        answer.claims("increases with rank", known)
    with pytest.raises(click.UsageError, match="say within how much, as in: rank16 = rank4 within"):
        answer.claims("rank16 = rank4", known)
