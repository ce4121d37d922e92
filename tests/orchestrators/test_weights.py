"""What is evaluated is what training left, with real torchtune and inspect-ai: other weights are refused, and never reported."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.lab.lab import open_lab
from ckgit.lab.snapshot.take import take_snapshot
from tests.whole import WholeLab

pytestmark = pytest.mark.slow
ROWS = [{"input": f"word{number}", "output": f"WORD{number}"} for number in range(12)]
DESIGN = """\
experiment: {question: Which weights are evaluated?}
models: [tiny]
data:
  words: {path: data/words.json}
controls: {epochs: 2, lr: 0.003, device: cpu, dtype: fp32, batch_size: 4}
runs: [{name: one}, {name: two, parameters: {lr: 0.01, epochs: 1}}, {name: base, type: control}]
evaluation:
  tasks: [{name: capitalization}]
  generation: {max_tokens: 4}
"""
ONE, TWO = "one/eval/capitalization_epoch1", "two/eval/capitalization_epoch0"


class Whole(WholeLab):
    """A lab with experiment `demo`, whose trainings have ended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"train": ROWS, "test": ROWS[:2]})
        self.ckgit("design", "demo", "--from", "-", stdin=DESIGN)
        self.ckgit("advance", "demo", "--to", "trained")
        self.kept = folder / "kept"
        shutil.copytree(self.runs, self.kept)

    @property
    def runs(self) -> Path:
        """Folder of the runs in the work tree."""
        return Path(self.ledger.work_tree) / "experiments/demo"

    def phases(self) -> dict[str, tuple[Phase, FailureClass | None]]:
        newest = {attempt.job: attempt for attempt in self.ledger.attempts}
        return {job: (attempt.phase, attempt.failure) for job, attempt in newest.items() if "/eval/" in job}

    def reason(self, job: str) -> str:
        found = self.ledger.latest(job)
        assert found
        return found.reason or ""

    def committed(self, path: str) -> bytes:
        found = take_snapshot(open_lab(self.folder), "demo").read(f"experiments/demo/{path}")
        assert found
        return found

    def bring_back(self, run: str) -> None:
        shutil.rmtree(self.runs / run / "artifacts")
        shutil.copytree(self.kept / run / "artifacts", self.runs / run / "artifacts")

    def wait_for(self, job: str) -> None:
        token = next(attempt.token for attempt in reversed(self.ledger.attempts) if attempt.job == job)
        status = Path(self.ledger.work_tree) / ".ckgit/jobs" / token / "status.json"
        end = time.monotonic() + 300
        while not status.exists():
            assert time.monotonic() < end, "the job does not end"
            time.sleep(0.2)


def zero(file: Path) -> None:
    """40,000 bytes in the middle; the header is as it was."""
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        stream.write(bytes(40_000))


def weights(folder: Path) -> Path:
    [found] = folder.glob("*.safetensors")
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("whole"))


def test_other_weights_than_training_left_are_never_evaluated_nor_reported(lab: Whole) -> None:
    manifest = json.loads(lab.committed("one/checkpoints.json"))
    folder = lab.runs / "one/artifacts/epoch_1"
    names = {file.name for file in folder.iterdir() if file.is_file()}
    assert {"config.json", "tokenizer.json", weights(folder).name} <= set(manifest[1]["files"]) <= names
    assert all(each["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest() for name, each in manifest[1]["files"].items())
    [start] = json.loads(lab.committed("one/starts.json"))
    config = hashlib.sha256((lab.runs / "one/finetune.yaml").read_bytes()).hexdigest()
    assert start == {"token": lab.ledger.attempts[0].token, "config": config}

    zero(weights(folder))
    other = lab.runs / "two/artifacts/epoch_0"
    shutil.copyfile(weights(lab.kept / "one/artifacts/epoch_0"), weights(other))
    said = lab.ckgit("advance", "demo", "--to", "analyzed", code=Exit.JOBS_FAILED)
    assert "ckgit revise demo --anew, then ckgit advance demo" in said.rpartition("next:")[2]
    changed = (Phase.FAILED, FailureClass.INPUT_CHANGED)
    assert lab.phases() == {ONE: changed, TWO: changed, "base/eval/capitalization_base": (Phase.DONE, None)}
    assert f"artifacts/epoch_1/{weights(folder).name}" in lab.reason(ONE)
    assert f"artifacts/epoch_0/{weights(other).name}" in lab.reason(TWO)
    assert "train anew: ckgit revise demo" in lab.reason(ONE)
    found = lab.ledger.latest(ONE)
    assert found
    assert found.exit_code == 65
    files = lab.run("git", "ls-tree", "-r", "--name-only", "exp/demo").stdout.split()
    assert [file for file in files if file.endswith(".eval")] == ["experiments/demo/base/eval/logs/capitalization_base.eval"]

    lab.bring_back("one")
    lab.ckgit("retry", "demo", code=Exit.JOBS_FAILED)
    assert lab.phases()[ONE] == (Phase.DONE, None)
    assert lab.phases()[TWO] == changed

    shutil.rmtree(lab.runs / "two/artifacts")
    shutil.copytree(lab.kept / "one/artifacts", lab.runs / "two/artifacts")  # with the record beside it
    said = lab.ckgit("retry", "demo", code=Exit.EVIDENCE_MISSING)
    assert "two/artifacts/checkpoints.json is not what training committed" in said

    lab.bring_back("two")
    lab.ckgit("retry", "demo", "--no-wait", code=Exit.IN_FLIGHT)
    lab.wait_for(TWO)
    zero(weights(other))  # what was evaluated before that stands
    lab.ckgit("advance", "demo", "--to", "analyzed")
    results = {run["name"]: run for run in json.loads(lab.committed("analysis/results.json"))["runs"]}
    listed = "".join(f"{each['sha256']}  {name}\n" for name, each in sorted(manifest[1]["files"].items()))
    assert results["one"]["cells"][0]["weights"] == hashlib.sha256(listed.encode()).hexdigest()
    assert results["two"]["cells"][0]["weights"]
    assert [run["remarks"] for run in results.values()] == [[], [], []]

    lab.ckgit("revise", "demo", "--anew")
    lab.ckgit("advance", "demo", "--to", "trained")
    assert {attempt.phase for attempt in lab.ledger.attempts} == {Phase.DONE}
    tokens = {attempt.job.split("/")[0]: attempt.token for attempt in lab.ledger.attempts}
    for run in ("one", "two"):
        [start] = json.loads(lab.committed(f"{run}/starts.json"))
        assert start["token"] == tokens[run]
        for epoch in json.loads(lab.committed(f"{run}/checkpoints.json")):
            file = weights(Path(lab.ledger.work_tree) / epoch["path"])
            assert epoch["files"][file.name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
