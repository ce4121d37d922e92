"""Odd and hostile logs through the whole program: real jobs, inspect-ai, the report as Markdown and as a page, `show` and `verify`."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest

from tests.whole import WholeLab

pytestmark = pytest.mark.slow
# It brings rows of its own, so that ids, targets and metadata are its own, too. Scorers and metrics are called what its author likes.
TASK = r"""
from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import SampleScore, Score, accuracy, mean, metric, scorer, stderr
from inspect_ai.solver import generate

HOSTILE = ["\x1b[2J\x1b[31mred", "<script>alert(1)</script>", "| a | b |\n|---|---|\n# head", "=HYPERLINK(\"x\")", "]]>", "![x](http://x/y)"]
TEXTS = [*HOSTILE, "Привет, мир", "日本語のテキスト", "שלום", "👩‍👩‍👧 é ﷽"]


def samples():
    return [Sample(id=f"row {text}", input=f"say {text}", target=text, metadata={"lang/uage": text, text: 1}) for text in TEXTS]


@metric(name="share/of <b>rows</b>")
def share():
    def compute(scores: list[SampleScore]) -> float:
        return sum(each.score.as_float() for each in scores) / len(scores)

    return compute


@metric
def auc():
    return lambda scores: float("nan")


@scorer(metrics=[accuracy(), stderr(), share(), auc()], name="evil|`<i>`\x1b[31m, =1+1 $]]>")
def evil():
    async def score(state, target):
        return Score(value=1.0, answer=target.text, explanation=target.text)

    return score


@scorer(metrics={"form/al": [mean()], "tone": [mean(), stderr()]})
def several():
    async def score(state, target):
        odd = TEXTS.index(target.text) % 2
        return Score(value={"form/al": float("nan") if odd else 1.0, "tone": state.epoch - 1})

    return score


@task
def odd():
    return Task(dataset=MemoryDataset(samples()), solver=generate(), scorer=[evil(), several()], epochs=Epochs(2, "mean"))


@task
def empty():
    return Task(dataset=MemoryDataset([]), solver=generate(), scorer=evil())


@task
def twins():
    same = [Sample(id=1, input=text, target=text) for text in "ab"]
    return Task(dataset=MemoryDataset(same), solver=generate(), scorer=evil())
"""
DESIGN = """\
experiment:
  question: Which?
models: [tiny]
data: {words: {path: data/words.json}}
tools: {preparation: none}
controls: {device: cpu, dtype: fp32}
runs: [{name: base, type: control}]
evaluation:
  tasks: [{name: odd}, {name: empty, file: tasks/odd.py}, {name: twins, file: tasks/odd.py}]
  generation: {max_tokens: 2}
"""
NAME = "evil|`<i>`\x1b[31m, =1+1 $]]>"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the end of a line


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> WholeLab:
    """The lab after the experiment, of which one evaluation of three could be made."""
    row = {"input": "a", "output": "b"}
    made = WholeLab(tmp_path_factory.mktemp("odd"), {"train": [row], "test": [row]})
    (made.folder / "tasks/odd.py").write_text(TASK)
    made.commit("An odd task")
    (made.folder.parent / "design.yaml").write_text(DESIGN)
    made.ckgit("design", "demo", "--from", str(made.folder.parent / "design.yaml"))
    return made


@pytest.fixture(scope="module")
def told(lab: WholeLab) -> str:
    """What the first attempt at all evaluations ends with; afterwards the experiment is analyzed without two of them."""
    said = lab.ckgit("advance", "demo", "--to", "analyzed", code=11)
    lab.ckgit("advance", "demo", "--to", "analyzed", "--accept-missing")
    return said


def committed(lab: WholeLab, name: str) -> str:
    return lab.run("git", "show", f"exp/demo:experiments/demo/analysis/{name}").stdout


def test_a_task_without_samples_and_one_with_an_id_twice_are_told_by_name(lab: WholeLab, told: str) -> None:
    assert "base/eval/empty_base: error: ValueError: The specified dataset is empty (has no samples)" in told
    assert "base/eval/twins_base: error: inspect refused it: The dataset contains duplicate sample ids (duplicate id: 1)." in told
    report = committed(lab, "report.md")
    assert "base/eval/empty_base" in report
    assert "base/eval/twins_base" in report


def test_nothing_of_the_log_is_dropped(lab: WholeLab, told: str) -> None:
    """Two epochs, scores that are NaN, a metric that is undefined, values with a slash in their name."""
    [run] = json.loads(committed(lab, "results.json"))["runs"]
    [cell] = run["cells"]
    metrics = {(metric["scorer"], metric["name"]): (metric["value"], metric["samples"], metric["asked"]) for metric in cell["metrics"]}
    assert metrics == {
        (NAME, "accuracy"): (1.0, 10, 10),
        (NAME, "of <b>rows</b>"): (1.0, 10, 10),  # inspect takes what is before a slash for a package
        (NAME, "auc"): (None, 10, 10),
        ("form/al", "mean"): (1.0, 5, 10),
        ("tone", "mean"): (0.5, 10, 10),
    }
    assert len(cell["samples"]) == 20
    assert {sample["epoch"] for sample in cell["samples"]} == {1, 2}
    russian = next(sample for sample in cell["samples"] if "Привет" in str(sample["id"]))
    assert (russian["target"], russian["scores"]["several.form/al"], russian["scores"]["several.tone"]) == ("Привет, мир", 1.0, 0)
    assert sum(sample["scores"]["several.form/al"] is None for sample in cell["samples"]) == 10


def test_nothing_of_it_reaches_a_terminal_or_a_page_as_more_than_text(lab: WholeLab, told: str) -> None:
    report, shown = committed(lab, "report.md"), lab.ckgit("show", "demo")
    lab.ckgit("report", "demo", "--html")
    page = (lab.folder / ".ckgit/reports/demo/report.html").read_text()
    for text in (told, report, shown, page, lab.ckgit("show", "demo", "base"), lab.ckgit("why", "demo"), lab.ckgit("log", "demo")):
        assert CONTROL.search(text) is None
    assert "日本語のテキスト" in committed(lab, "results.json")
    for text in (report, page):
        assert "<script>alert" not in text
        assert "<i>`" not in text
        assert "\n# head" not in text
        assert "![x](" not in text
    assert 'src="http' not in page


def test_pictures_are_well_formed_whatever_a_scorer_is_called(lab: WholeLab, told: str) -> None:
    picture = ET.fromstring(committed(lab, "scores.svg"))  # noqa: S314 - a picture of ours
    assert len(list(picture.iter())) > 100


def test_it_verifies_and_what_cannot_be_computed_again_is_named(lab: WholeLab, told: str) -> None:
    assert "its metrics are not computed again" in lab.ckgit("verify", "demo", "--deep")
