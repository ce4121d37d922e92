"""What a log says of its samples, held against its samples: real logs of inspect, and what somebody could make of them."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.worker import Audit, Evaluator
from ckgit.workers.inspect_ai import worker
from ckgit.workers.inspect_ai.logs import recompute
from ckgit.workers.inspect_ai.logs.audit import audit_log
from tests.workers.inspect_ai.examples import LOG, TUNED, Ended, job_of, make_context

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # inspect's own imports warn
ranked = {"calls": 0}


def evaluated(folder: Path, **settings: Any) -> bytes:  # noqa: C901 - a list of scorers
    """The log of an evaluation of four samples with many kinds of scores and metrics."""
    import inspect_ai
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import Score, accuracy, bootstrap_stderr, grouped, mean, metric, scorer, std, stderr, var
    from inspect_ai.solver import solver

    @metric
    def auc():
        def compute(scores):
            ranked["calls"] += 1
            return 0.75

        return compute

    def says(**values):
        async def score(state, target):
            value = values["values"][(state.sample_id + state.epoch) % 4]
            return None if value is None else Score(value=value)

        return score

    @scorer(metrics=[accuracy(), stderr(), auc(), bootstrap_stderr()])
    def letters():
        return says(values=["C", "P", "N", "I"])

    @scorer(metrics=[mean(), std(), var(), stderr(cluster="kind"), grouped(mean(), "kind")])
    def numbers():
        return says(values=[0.1, 0.7, 1, 12.5])

    @scorer(metrics=[accuracy(), mean(), stderr()])
    def abstains():
        return says(values=[float("nan"), True, None, "yes"])

    @scorer(metrics={"*": [mean(), stderr()], "form": [accuracy()]})
    def rubric():
        return says(values=[{"form": "C", "tone": 0.25}, {"form": "I", "tone": None}, float("nan"), {"form": "I", "tone": float("nan")}])

    @scorer(metrics=[accuracy(), stderr()])
    def silent():
        return says(values=[None] * 4)

    @solver
    def idle():
        async def solve(state, generate):
            return state

        return solve

    dataset = [Sample(input=str(n), target="x", id=n, metadata={"kind": "ab"[n % 2]}) for n in range(1, 5)]
    scorers = [letters(), numbers(), abstains(), rubric(), silent()]
    task = inspect_ai.Task(dataset, solver=idle(), scorer=scorers, **settings)
    (log,) = inspect_ai.eval(task, model="mockllm/model", log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    return Path(log.location).read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return evaluated(tmp_path_factory.mktemp("plain"))


def rewritten(content: bytes, change: Callable[[str, Any], Any]) -> bytes:
    """A log whose files are what a function makes of their names and contents; None takes one out."""
    import zipfile_zstd  # noqa: F401 - inspect packs so, which Python's zipfile learns in 3.14

    copy = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if (changed := change(name, json.loads(old.read(name)))) is not None:
                new.writestr(name, json.dumps(changed))
    return copy.getvalue()


def in_header(change: Callable[[Any], object]) -> Callable[[str, Any], Any]:
    """Change the header only."""

    def changed(name: str, document: Any) -> Any:
        if name == "header.json":
            change(document)
        return document

    return changed


def by_inspect(content: bytes, folder: Path, change: Callable[[Any], object]) -> bytes:
    """A log that inspect wrote again."""
    from inspect_ai.log import read_eval_log, write_eval_log

    (folder / "old.eval").write_bytes(content)
    log = read_eval_log(str(folder / "old.eval"))
    change(log)
    write_eval_log(log, str(folder / "new.eval"))
    return (folder / "new.eval").read_bytes()


UNCHECKED = [
    "letters auc is not one of inspect's: it is not computed again",
    "letters bootstrap_stderr is made of random draws: it is not computed again",
    "numbers grouped was given what a log does not hold: it is not computed again",
]


def test_an_honest_log_follows_from_its_samples(plain: bytes):
    before = ranked["calls"]
    assert audit_log(plain) == Audit([], UNCHECKED)
    assert ranked["calls"] == before  # nor was the task's own metric called


@pytest.mark.parametrize("reducer", ["mean", "at_least_2", ["mean", "median", "mode", "max", "at_least_1", "pass_at_2"]])
def test_an_honest_log_of_several_epochs(tmp_path: Path, reducer: Any):
    from inspect_ai import Epochs

    log = evaluated(tmp_path, epochs=Epochs(3, reducer))
    assert audit_log(log).differences == []
    found = audit_log(log, frozenset({"at_least"}))
    assert found.differences == []
    assert [why.partition(",")[0] for why in found.unchecked] == ["its reducers are of the task's own"]


def metric(log: Any, scorer: str, name: str) -> Any:
    return next(score for score in log["results"]["scores"] if score["name"] == scorer)["metrics"][name]


def of(scorer: str, name: str, value: float) -> Callable[[Any], object]:
    return lambda log: metric(log, scorer, name).update(value=value)


def first(log: Any) -> Any:
    return log["results"]["scores"][0]["metrics"]


AGAIN = "in the log; computed again from its samples, it is"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of("letters", "accuracy", 0.9), f"letters accuracy is 0.9 {AGAIN} 0.375"),
        (of("letters", "stderr", 0.0), f"letters stderr is 0 {AGAIN} 0.239"),
        (of("numbers", "std", 0.01), f"numbers std is 0.01 {AGAIN} 5.9"),
        (of("abstains", "mean", 0.5), f"abstains mean is 0.5 {AGAIN} 1"),
        (of("tone", "mean", 1.0), f"rubric.tone mean is 1 {AGAIN}"),
        (of("silent", "accuracy", 1.0), f"silent accuracy is 1 {AGAIN} nan"),
        (lambda log: first(log).pop("accuracy"), "letters accuracy is not in the log; computed from its samples, it is 0.375"),
        (lambda log: first(log).update(f1={"name": "f1", "value": 1}), "letters f1 is not among the metrics that the log names"),
        (lambda log: log["results"]["scores"][2].update(scored_samples=4), "abstains says that 4 samples have a score; 2 have"),
        (lambda log: log["results"].update(total_samples=5), "it says that there are 5 samples, and has 4"),
        (lambda log: log["results"].update(completed_samples=3), "it says that 3 samples were completed; 4 of those in it were"),
        (lambda log: log["eval"]["config"].update(epochs=2), "the log lists 8 samples, and has 4"),
        (lambda log: log["eval"]["dataset"].update(sample_ids=[1] * 1_000_000), "the log lists 1000000 samples, and has 4"),
        (lambda log: log["eval"]["dataset"].update(sample_ids=[1, 2, 3, 5]), "Sample id 5 for epoch 1 not found"),
        (lambda log: log.pop("results"), "the log has no results"),
    ],
)
def test_a_header_that_was_edited(plain: bytes, change: Callable[[Any], object], words: str):
    found = audit_log(rewritten(plain, in_header(change))).differences
    assert [words in each for each in found] == [True]


def as_the_log_says(header: Any, samples: Any, scorer: Any) -> Any:
    scores = [score for score in header.results.scores if score.scorer == scorer.name]
    return header.model_copy(update={"results": header.results.model_copy(update={"scores": scores})})


def test_a_mean_is_added_up_without_inspect_too(plain: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recompute, "_by_inspect", as_the_log_says)
    assert audit_log(plain).differences == []
    for scorer, name in [("letters", "accuracy"), ("letters", "stderr"), ("numbers", "mean"), ("abstains", "mean"), ("form", "accuracy")]:
        (found, *_) = audit_log(rewritten(plain, in_header(of(scorer, name, 0.9)))).differences
        assert f"{scorer} {name} is 0.9 in the log; the sum over its samples gives " in found


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308, float("inf"), {"a": 10**400}, [1, "x"], "\x1b[2J", None])
def test_scores_and_metrics_that_no_metric_can_hold_end_in_words(plain: bytes, value: Any):
    def change(name: str, document: Any) -> Any:
        if name.startswith("samples/"):
            document["scores"]["numbers"]["value"] = value
        if name == "header.json" and isinstance(value, int | float):
            metric(document, "numbers", "std")["value"] = value
        return document

    found = audit_log(rewritten(plain, change)).differences
    assert found
    assert not any("\x1b" in each for each in found)


def test_samples_that_were_dropped(plain: bytes, tmp_path: Path):
    file_alone = rewritten(plain, lambda name, it: None if name.startswith("samples/3") else it)
    assert audit_log(file_alone).differences == ["the log lists 4 samples, and has 3"]
    listed = rewritten(plain, in_header(lambda log: log["eval"]["dataset"]["sample_ids"].remove(3)))
    assert "it has 4 samples, of which 3 are listed" in audit_log(listed).differences
    found = audit_log(by_inspect(plain, tmp_path, lambda log: (log.samples.pop(2), log.eval.dataset.sample_ids.remove(3)))).differences
    assert "it says that there are 4 samples, and has 3" in found
    assert any(each.startswith("letters accuracy is 0.375 in the log") for each in found)


def changed_score(value: Any) -> Callable[[str, Any], Any]:
    def change(name: str, document: Any) -> Any:
        if name.startswith("samples/"):
            document["scores"]["letters"]["value"] = value(document["scores"]["letters"]["value"])
        return document

    return change


def test_a_score_that_was_changed(plain: bytes):
    found = audit_log(rewritten(plain, changed_score({"C": "C", "P": "C", "N": "N", "I": "I"}.get))).differences
    assert found[0] == "letters accuracy is 0.375 in the log; computed again from its samples, it is 0.5"
    swapped = audit_log(rewritten(plain, changed_score({"C": "P", "P": "C", "N": "N", "I": "I"}.get))).differences
    assert swapped == ["what the log says of each sample id by letters is not what its samples say"]


def test_scores_and_metrics_that_were_changed_together_follow_from_each_other(plain: bytes, tmp_path: Path):
    def change(log: Any) -> None:
        for sample in log.samples:
            sample.scores["letters"].value = "C"
        scores = next(score for score in log.results.scores if score.name == "letters")
        scores.metrics["accuracy"].value, scores.metrics["stderr"].value = 1.0, 0.0
        for each in log.reductions[0].samples:
            each.value = 1.0

    assert audit_log(by_inspect(plain, tmp_path, change)) == Audit([], UNCHECKED)


def test_a_score_that_was_edited_by_inspect_itself(plain: bytes, tmp_path: Path):
    from inspect_ai.log import edit_score
    from inspect_ai.scorer import ScoreEdit

    log = by_inspect(plain, tmp_path, lambda log: edit_score(log, 1, "letters", ScoreEdit(value="C")))
    assert "the score that letters gave sample 1 was edited afterwards" in audit_log(log).differences


def test_nothing_that_a_log_names_is_imported(plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    monkeypatch.chdir(tmp_path)

    def change(name: str, document: Any) -> Any:
        if name == "header.json":
            document["eval"].update(task_file=str(tmp_path / "evil.py"))
            first = document["eval"]["scorers"][0]
            first.update(name="evil.py@letters", metrics=[{"name": "evil", "options": {}}, {"name": "evil.py@evil"}, {"name": "evil/evil"}])
            document["results"]["scores"][0].update(name="evil.py@letters", scorer="evil.py@letters")
        if name.startswith("samples/"):
            document["scores"]["evil.py@letters"] = document["scores"].pop("letters")
        return document

    audit_log(rewritten(plain, change))
    audit_log(rewritten(plain, lambda name, document: change(name, document) if name.startswith("samples/") else document))
    assert not (tmp_path / "imported").exists()


def bomb(size: int, packing: int) -> bytes:
    import zipfile_zstd  # noqa: F401

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", packing) as archive, archive.open("header.json", "w", force_zip64=True) as file:
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
    return content.getvalue()


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, 93])
def test_a_log_that_would_become_huge_is_refused_at_once(tuned: Ended, packing: int):
    log = bomb(300_000_000, packing)
    began = time.process_time()
    (found,) = audit_log(log).differences
    assert f"its {len(log)} bytes would become 300000000" in found
    declared_less = log.replace((300_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    declared_less = declared_less.replace((300_000_000).to_bytes(8, "little"), (1000).to_bytes(8, "little"))
    (found,) = audit_log(declared_less).differences
    assert "it was cut short or damaged" in found
    assert time.process_time() - began < 5
    with pytest.raises(ValueError, match="would become 300000000"):
        worker.results(tuned.context, job_of(tuned.context, TUNED), tuned.attempt, {LOG: log})


def test_other_archives_are_refused(plain: bytes):
    assert "not packed as inspect packs" in audit_log(bomb(1_000_000, zipfile.ZIP_BZIP2)).differences[0]
    deep = io.BytesIO()
    with zipfile.ZipFile(deep, "w") as archive:
        archive.writestr("header.json", "[" * 1_000_000)
    assert "cannot be read" in audit_log(deep.getvalue()).differences[0]
    twice = io.BytesIO(plain)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("header.json", "{}")
    assert audit_log(twice.getvalue()).differences == ["the log cannot be unpacked: it has two files of one name"]
    assert "it was cut short or damaged" in audit_log(b"no archive").differences[0]


def test_the_worker_audits_what_is_committed(tuned: Ended):
    job, content = job_of(tuned.context, TUNED), (tuned.work / LOG).read_bytes()
    assert worker.audit(tuned.context, job, tuned.attempt, {LOG: content}) == Audit([], [])
    changed = rewritten(content, in_header(lambda log: metric(log, "match", "accuracy").update(value=0.5)))
    found = worker.audit(tuned.context, job, tuned.attempt, {LOG: changed})
    assert found.differences == [f"{TUNED}: match accuracy is 0.5 in the log; computed again from its samples, it is 0"]
    extract = LOG.removesuffix(".eval") + ".json"
    found = worker.audit(tuned.context, job, tuned.attempt, {extract: b"{}"})
    assert found == Audit([], [f"{TUNED}: its log was too large to be committed: its metrics are not computed again"])
    assert worker.audit(tuned.context, job, tuned.attempt, {}) == Audit([], [])


def test_an_evaluator_that_says_nothing_has_nothing_to_say(tuned: Ended):
    class Other(Evaluator):
        pass

    assert Evaluator.audit(Other, make_context(), job_of(tuned.context, TUNED), tuned.attempt, {}) == Audit()  # type: ignore[arg-type]
