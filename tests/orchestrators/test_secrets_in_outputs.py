"""Secrets in what jobs leave: masked in what the tool printed, refused in all other files until somebody has removed them."""

from __future__ import annotations

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.design.model import State
from ckgit.jobs.folder import job_folder
from tests.orchestrators.bench import Bench

TOKEN = "hf_" + "aB3" * 12
MASKED = "hf_a… (39 characters)"


def started(bench: Bench) -> None:
    """Two jobs run and wait for `bench.go()`."""
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    bench.until(lambda: len(bench.executions()) == 2)


def say(bench: Bench, text: str) -> None:
    """Have job rank4/finetune print something."""
    with (job_folder(bench.work, bench.latest("rank4/finetune").token) / "output").open("a") as output:
        output.write(text)


def worker_log(bench: Bench) -> str:
    return (bench.snapshot.read("experiments/demo/run-tiny-trainer.log") or b"").decode()


def test_a_secret_that_a_tool_printed_is_masked_in_its_log_and_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "swordfish")
    started(bench)
    say(bench, f"begin\nlogin with {TOKEN} and swordfish, swordfish\nend\n")
    bench.go()
    assert bench.advance().state is State.TRAINED
    log = bench.latest("rank4/finetune").log
    assert bench.snapshot.read(log) == f"begin\nlogin with {MASKED} and swor… (9 characters), swor… (9 characters)\nend\n".encode()
    assert f"MASKED a secret in what rank4/finetune printed: {log}:2: a Hugging Face token: {MASKED}\n" in worker_log(bench)
    assert f"{log}:2: the value of $MY_SECRET: swor… (9 characters)\n" in worker_log(bench)


def test_a_secret_in_the_last_words_of_a_failure_is_masked_in_its_reason(bench: Bench) -> None:
    bench.fail("rank4/finetune")
    started(bench)
    folder = job_folder(bench.work, bench.latest("rank4/finetune").token)
    bench.go()
    bench.until((folder / "status.json").exists)
    say(bench, f"no access with {TOKEN}\n")
    assert bench.advance().code is Exit.JOBS_FAILED
    assert bench.latest("rank4/finetune").reason == f"the tool ended with exit code 1: no access with {MASKED}"
    assert f"no access with {MASKED}" in bench.ckgit("why", "demo").stdout


def test_a_secret_in_another_file_is_refused_by_the_name_of_the_file_to_edit(bench: Bench) -> None:
    started(bench)
    bench.go()
    bench.until(lambda: all((job_folder(bench.work, token) / "status.json").exists() for token in bench.executions()))
    log = bench.work / "experiments/demo/rank4/artifacts/training.log"
    whole = log.read_text()
    log.write_text(f"{TOKEN} loss:0.5\n{whole}")
    with pytest.raises(CkgitError) as caught:
        bench.advance()
    assert f"{log}:1: a Hugging Face token: {MASKED}" in caught.value.what
    assert "remove it from the file named above" in caught.value.next
    assert (caught.value.code, bench.history()[-1]) == (Exit.USAGE, "submit")
    log.write_text(whole)
    assert bench.advance().state is State.TRAINED


URL = "https://user:password@example.org/data"
SAID = [URL, "glpat-" + "aB3-" * 5, "the database says sword-of-fish"]


@pytest.mark.parametrize("text", SAID)
def test_what_a_running_job_prints_is_masked_where_it_is_shown(bench: Bench, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "sword-of-fish")
    started(bench)
    say(bench, f"see {text}\n")
    secret = {URL: "password", SAID[2]: "sword-of-fish"}.get(text, text)
    for words in (["why", "demo"], ["why", "demo", "--json"]):
        shown = bench.ckgit(*words).stdout
        assert secret not in shown.replace("passw", "")
        assert f"{secret[:4]}… ({len(secret)} characters)" in shown
    bench.go()


@pytest.mark.parametrize("text", SAID)
def test_a_secret_in_a_design_is_refused_before_it_is_committed(bench: Bench, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "sword-of-fish")
    for words in (["--dry-run"], []):
        done = bench.ckgit("design", "new", "--like", "demo", "--set", f"experiment.question=Does {text} help?", *words, check=False)
        assert done.returncode == Exit.USAGE, done.stderr
        assert "a secret must not be committed" in done.stderr
        assert "experiments/new/experiment_summary.md:5: " in done.stderr
        assert text not in done.stderr + done.stdout
    assert bench.ckgit("status", "new", check=False).returncode == Exit.USAGE
