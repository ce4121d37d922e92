"""What a revision keeps: jobs that would leave again what they have left do not run again, and it can be verified that they would."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.kept import KeptJobs
from ckgit.experiment.design.model import State
from ckgit.experiment.results import Results
from tests.orchestrators.bench import Bench
from tests.orchestrators.review.lies import Liar

TELLING = {"preparation": "telling-trainer", "evaluation": "telling-evaluator"}


@pytest.fixture
def told(designed: Callable[..., Bench]) -> Bench:
    """An analyzed experiment whose tools tell what decides their results."""
    bench = designed(tools=TELLING)
    bench.advance(State.ANALYZED)
    (bench.steer / "executions").unlink()
    return bench


def commit(folder: Path, path: str, content: str) -> None:
    (folder / path).write_text(content)
    subprocess.run(["git", "commit", "--quiet", "--message=Mended", path], cwd=folder, check=True)


def ran(bench: Bench) -> list[str]:
    """Jobs that were executed, by what their token says of them."""
    return sorted(".".join(token.split(".")[2:-2]) for token in bench.executions())


def again(bench: Bench, *words: str) -> list[str]:
    """Revise, take the experiment to its report, hold it against all rules, and say what ran."""
    before = len(bench.executions())
    bench.ckgit("revise", "demo", *words)
    bench.advance(State.ANALYZED)
    verified = bench.ckgit("verify", "demo", check=False)
    assert verified.returncode == 0, verified.stdout
    return sorted(".".join(token.split(".")[2:-2]) for token in bench.executions()[before:])


def message_of(bench: Bench, event: str) -> str:
    """What the newest commit with this event says."""
    steps = bench.history()
    return bench.message(f"exp/demo~{steps[::-1].index(event)}")


def kept(bench: Bench) -> KeptJobs | None:
    return bench.snapshot.kept_jobs()


def runs(bench: Bench) -> list[str]:
    return [run.name for run in Results.model_validate_json(bench.results()).runs]


def test_a_mended_task_costs_evaluations_and_no_training(told: Bench) -> None:
    commit(told.folder, "tasks/capitalization.py", (told.folder / "tasks/capitalization.py").read_text() + "# mended\n")
    stale = told.ckgit("revise", "demo", "--dry-run")
    assert "nothing changes: the design is as it was" in stale.stdout
    assert "to take the newer one: ckgit revise demo --update tasks/capitalization.py" in stale.stderr
    tip = told.snapshot.tip
    assert told.ckgit("revise", "demo").stdout.startswith("nothing changes")
    assert told.snapshot.tip == tip

    assert all(".eval." in job for job in again(told, "--update", "tasks/capitalization.py"))
    assert len(told.executions()) == 3
    assert "Taken from the default branch: tasks/capitalization.py" in message_of(told, "revise")
    report = told.snapshot.read("experiments/demo/analysis/report.md") or b""
    assert b"## What was kept" in report
    assert report.count(b"demo: ") == 2


def test_a_run_that_is_added_runs_alone(told: Bench) -> None:
    again(told, "--set", "variables.lora_rank=[4, 8, 16]")
    assert len(told.executions()) == 2
    assert {job.split(".")[0] for job in ran(told)} == {"rank16"}
    assert runs(told) == ["rank4", "rank8", "rank16", "base"]


def test_another_learning_rate_runs_all_again(told: Bench) -> None:
    assert len(again(told, "--set", "controls.lr=0.5")) == 4  # and the base model is not trained
    assert list((kept(told) or KeptJobs(design="0" * 64)).jobs) == ["base/eval/capitalization_base"]


def test_a_question_costs_nothing(told: Bench) -> None:
    before = json.loads(told.results())
    assert again(told, "--set", "experiment.question=Why?") == []
    after = json.loads(told.results())
    assert [run["cells"] for run in after["runs"]] == [run["cells"] for run in before["runs"]]
    assert after["accounting"]["attempts"] == []
    assert told.ledger.work_tree == ""  # as no job has run for it


def test_what_is_kept_stays_kept_through_two_revisions(told: Bench) -> None:
    """Also where nothing ran between them, and where the checkpoints lie two designs back."""
    first = told.ledger
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    told.ckgit("revise", "demo", "--set", "experiment.question=Why so?")
    found = kept(told)
    assert found
    assert {job.commit for job in found.jobs.values()} == {Liar(told.folder).text("rev-parse", "exp/demo~2")}
    told.advance(State.ANALYZED)
    assert told.executions() == []
    assert again(told, "--set", "evaluation.tasks.0.limit=1") != []
    assert len(told.executions()) == 3
    assert (told.work / "experiments/demo/rank4/artifacts/epoch_0/weights").samefile(
        Path(first.work_tree) / "experiments/demo/rank4/artifacts/epoch_0/weights"
    )


def test_checkpoints_that_are_gone_are_trained_again(told: Bench) -> None:
    """As long as no evaluation needs them, they are not missed."""
    shutil.rmtree(told.work)
    assert again(told, "--set", "experiment.question=Why?") == []
    shown = told.ckgit("revise", "demo", "--dry-run", "--set", "evaluation.tasks.0.limit=1", "--json").stdout
    why = {each["job"]: each["why"] for each in json.loads(shown)["touched"]}
    assert why["rank4/finetune"].startswith("its checkpoints are not where they were made")
    assert why["rank4/eval/capitalization_epoch0"] == "limit: null, now 1"
    assert len(again(told, "--set", "evaluation.tasks.0.limit=1")) == 5


def test_anew_keeps_nothing(told: Bench) -> None:
    assert len(again(told, "--anew")) == 5
    assert kept(told) is None


def test_a_failed_job_alone_runs_again(designed: Callable[..., Bench]) -> None:
    bench = designed(tools=TELLING)
    bench.fail("rank4/finetune")
    bench.advance(State.TRAINED)
    bench.mend("rank4/finetune")
    (bench.steer / "executions").unlink()
    bench.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    bench.advance(State.ANALYZED)
    assert "rank8.finetune" not in ran(bench)
    assert "rank4.finetune" in ran(bench)


def test_a_design_that_was_changed_by_hand_keeps_nothing_by_accident(told: Bench) -> None:
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    place = told.folder.parent / "hand"
    subprocess.run(["git", "worktree", "add", "--quiet", str(place), "exp/demo"], cwd=told.folder, check=True)
    summary = place / "experiments/demo/experiment_summary.md"
    summary.write_text(summary.read_text().replace("Why?", "Why not?"))
    subprocess.run(["git", "commit", "--quiet", "--all", "--message=By hand"], cwd=place, check=True)
    done = told.ckgit("advance", "demo", check=False)
    assert done.returncode == Exit.INVALID_DESIGN
    assert "results are kept for the design with hash" in done.stderr
    told.ckgit("revise", "demo")
    told.advance(State.ANALYZED)
    assert told.executions() == []


def forged(jobs: dict[str, dict[str, Any]], what: str) -> None:
    """Say of a kept training something that is not so."""
    jobs["rank4/finetune"] |= {what: {"made_from_sha256": "0" * 64, "token": jobs["rank8/finetune"]["token"], "tasks": ["other"]}[what]}


@pytest.mark.parametrize("what", ["made_from_sha256", "token", "tasks"])
def test_a_revision_that_lies_is_found_out(told: Bench, what: str) -> None:
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    told.advance(State.SCAFFOLDED)
    liar = Liar(told.folder)
    at = liar.at("revise")
    document = json.loads(liar.read(liar.commits()[at], "kept.json"))
    forged(document["jobs"], what)
    liar.edit(at, lambda commit: {"kept.json": (json.dumps(document, indent=2) + "\n").encode()})
    done = told.ckgit("verify", "demo", check=False)
    assert (done.returncode, "[kept]" in done.stdout) == (Exit.NOT_VERIFIED, True)


def test_a_training_that_is_kept_for_another_rate_is_found_out(told: Bench) -> None:
    """Everything else agrees: the files of the training are where they were, and the ledger has its attempts."""
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    honest = Liar(told.folder)
    entry = json.loads(honest.read(honest.commits()[-1], "kept.json"))["jobs"]["rank4/finetune"]
    told.ckgit("revise", "demo", "--set", "controls.lr=0.5")
    liar = Liar(told.folder)
    document = json.loads(liar.read(liar.commits()[-1], "kept.json"))
    document["jobs"]["rank4/finetune"] = entry
    liar.edit(len(liar.commits()) - 1, lambda commit: {"kept.json": (json.dumps(document, indent=2) + "\n").encode()})
    done = told.ckgit("verify", "demo", check=False)
    assert "rank4/finetune is kept: setup: 'lr 0.0003" in done.stdout


def test_attempts_that_are_taken_over_otherwise_are_found_out(told: Bench) -> None:
    told.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    told.advance(State.SCAFFOLDED)
    liar = Liar(told.folder)
    at = len(liar.commits()) - 1
    jobs = json.loads(liar.read(liar.commits()[at], "jobs.json"))
    jobs["attempts"][0]["host"] = "elsewhere"
    liar.edit(at, lambda commit: {"jobs.json": (json.dumps(jobs, indent=2) + "\n").encode()})
    said = told.ckgit("verify", "demo", check=False).stdout
    assert "attempts are taken over from another commit, or are not as that one has them" in said


def as_torchtune(monkeypatch: pytest.MonkeyPatch) -> None:
    """The telling trainer divides rows, and tells of it, as that of torchtune does."""
    import ckgit_tiny

    from ckgit.workers.torchtune import worker as torchtune
    from ckgit.workers.training.design.counted import processes

    def setup(context: Any, run: str) -> bytes:
        row = context.plan.run(run)
        return json.dumps({name: row[name] for name in ("lr", "batch_size", "gradient_accumulation_steps")}).encode()

    def made_from(self: Any, context: Any, job: Any, read: Any) -> Mapping[str, str]:
        run = context.plan.run(job.run)
        nproc = processes(context, run)
        text = (read(f"{job.folder}/setup.txt") or setup(context, job.run)).decode()
        return {"recipe": json.dumps("distributed" if nproc > 1 else "single"), **{k: json.dumps(v) for k, v in json.loads(text).items()}}

    monkeypatch.setattr(ckgit_tiny, "_setup", setup)
    monkeypatch.setattr(ckgit_tiny.TellingTrainer, "made_from", made_from)
    monkeypatch.setattr(ckgit_tiny.TellingTrainer, "batch", lambda self, *a, **k: torchtune.batch(*a, **k), raising=False)
    monkeypatch.setattr(ckgit_tiny.TellingTrainer, "with_batch", lambda self, *a, **k: torchtune.with_batch(*a, **k), raising=False)


def test_a_batch_of_a_retry_hides_no_change_of_the_batch(designed: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    as_torchtune(monkeypatch)
    bench = designed(tools=TELLING, compute={"on_out_of_memory": "smaller_batch"}, controls={"batch_size": 2, "epochs": 1})
    (bench.steer / "fail-rank4-finetune").write_text("failure: out-of-memory\n")
    bench.ckgit("advance", "demo", "--to", "analyzed", check=False)
    bench.mend("rank4/finetune")
    bench.retry(run="rank4", to=State.ANALYZED)
    assert bench.latest("rank4/finetune").batch
    (bench.steer / "executions").unlink()
    ran = again(bench, "--set", "controls.batch_size=4")
    assert "rank4.finetune" in ran


def test_verification_does_not_follow_the_profile_of_today(designed: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    as_torchtune(monkeypatch)
    bench = designed(tools=TELLING)
    bench.advance(State.ANALYZED)
    (bench.steer / "executions").unlink()
    bench.ckgit("revise", "demo", "--set", "experiment.question=Why?")
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + "\n[clusters.local.training]\ngpus = 2\n")
    subprocess.run(["git", "commit", "-qam", "the profile"], cwd=bench.folder, check=True)
    done = bench.ckgit("verify", "demo", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_beside_the_tasks_that_nothing_names_has_evaluations_made_again(told: Bench) -> None:
    """Jobs get all of tasks/, and a task may open what an argument names."""
    place = told.folder.parent / "hand"
    subprocess.run(["git", "worktree", "add", "--quiet", str(place), "exp/demo"], cwd=told.folder, check=True)
    (place / "tasks/rubric.txt").write_text("new\n")
    subprocess.run(["git", "add", "--all"], cwd=place, check=True)
    subprocess.run(["git", "commit", "--quiet", "--message=A rubric"], cwd=place, check=True)
    subprocess.run(["git", "worktree", "remove", str(place)], cwd=told.folder, check=True)
    assert "tasks/rubric.txt is another now" in told.ckgit("revise", "demo", "--dry-run").stdout
    assert len(again(told)) == 3
    assert all(".eval." in job for job in ran(told))
