"""A training that ran out of memory is retried with half the batch, with real torchtune: the same steps, and it is told."""

import json
import re
import subprocess

import pytest

from ckgit.analysis.provenance import failures_section
from ckgit.errors import CkgitError, Exit
from ckgit.examples.tiny_model import write_random_model
from ckgit.experiment.design.compute import Resources
from ckgit.experiment.jobs import Batch, FailureClass, Phase
from ckgit.lab.lab import open_lab
from ckgit.orchestrators.commands.retry import RetryPlan, plan_retry
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.engine.options import AdvanceOptions, RetryOptions
from tests.whole import shell

pytestmark = pytest.mark.slow
ROWS = [{"input": f"word{number}", "output": f"WORD{number}"} for number in range(22)]
DESIGN = """\
experiment: {question: Does a smaller batch change anything?}
tools: {evaluation: none}
models: [tiny]
data:
  words: {path: data/words.json}
controls: {epochs: 2, lr: 0.003, device: cpu, dtype: fp32, batch_size: 4}
runs: [{name: one}]
"""
# A training that runs out of memory, where the file is there.
OOM = "echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.'; exit 1"
STARVED = f'[ ! -e %s ] || python() {{ case $* in *torchtune.train*) {OOM} ;; esac; command python "$@"; }}'


class Started:
    """A lab whose training jobs run out of memory as long as the file `starved` is there."""

    def __init__(self, folder):
        self.folder, self.starved, self.environment = folder / "lab", folder / "starved", shell(folder, warm=True)
        write_random_model(folder / "model")
        self.starved.touch()
        subprocess.run(["git", "init", "--quiet", "-b", "main", self.folder], check=True)
        self.ckgit("init", "--slots", "2")
        (self.folder / "data/words.json").write_text(json.dumps({"train": ROWS, "test": ROWS[:2]}))
        config = self.folder / "ckgit.toml"
        text = config.read_text().replace("[clusters.local]", f"[clusters.local]\nsetup = [{json.dumps(STARVED % self.starved)}]")
        config.write_text(text)
        self.ckgit("models", "add", "tiny", str(folder / "model"), "--commit")
        subprocess.run(["git", "add", "--all"], cwd=self.folder, env=self.identity, check=True)
        subprocess.run(["git", "commit", "--quiet", "--all", "--message=Words"], cwd=self.folder, env=self.identity, check=True)

    @property
    def identity(self):
        names = {f"GIT_{who}_{what}": f"{who}@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return {**self.environment, **names}

    def ckgit(self, *words, code=0, stdin=None):
        command = ["ckgit", "-C", str(self.folder), *words]
        done = subprocess.run(command, env=self.identity, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, name, *, policy="fail", gpus=None, **controls):
        """A designed experiment after its first attempt."""
        training = {"training": {"gpus": gpus}} if gpus else {}
        design = DESIGN + f"compute: {json.dumps({'on_out_of_memory': policy, **training})}\n"
        changed = [f"--set=controls.{key}={value}" for key, value in controls.items()]
        self.ckgit("design", name, "--from", "-", *changed, stdin=design)
        self.ckgit("advance", name, "--to", "trained", code=Exit.JOBS_FAILED if self.starved.exists() else 0)

    def view(self, name):
        return open_experiment(open_lab(self.folder), name)

    def attempts(self, name):
        return self.view(name).ledger.attempts

    def file(self, name, path):
        return self.view(name).snapshot.read(f"experiments/{name}/one/{path}").decode()

    def losses(self, name):
        return [float(line.split("loss:")[1].split()[0]) for line in self.file(name, "training.log").splitlines()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Started(tmp_path_factory.mktemp("starved"))


@pytest.fixture
def starved(lab):
    lab.starved.touch()
    return lab


def test_half_the_batch_takes_the_same_steps_where_the_design_allows_it(starved):
    starved.run("small", policy="smaller_batch")
    [first] = starved.attempts("small")
    assert first.failure is FailureClass.OUT_OF_MEMORY
    assert first.reason.startswith("the GPU ran out of memory")

    starved.ckgit("retry", "small", code=Exit.JOBS_FAILED)  # half of it is too much still
    starved.starved.unlink()
    starved.ckgit("retry", "small")
    assert [attempt.batch for attempt in starved.attempts("small")] == [
        None,
        Batch(batch_size=2, gradient_accumulation_steps=2, max_steps_per_epoch=5),
        Batch(batch_size=1, gradient_accumulation_steps=4, max_steps_per_epoch=5),
    ]
    assert starved.attempts("small")[-1].phase is Phase.DONE
    config = starved.file("small", "finetune.yaml")
    assert "batch_size: 1\n" in config
    assert "gradient_accumulation_steps: 4\n" in config
    assert re.search(r'batch_size: +\{source: "?retry"?, value: 1\}', starved.file("small", "setup_finetune.yaml"))
    assert "batch_size 1, gradient_accumulation_steps 4" in starved.ckgit("show", "small", "one")
    view = starved.view("small")

    starved.run("whole")  # as designed; there is memory now
    small, whole = starved.losses("small"), starved.losses("whole")
    assert len(small) == len(whole) == 10
    assert small == pytest.approx(whole, rel=1e-4)
    assert "batch_size 1" in failures_section(type("Results", (), {"runs": ()}), view.ledger)


def of_runs(planned: RetryPlan) -> dict[str, bytes | None]:
    """What a retry writes into the folders of runs."""
    return {path: content for path, content in planned.step.files.items() if path.count("/") > 2}


def test_a_retry_leaves_the_batch_alone_where_the_design_does_not_allow_it(starved):
    starved.run("strict")
    planned = plan_retry(starved.view("strict"), AdvanceOptions())
    assert of_runs(planned) == {}
    assert b"gradient_accumulation_steps" not in planned.step.files["experiments/strict/jobs.json"]


def test_more_memory_is_asked_for_instead_of_a_smaller_batch(starved):
    starved.run("roomy", policy="smaller_batch")
    planned = plan_retry(starved.view("roomy"), AdvanceOptions(retry=RetryOptions(resources=Resources(mem="64G"))))
    assert of_runs(planned) == {}
    assert b"64G" in planned.step.files["experiments/roomy/jobs.json"]


def test_other_gpus_of_a_distributed_training_keep_its_effective_batch_or_are_refused(starved):
    starved.run("wide", gpus=2, device="cuda", batch_size=1, gradient_accumulation_steps=2, max_steps_per_epoch=5)
    planned = plan_retry(starved.view("wide"), AdvanceOptions(retry=RetryOptions(resources=Resources(gpus=4))))
    [attempt] = json.loads(planned.step.files["experiments/wide/jobs.json"])["attempts"][1:]
    assert attempt["resources"]["gpus"] == 4
    assert attempt["batch"] == {"batch_size": 1, "gradient_accumulation_steps": 1, "processes": 4, "max_steps_per_epoch": 5}
    script = of_runs(planned)["experiments/wide/one/finetune.slurm"].decode()
    assert "--recipe=lora_finetune_distributed" in script.replace(" \\\n  ", " ")
    assert "#SBATCH --gpus=4" in script
    for gpus, words in ((3, "make no whole batches"), (1, "another recipe")):
        with pytest.raises(CkgitError, match=words) as caught:
            plan_retry(starved.view("wide"), AdvanceOptions(retry=RetryOptions(resources=Resources(gpus=gpus))))
        assert caught.value.code is Exit.USAGE


def test_gpus_of_a_training_on_one_device_are_only_asked_for(starved):
    starved.run("narrow")
    planned = plan_retry(starved.view("narrow"), AdvanceOptions(retry=RetryOptions(resources=Resources(gpus=2))))
    assert of_runs(planned) == {}
    assert b'"batch":' not in planned.step.files["experiments/narrow/jobs.json"]
