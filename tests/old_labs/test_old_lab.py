"""A lab that ckgit made at commit cb9ae22, with experiments in every state and jobs in flight: it opens, and each of them goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from ckgit.cli import group
from ckgit.errors import CkgitError, Exit
from tests.command_line import ckgit
from tests.old_labs.lab import OldLab, unpacked
from tests.whole import shell

pytestmark = pytest.mark.slow
ANOTHER_PROCESSOR = "first here: checkpoint epoch_0 has other bytes than are recorded"
FINE_TUNING, OF_ONE, OF_BASE = "one/finetune", "one/eval/capitalization_epoch0", "base/eval/capitalization_base"


class Old(NamedTuple):
    """How the older version left an experiment, and what is still to be done."""

    state: str
    plan: str  # of what the next advance begins with
    out: dict[str, str] = {}  # what is to be seen of the jobs that are submitted
    new: tuple[str, ...] = ()  # attempts that follow
    missing: tuple[str, ...] = ()  # jobs that this test does without


EXPERIMENTS = {
    "designed": Old("designed", "scaffold designed: designed -> scaffolded", new=(OF_BASE,)),
    "scaffolded": Old("scaffolded", "train scaffolded: scaffolded -> trained", new=(OF_BASE,)),
    "training": Old("scaffolded", "would submit two/finetune", out={FINE_TUNING: "gone", "two/finetune": "unseen"}),
    "failed": Old("scaffolded", "one/finetune: input-changed", new=(FINE_TUNING,)),
    "trained": Old("trained", f"would submit {OF_ONE}", new=(OF_ONE, OF_BASE)),
    "evaluating": Old("trained", f"would submit {OF_BASE}", out={OF_ONE: "gone", OF_BASE: "unseen"}),
    "cancelled": Old("trained", f"{OF_BASE}: cancelled", missing=(OF_BASE,)),
    "lost": Old("trained", f"would wait for {OF_BASE}", out={OF_BASE: "unknown"}, missing=(OF_BASE,)),
    "evaluated": Old("evaluated", "analyze evaluated: evaluated -> analyzed"),
    "analyzed": Old("analyzed", "analyze analyzed: analyzed -> analyzed"),
    "revised": Old("designed", "scaffold revised: designed -> scaffolded", new=(FINE_TUNING,)),
}
NAMES = pytest.mark.parametrize("name", EXPERIMENTS)


class Before(NamedTuple):
    """What the older version had recorded and made."""

    tips: dict[str, str]
    ledgers: dict[str, dict[str, Any]]
    made: dict[Path, bytes]  # checkpoints and logs


def events(lab: OldLab, name: str, commit: str) -> list[str]:
    """The story of an experiment as git has it."""
    return lab.git("log", "--reverse", "--format=%(trailers:key=Ckgit-Event,valueonly,separator=)", f"main..{commit}").split()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldLab]:
    with unpacked("cb9ae22") as top:
        yield OldLab(top / "lab", shell(tmp_path_factory.mktemp("home"), warm=True))


@pytest.fixture(scope="module")
def before(lab: OldLab) -> Before:
    work = lab.folder / ".ckgit" / "work"
    made = {path: path.read_bytes() for kind in ("*.safetensors", "*.eval", "status.json") for path in work.rglob(kind)}
    assert len(made) > len(EXPERIMENTS)
    return Before(lab.tips(), {name: lab.ledger(name) for name in EXPERIMENTS}, made)


@pytest.fixture
def read(lab: OldLab, before: Before) -> Iterator[Callable[..., str]]:
    """`read("status", NAME)`: what a command says that must change nothing."""

    def call(*words: str) -> str:
        done = CliRunner().invoke(group, ["-C", str(lab.folder), *words])  # quicker than a process
        assert done.exception is None or isinstance(done.exception, CkgitError), done.exception
        return done.stdout + str(done.exception or "")

    yield call
    assert lab.tips() == before.tips


def test_all_are_listed(read: Callable[..., str]) -> None:
    listed = {row["experiment"]: row["lifecycle_state"] for row in json.loads(read("list", "--json"))["experiments"]}
    assert listed == {name: old.state for name, old in EXPERIMENTS.items()} | {"detached": "trained"}


@NAMES
def test_each_is_read(read: Callable[..., str], lab: OldLab, before: Before, name: str) -> None:
    old = EXPERIMENTS[name]
    status = json.loads(read("status", name, "--json"))
    assert (status["lifecycle_state"], {job["job"]: job["seen"] for job in status["open"]}) == (old.state, old.out)
    assert not any(status[fault] for fault in ("problem", "broken", "edited", "by_hand", "rewritten", "unknown_jobs"))
    assert [each["records"] for each in json.loads(read("log", name, "--json"))["commits"]] == events(lab, name, before.tips[name])
    assert json.loads(read("validate", name, "--json"))["valid"]
    assert json.loads(read("show", name, "--json"))["lifecycle_state"] == old.state
    runs = [run["run"] for run in json.loads(read("show", name, "--json"))["runs"]]
    ended = [each["job"] for run in runs for each in json.loads(read("show", name, run, "--json"))["runs"][0]["ended"]]
    assert ended == [job for job, seen in old.out.items() if seen == "gone"]
    assert {job["job"] for job in json.loads(read("why", name, "--json"))["jobs"]} >= {*old.out, *old.missing}
    assert old.plan in read("advance", name, "--dry-run")


def test_an_older_report_is_a_page_too(read: Callable[..., str], lab: OldLab) -> None:
    """It has no answer, and no rows."""
    told = read("report", "analyzed", "--html")
    assert told.partition("The report: ")[2].strip().endswith(".ckgit/reports/analyzed/report.html")
    page = (lab.folder / ".ckgit/reports/analyzed/report.html").read_text()
    assert "<h2>Claims</h2>" in page or "<h2>Runs</h2>" in page
    assert "is designed, and a report is written when it is analyzed" in read("report", "designed")


def test_what_the_older_version_has_run_is_run_again(lab: OldLab, before: Before, tmp_path: Path) -> None:
    with_real_python = lab._replace(environment=shell(tmp_path))
    done = with_real_python.run("reproduce", "analyzed", "one")
    told = done.stdout
    # the last bits of weights are the processor's, and this may be another one than the lab was made on; its losses are the same
    other = f"{ANOTHER_PROCESSOR} (2 losses, 1 checkpoint)" in told
    assert done.returncode == (Exit.NOT_VERIFIED if other else 0), done
    assert other or "same bytes: 2 jobs of one, on cluster local by " in told
    assert "one/eval/capitalization_epoch0: same bytes" in told or not other
    assert "not compared: of epoch_0 one digest is recorded, and not that of each file" in told
    assert "ckgit 0.1.0 then, " in told
    assert lab.tips() == before.tips


def test_its_branches_may_be_pushed(lab: OldLab, before: Before) -> None:
    pushed = "".join(f"{'0' * 40} {tip} refs/heads/exp/{name}\n" for name, tip in before.tips.items())
    done = ckgit("hooks", "run", "pre-receive", folder=lab.folder, stdin=pushed)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith(("ckgit: verifying ", "  Run it again yourself: "))]
    assert [line for line in told if ANOTHER_PROCESSOR not in line] == []


def test_a_lab_that_was_moved_says_where_its_jobs_are(lab: OldLab) -> None:
    elsewhere = lab.folder.rename(lab.folder.with_name("elsewhere"))
    try:
        moved = lab._replace(folder=elsewhere)
        assert "trained: trained" in moved.ckgit("status", "trained")
        said = moved.run("advance", "trained").stderr
        assert f"its jobs run on lab-host, in {lab.folder}" in said
    finally:
        elsewhere.rename(lab.folder)


def test_its_histories_hold(read: Callable[..., str]) -> None:
    """What another version rendered cannot be rendered again, which says nothing against it."""
    told = read("verify", "--all", "--json")
    found = [each for one in json.loads(told)["experiments"] for each in one["findings"]]
    assert {each["severity"] for each in found if each["rule"] != "not-reproduced"} == {"note"}


@pytest.fixture(scope="module")
def ended(lab: OldLab, before: Before) -> OldLab:
    """The lab, with every experiment taken on to its report."""
    del before
    lab.hand_over("training", "two/finetune", "experiments/training/two/finetune.slurm")
    assert "it runs on lab-host" in lab.ckgit("advance", "lost", "--no-wait", code=75)
    identity = lab.job_folder("lost", OF_BASE) / "local.json"
    identity.write_text(json.dumps(json.loads(identity.read_text()) | {"host": os.uname().nodename}))  # this machine, started again
    assert f"{OF_BASE}: lost" in lab.ckgit("advance", "lost", code=11)
    lab.ckgit("retry", "failed", "--no-wait", code=10)
    lab.ckgit("advance", "lost", "cancelled", "--to", "analyzed", "--accept-missing")
    others = [name for name, old in EXPERIMENTS.items() if not old.missing]
    said = lab.ckgit("advance", *others, "--to", "analyzed")
    assert "training: two/finetune: " in said
    return lab


@NAMES
def test_each_ends_with_a_report(ended: OldLab, before: Before, name: str) -> None:
    status = json.loads(ended.ckgit("status", name, "--json"))
    assert (status["lifecycle_state"], status["accepted_missing"]) == ("analyzed", list(EXPERIMENTS[name].missing))
    ended.git("merge-base", "--is-ancestor", before.tips[name], f"exp/{name}")
    runs = json.loads(ended.read(name, "analysis/results.json"))["runs"]
    assert all(run["training"]["final_loss"] for run in runs if run["type"] == "fine-tuned")


@NAMES
def test_no_attempt_is_lost_and_none_is_made_twice(ended: OldLab, before: Before, name: str) -> None:
    old, ledger = before.ledgers[name], ended.ledger(name)
    kept, added = ledger["attempts"][: len(old["attempts"])], ledger["attempts"][len(old["attempts"]) :]
    for attempt, recorded in zip(kept, old["attempts"], strict=True):
        ended_now = {"phase": attempt["phase"]} if recorded["phase"] == "submitted" else {}
        assert attempt == attempt | recorded | ended_now
    assert sorted(attempt["job"] for attempt in added) == sorted(EXPERIMENTS[name].new)
    assert [attempt["job"] for attempt in ledger["attempts"] if attempt["phase"] != "done"] == [
        *EXPERIMENTS[name].missing,
        *([FINE_TUNING] if name == "failed" else []),
    ]
    jobs = Path(ledger["work_tree"]) / ".ckgit" / "jobs"
    assert {folder.name for folder in jobs.iterdir()} == {attempt["token"] for attempt in ledger["attempts"]}
    assert {path.parent.name for path in jobs.glob("*/status.json")} == {
        attempt["token"] for attempt in ledger["attempts"] if attempt["job"] not in EXPERIMENTS[name].missing
    }


def test_what_the_older_one_made_is_as_it_left_it(ended: OldLab, before: Before) -> None:
    assert ended.tips()["analyzed"] == before.tips["analyzed"]
    assert {path for path, content in before.made.items() if path.read_bytes() != content} == set()


def test_both_find_the_same_in_the_same_logs(ended: OldLab) -> None:
    """Of `analyzed` the older one wrote the results, of `evaluated` this one, which may say more."""
    runs = [json.loads(ended.read(name, "analysis/results.json"))["runs"] for name in ("analyzed", "evaluated")]
    (old_one, old_base), (one, base) = runs
    losses, old_losses = one["training"]["losses"], old_one["training"]["losses"]
    assert [point | known for point, known in zip(losses, old_losses, strict=True)] == losses
    for run, old in ((one, old_one), (base, old_base)):
        (cell,), (old_cell,) = run["cells"], old["cells"]
        assert cell["samples"] == old_cell["samples"]
        assert [metric | known for metric, known in zip(cell["metrics"], old_cell["metrics"], strict=True)] == cell["metrics"]
