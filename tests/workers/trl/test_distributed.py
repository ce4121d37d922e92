"""Several processes train together, started by torchrun as the job's script says: here by gloo, on a CPU."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.lab.models.folder import read_card
from ckgit.workers.training.outputs.codes import NOT_TOGETHER
from ckgit.workers.trl import worker
from ckgit.workers.trl.outputs.log import LOG_NAME
from tests.warm import programs
from tests.workers.designs import WORDS, context, write_tree
from tests.workers.trl.jobs import ARTIFACTS, RUN, TOKEN, Trained, python
from tests.workers.trl.test_jobs import STOCK

pytestmark = pytest.mark.slow
CONTROLS = {"epochs": 2, "lora_rank": 4, "num_warmup_steps": 2, "save_every_n_steps": 1}
WHOLE = {**WORDS, "train": WORDS["train"][:8]}  # rows that are two batches of two for each of two processes


def make_tree(work: Path, model: Path, *, gpus: int, nodes: int = 1, words=WORDS, **controls) -> Trained:
    """A work tree of a run on so many processes. A design with several GPUs on `device: cpu` is refused; what runs is the same."""
    work.mkdir(exist_ok=True)
    card, _ = read_card("tiny", model)
    training = {"compute": {"training": {"gpus": gpus, "nodes": nodes}}} if gpus > 1 else {}
    ctx = context(cards=(card,), words=words, tools={"preparation": "trl"}, controls={**CONTROLS, **controls}, **training)
    write_tree(ctx, dict(worker.scaffold(ctx)), work, {"tiny": model})
    return Trained(ctx, work, -1)


@pytest.fixture(scope="module")
def train(tmp_path_factory, random_model):
    """`train(gpus=N, ...)`: scaffold it, run its script, in which `replaced` is something else."""

    def start(*, replaced=("", ""), path="", warm=True, **design):
        made = make_tree(tmp_path_factory.mktemp("work"), random_model, **design)
        script, output = made.work / made.job.script, made.work / ".ckgit/jobs" / TOKEN / "output"
        script.write_text(script.read_text().replace(*replaced))
        output.parent.mkdir(parents=True)
        found = f"{path}{programs() if warm else Path(sys.executable).parent}:{os.environ['PATH']}"
        known = {"PATH": found, "CKGIT_JOB": TOKEN, "SLURM_JOB_ID": str(os.getpid()), "SLURMD_NODENAME": "localhost"}
        with output.open("wb") as stream:
            made.code = subprocess.run(
                ["bash", script], cwd=made.work, stdout=stream, stderr=subprocess.STDOUT, env=known, check=False
            ).returncode
        return made

    return start


@pytest.fixture(scope="module")
def two(train):
    """Of nine rows both processes have five, and one is there twice. Each has a start of Python of its own."""
    return train(gpus=2, batch_size=2, lora_dropout=0.1, warm=False)


def result(trained):
    assert trained.code == 0, trained.output()
    evidence = trained.evidence()
    assert evidence.reasons == []
    return evidence.results[0]


SRUN = """\
#!/bin/bash
# Two nodes, which are both this machine; the second one is there first.
while [[ $1 == --* ]]; do shift; done
SLURM_NODEID=1 "$@" &
sleep 1
SLURM_NODEID=0 "$@" && wait $!
"""


def test_two_nodes_take_the_steps_of_one_process(train, tmp_path):
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    more = {"lr": 0.01, "words": WHOLE, "validation_split": "test", "keep_best": True, "early_stopping_patience": 5}
    one = train(gpus=1, batch_size=4, **more)
    two = train(gpus=2, nodes=2, batch_size=2, path=f"{tmp_path}:", **more)
    alone, together = result(one), result(two)
    assert (alone.steps, alone.tokens_seen) == (together.steps, together.tokens_seen)
    losses = [[point.loss for point in found.losses] for found in (alone, together)]
    assert len(losses[0]) == 4
    assert losses[0] == pytest.approx(losses[1], abs=2e-6)
    assert max(losses[0]) - min(losses[0]) > 0.02
    assert [point.step for point in together.validation] == [point.step for point in alone.validation] == [2, 4]
    assert [point.step for point in together.checkpoints] == [point.step for point in alone.checkpoints]


def test_two_processes_take_the_steps_of_one_on_packed_rows(train):
    """Of three sequences that are held out one is there twice, and counts once."""
    held_out = [*WORDS["test"], *WORDS["train"][:2]]
    more = {"lr": 0.01, "words": {**WHOLE, "test": held_out}, "validation_split": "test", "packing_length": 28}
    alone, together = (result(train(gpus=gpus, batch_size=2 // gpus, **more)) for gpus in (1, 2))
    assert (alone.steps, alone.tokens_seen) == (together.steps, together.tokens_seen)
    for name in ("losses", "validation"):
        losses = [[point.loss for point in getattr(found, name)] for found in (alone, together)]
        assert len(losses[0]) == (4 if name == "losses" else 2)
        assert losses[0] == pytest.approx(losses[1], abs=2e-6)
    assert max(losses[0]) - min(losses[0]) > 0.02


def test_of_packed_rows_a_whole_sequence_is_there_twice_where_processes_lack_one(train):
    """Nine rows make five sequences, of which three steps of two processes take six."""
    found = result(train(gpus=2, batch_size=1, packing_length=28))
    assert found.steps == 6
    read = sum(point.metrics["tokens_read"] for point in found.losses)
    assert read in (2 * 10 * 14, 2 * 10 * 14 + 14, 2 * 11 * 14)  # one or two rows more in an epoch


def test_the_first_process_alone_writes_down_what_all_have_done(two):
    found = result(two)
    lines = (two.work / ARTIFACTS / LOG_NAME).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 7))
    answers = [len(row["output"]) + 1 for row in WORDS["train"]]  # of single bytes, and the end of turn
    padding = found.tokens_seen - 2 * sum(answers)
    assert padding == 2 * 3 * answers[0]  # each epoch has twelve rows, of five letters each
    assert (found.steps, worker.steps(two.context, two.context.plan.run("run")).total) == (6, 6)
    assert not list((two.work / ARTIFACTS).glob("checkpoint-*"))


DIES = """
import os, sys
from pathlib import Path
sys.modules["torchao"] = None
from ckgit.workers.trl import callbacks, rank

def on_step_end(self, args, state, control, **kwargs):
    if state.global_step == 5 and not state.is_world_process_zero:
        os._exit(9)
    control.should_save = True

callbacks.Saver.on_step_end = on_step_end
sys.exit(rank.main(Path(sys.argv[1])))
"""
KILLED = """
import hashlib, json, os
from pathlib import Path
from ckgit.workers.trl import prepare, train
from ckgit.workers.trl.design.world import World
from ckgit.workers.trl.distributed.launch import together

run, world = Path(sys.argv[1]), World(2)
os.environ |= {"CKGIT_JOB": "job-1", "PYTHONSAFEPATH": "1"}
assert prepare.main(run) == 0
codes = [together(Path("dies.py").absolute(), run, world)]
done = prepare.main(run)
codes.append(train.train(run, done, world))
print(json.dumps([*codes, done]))
"""


def left(work: Path) -> dict[str, str]:
    files = [path for path in sorted((work / ARTIFACTS).rglob("*")) if path.is_file()]
    own = ("starts.json", "resumed.json", "finished.json")  # they tell of the starts
    return {str(path.relative_to(work)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.name not in own}


def test_one_that_is_killed_in_an_epoch_goes_on_and_ends_with_the_same_bytes(two, tmp_path):
    made = make_tree(tmp_path / "work", two.work / "models/tiny", gpus=2, batch_size=2, lora_dropout=0.1)
    (made.work / "dies.py").write_text(DIES)
    assert json.loads(python(made.work, KILLED, RUN).splitlines()[-1]) == [9, 0, 4]
    assert json.loads((made.work / ARTIFACTS / "resumed.json").read_text()) == [4]
    assert left(made.work) == left(two.work)
    assert len(left(two.work)) > 20


def test_the_command_that_its_configuration_names_repeats_the_training(two, tmp_path):
    """torchrun starts TRL's own command as often; nothing of ckgit's runs in it."""
    from safetensors.torch import load_file

    work, name = tmp_path / "work", "adapter_model.safetensors"
    shutil.copytree(two.work, work, symlinks=True)
    for folder in (work / ARTIFACTS).glob("epoch_*"):
        shutil.rmtree(folder)
    python(work, STOCK, f"{RUN}/finetune.yaml", "1")
    [state] = (work / ARTIFACTS).glob("checkpoint-6/trainer_state.json")
    losses = [line["loss"] for line in json.loads(state.read_bytes())["log_history"] if "loss" in line]
    assert losses == [point.loss for point in result(two).losses]
    one, other = (load_file(path) for path in (two.work / ARTIFACTS / "epoch_1/adapter" / name, work / ARTIFACTS / name))
    assert one.keys() == other.keys()
    assert len(one) > 10
    assert [each for each in one if not one[each].equal(other[each])] == []


def test_where_one_of_two_processes_was_started_none_trains(train):
    found = train(gpus=2, batch_size=2, replaced=(" --processes=2", ""))
    assert found.code == NOT_TOGETHER, found.output()
    evidence = found.evidence()
    assert (evidence.failure, evidence.reasons) == (
        FailureClass.ENVIRONMENT,
        ["2 processes were to train together, and 1 did start"],
    )
    assert not (found.work / ARTIFACTS / LOG_NAME).exists()


def test_where_nothing_is_shared_that_was_to_be_none_trains(train):
    """On a CPU, accelerate takes `fsdp: true` and copies the model into each process, without a word."""
    found = train(gpus=2, batch_size=2, sharding="fsdp")
    assert found.code == NOT_TOGETHER, found.output()
    evidence = found.evidence()
    reason = "sharding: fsdp was to share the model among 2 processes, and accelerate trains by MULTI_CPU"
    assert (evidence.failure, evidence.reasons) == (FailureClass.ENVIRONMENT, [reason])
    assert not (found.work / ARTIFACTS / LOG_NAME).exists()
