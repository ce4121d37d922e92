"""Logs that are no evaluation of their cell: each is refused, and the reason says why."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.experiment.results import CellResult
from ckgit.workers.digests import digests
from ckgit.workers.inspect_ai import worker
from ckgit.workers.inspect_ai.evaluate import wanted_of
from ckgit.workers.inspect_ai.logs.reader import read_log
from tests.workers.inspect_ai.examples import LOG, TASK, TUNED, Ended, job_of, make_work_tree

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # inspect's own imports warn

TUNED_YAML = f"experiments/cap/{TUNED}.yaml"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a log is looked for in an otherwise empty work tree."""
    log = tmp_path / LOG
    log.parent.mkdir(parents=True)
    return log


def refused(tuned: Ended, tmp_path: Path) -> tuple[str, FailureClass | None]:
    evidence = tuned._replace(work=tmp_path).evidence()
    assert evidence.results == ()
    return "; ".join(evidence.reasons), evidence.failure


def tampered(tuned: Ended, place: Path, change: Callable[[Any], object]) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    log = read_eval_log(str(tuned.work / LOG))
    change(log)
    write_eval_log(log, str(place))


def made_of(log: Any) -> Any:
    return log.eval.metadata["ckgit"]


def model_config(name: str) -> Any:
    from inspect_ai.model import ModelConfig

    return ModelConfig(model=name)


def four_times(log: Any) -> None:
    log.eval.config.epochs = 4
    log.samples += [sample.model_copy(update={"epoch": epoch}) for epoch in (2, 3, 4) for sample in log.samples]


def test_the_log_as_it_is_counts(tuned: Ended, place: Path, tmp_path: Path):
    tampered(tuned, place, lambda _: None)
    assert tuned._replace(work=tmp_path).evidence().reasons == []


@pytest.mark.parametrize("status", ["cancelled", "error"])
def test_another_status(tuned: Ended, place: Path, tmp_path: Path, status: str):
    tampered(tuned, place, lambda log: setattr(log, "status", status))
    words = {"cancelled": "was cancelled", "error": "ended with status error"}[status]
    assert words in refused(tuned, tmp_path)[0]


def test_a_log_that_was_begun_only(tuned: Ended, place: Path, tmp_path: Path):
    """inspect writes the header last, when it knows how the evaluation ended."""
    import zipfile_zstd  # noqa: F401 - inspect packs so, which Python's zipfile learns in 3.14

    with zipfile.ZipFile(tuned.work / LOG) as whole, zipfile.ZipFile(place, "w") as begun:
        for name in whole.namelist():
            if name != "header.json":
                begun.writestr(name, whole.read(name))
    assert refused(tuned, tmp_path)[0] == "the evaluation was not finished"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda log: setattr(log.eval, "model", "ckgit/other"), 'model "ckgit/other"'),
        (lambda log: setattr(log.eval, "task", "other"), 'task "other"'),
        (lambda log: setattr(log.eval, "task_file", "tasks/other.py"), "task file"),
        (lambda log: log.eval.task_args_passed.update(split="train"), "task arguments"),
        (lambda log: log.eval.model_args.update(model_path="models/other"), "model arguments"),
        (lambda log: setattr(log.eval, "model_base_url", "http://x"), 'model URL "http://x"; planned: none'),
        (lambda log: setattr(log.eval, "solver", "other"), 'solver "other"; planned: none'),
        (lambda log: setattr(log.eval.model_generate_config, "temperature", 0.5), "generation setting temperature 0.5; planned: none"),
        (lambda log: setattr(log.eval.model_generate_config, "max_tokens", None), "generation setting max_tokens none; planned: 4"),
        (lambda log: setattr(log.eval.model_generate_config, "cache", True), "generation setting cache true; planned: none"),
        (lambda log: setattr(log.plan.config, "max_tokens", 400), "generation setting max_tokens 400; planned: 4"),
        (lambda log: setattr(log.plan.config, "top_p", 0.1), "generation setting top_p 0.1; planned: none"),
        (four_times, "another evaluation: epochs 4; planned: 1"),
        (lambda log: setattr(log.eval.config, "epochs_reducer", ["max"]), 'epochs_reducer ["max"]; planned: ["mean"]'),
        (lambda log: setattr(log.eval.config, "sample_id", [1]), "sample_id [1]; planned: none"),
        (lambda log: setattr(log.eval.config, "sample_shuffle", 7), "sample_shuffle 7; planned: none"),
        (lambda log: setattr(log.eval.config, "message_limit", 1), "message_limit 1; planned: none"),
        (lambda log: setattr(log.eval.config, "time_limit", 1), "time_limit 1; planned: none"),
        (lambda log: setattr(log.eval.config, "token_limit", 1), "token_limit 1; planned: none"),
        (lambda log: setattr(log.eval, "model_roles", {"grader": model_config("x/y")}), 'model_roles {"grader": {"args": {}, "config": {}'),
        (lambda log: setattr(log.eval.config, "limit", 2), "limit 2"),
        (lambda log: made_of(log).update(design="0" * 64), f'design "{"0" * 64}"; planned: '),
        (lambda log: made_of(log).update(experiment="other"), 'experiment "other"; planned: "cap"'),
        (lambda log: made_of(log)["files"].update({"data/words.json": "1"}), 'SHA-256 of data/words.json "1"; planned: '),
        (lambda log: made_of(log)["files"].update({"tasks/capitalization.py": "1"}), 'SHA-256 of tasks/capitalization.py "1"; planned: '),
        (lambda log: made_of(log).clear(), "it does not say of which design, data and task file it is"),
        (lambda log: setattr(log.eval, "metadata", None), "it does not say of which design, data and task file it is"),
        (lambda log: log.samples.pop(), "the log lists 4 samples, and has 3"),
        (lambda log: setattr(log.results, "completed_samples", 3), "3 samples were completed and 4 logged; 4 were expected"),
        (lambda log: log.results.scores.clear(), "no metrics"),
        (lambda log: setattr(log, "results", None), "no results"),
    ],
)
def test_another_evaluation(tuned: Ended, place: Path, tmp_path: Path, change: Callable[[Any], object], words: str):
    tampered(tuned, place, change)
    assert words in refused(tuned, tmp_path)[0]


@pytest.mark.parametrize("what", ["data", "task"])
def test_a_log_of_other_data_or_of_another_task_file_counts_neither_for_the_job_nor_for_the_judge(
    tuned: Ended, place: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
):
    other = tuned.context
    if what == "data":
        recorded = other.summary.recorded.data["words"].model_copy(update={"sha256": "0" * 64})
        update = {"recorded": other.summary.recorded.model_copy(update={"data": {"words": recorded}})}
        other = other._replace(summary=other.summary.model_copy(update=update))
    else:
        other = other._replace(sources={**other.sources, "tasks/capitalization.py": TASK + b"# another\n"})
    make_work_tree(other, tuned.work / "models", tmp_path / "other")
    copy = tmp_path / "other" / LOG
    copy.parent.mkdir()
    shutil.copyfile(tuned.work / LOG, copy)
    words = "the log is of another evaluation: SHA-256 of " + ("data/words.json" if what == "data" else "tasks/capitalization.py")
    reasons = tuned._replace(work=tmp_path / "other").evidence(other).reasons
    assert [reason.startswith(words) for reason in reasons] == [True]
    with pytest.raises(ValueError, match=words):
        worker.results(other, job_of(other, TUNED), tuned.attempt, {LOG: copy.read_bytes()})
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(ValueError, match=words):
        read_log(wanted_of(TUNED_YAML), Path(LOG))


def test_a_log_of_an_older_run_config_counts_as_before(tuned: Ended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_work_tree(tuned.context, tuned.work / "models", tmp_path / "older")
    config = tmp_path / "older" / TUNED_YAML
    config.write_text(config.read_text().partition("metadata:")[0])
    copy = tmp_path / "older" / LOG
    copy.parent.mkdir()
    tampered(tuned, copy, lambda log: setattr(log.eval, "metadata", None))
    judged = tuned._replace(work=tmp_path / "older").evidence()
    assert judged.reasons == []
    assert worker.results(tuned.context, job_of(tuned.context, TUNED), tuned.attempt, judged.files) == judged.results
    monkeypatch.chdir(tmp_path / "older")
    assert read_log(wanted_of(TUNED_YAML), Path(LOG)).samples


def test_a_log_tells_which_attempt_made_it_and_every_file_that_it_loaded(tuned: Ended, place: Path, tmp_path: Path):
    from inspect_ai.log import read_eval_log

    files = digests(tuned.work / "experiments/cap/tuned/artifacts/epoch_0")
    made = read_eval_log(str(tuned.work / LOG), header_only=True).eval.metadata["ckgit"]
    assert made["token"] == tuned.attempt.token
    assert made["model_files"] == {name: file.model_dump() for name, file in files.items()}
    judged = tuned.evidence()
    assert [found.token for found in judged.results if isinstance(found, CellResult)] == [tuned.attempt.token]
    earlier = tuned.attempt.token.replace("-1", "-0")
    tampered(tuned, place, lambda log: made_of(log).update(token=earlier))  # a retry keeps a complete log
    (found,) = tuned._replace(work=tmp_path).evidence().results
    assert isinstance(found, CellResult)
    assert found.token == earlier


@pytest.mark.parametrize("change", [lambda files: files.popitem(), lambda files: files["model.safetensors"].update(sha256="0" * 64)])
def test_files_that_a_log_lists_are_those_with_which_its_answers_were_made(
    tuned: Ended, place: Path, tmp_path: Path, change: Callable[[Any], object]
):
    tampered(tuned, place, lambda log: change(made_of(log)["model_files"]))
    assert refused(tuned, tmp_path) == ("its answers were made with other weights than the files that it lists", FailureClass.INPUT_CHANGED)


def test_a_log_of_before_the_attempt_was_written_down_counts(tuned: Ended, place: Path, tmp_path: Path):
    tampered(tuned, place, lambda log: (made_of(log).pop("token"), made_of(log).pop("model_files")))
    judged = tuned._replace(work=tmp_path).evidence()
    assert judged.reasons == []
    assert [found.token for found in judged.results if isinstance(found, CellResult)] == [None]


def no_number_depends_on(log: Any) -> None:
    vars(log.eval.config).update(max_samples=1, retry_on_error=3, fail_on_error=0.5, log_buffer=1, log_model_api=True, score_display=False)
    vars(log.eval.config).update(epochs=None, epochs_reducer=["mean"])  # as if nothing had been given
    for config in (log.eval.model_generate_config, log.plan.config):
        vars(config).update(max_retries=5, timeout=60, attempt_timeout=9, cache_prompt=True)


def test_settings_on_which_no_number_depends_are_nobodys_matter(tuned: Ended, place: Path, tmp_path: Path):
    tampered(tuned, place, no_number_depends_on)
    assert tuned._replace(work=tmp_path).evidence().reasons == []


def of_its_own(log: Any) -> None:
    vars(log.eval.config).update(message_limit=9, time_limit=60)
    vars(log.plan.config).update(top_p=0.5)


def test_settings_that_a_task_gives_itself_are_the_designs(tuned: Ended, place: Path, tmp_path: Path):
    (path,) = (path for path in tuned.context.sources if path.startswith("tasks/"))
    gives_all = b"\nlimits = dict(message_limit=9, time_limit=60, top_p=0.5)\n"
    for gives, expected in [(gives_all, True), (b"\nlimits = dict(message_limit=9, top_p=0.5)  # no time_limit\n", False)]:
        sources = {**tuned.context.sources, path: tuned.context.sources[path] + gives}
        tampered(tuned, place, lambda log, source=sources[path]: (of_its_own(log), made_of(log)["files"].update({path: sha256(source)})))
        evidence = tuned._replace(work=tmp_path).evidence(tuned.context._replace(sources=sources))
        assert (evidence.reasons == []) is expected
    assert evidence.reasons == ["the log is of another evaluation: time_limit 60; planned: none"]


@pytest.mark.parametrize(
    "change",
    [
        lambda log: setattr(log.samples[1].output, "metadata", None),
        lambda log: log.samples[1].output.metadata["ckgit"].update(row=0),
        lambda log: log.samples[1].output.metadata["ckgit"]["check"].update(sha256="0" * 64),
        lambda log: log.samples[1].output.metadata["ckgit"].update(prefix_sha256="0" * 64),
    ],
)
def test_tokens_that_were_not_compared(tuned: Ended, place: Path, tmp_path: Path, change: Callable[[Any], object]):
    tampered(tuned, place, change)
    assert refused(tuned, tmp_path)[1] is FailureClass.TOKENS_DIFFER


def without_the_sum(log: Any) -> None:
    for sample in log.samples:
        del sample.output.metadata["ckgit"]["check"]["by_row_sha256"]


def test_each_row_is_held_against_what_training_recorded_of_it(tuned: Ended, place: Path):
    job, tokens = job_of(tuned.context, TUNED), "experiments/cap/tuned/tokens.json"
    recorded = json.loads((tuned.work / "experiments/cap/tuned/artifacts/tokens.json").read_bytes())
    tampered(tuned, place, without_the_sum)
    for log in ((tuned.work / LOG).read_bytes(), place.read_bytes()):  # as it is, and as an older job left it
        assert len(worker.results(tuned.context, job, tuned.attempt, {LOG: log, tokens: json.dumps(recorded).encode()})) == 1
        other = {"capitalization": {**recorded["capitalization"], "by_row": [recorded["capitalization"]["by_row"][0], "0" * 16]}}
        with pytest.raises(ValueError, match="row 1 was sent with other tokens than training recorded"):
            worker.results(tuned.context, job, tuned.attempt, {LOG: log, tokens: json.dumps(other).encode()})
        of_another_tool = {LOG: log, tokens: b'{"words": 3}'}
        assert len(worker.results(tuned.context, job, tuned.attempt, of_another_tool)) == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_log_that_was_cut_short(tuned: Ended, place: Path, tmp_path: Path, share: float):
    whole = (tuned.work / LOG).read_bytes()
    place.write_bytes(whole[: int(len(whole) * share)])
    reason, failure = refused(tuned, tmp_path)
    assert "cannot be read" in reason
    assert failure is FailureClass.OUTPUT_MISSING
    job = job_of(tuned.context, TUNED)
    with pytest.raises(ValueError, match="cannot be read"):
        worker.results(tuned.context, job, tuned.attempt, {LOG: place.read_bytes()})


def test_a_damaged_sample(tuned: Ended, place: Path, tmp_path: Path):
    content = bytearray((tuned.work / LOG).read_bytes())
    start = content.index(b"samples/1_epoch_1.json") + 60
    content[start : start + 40] = bytes(40)
    place.write_bytes(content)
    assert "cannot be read" in refused(tuned, tmp_path)[0]


def test_no_log(tuned: Ended, tmp_path: Path):
    assert refused(tuned, tmp_path) == (f"there is no log {LOG}", FailureClass.OUTPUT_MISSING)


def test_the_log_of_an_earlier_attempt_is_no_evidence_for_one_that_failed(tuned: Ended):
    later = tuned._replace(attempt=tuned.attempt.model_copy(update={"token": "later", "exit_code": 1}))
    evidence = later.evidence()
    assert (evidence.results, dict(evidence.files)) == ((), {})
