"""Real jobs on packed rows: scripts as scaffolded, TRL and PEFT as installed, a tiny Llama with random weights."""

import json

import pytest

from ckgit.workers.trl import worker
from tests.workers.designs import WORDS
from tests.workers.trl.jobs import ARTIFACTS, RUN, TOKEN, Trained, make_tree

pytestmark = pytest.mark.slow
CONTROLS = {"batch_size": 1, "epochs": 2, "lora_rank": 4, "lr": 0.01, "packing_length": 40, "validation_split": "test"}


@pytest.fixture(scope="module")
def train(tmp_path_factory, random_model, run_warm):
    """`train(**controls)`: scaffold it, run its script; once for each design."""
    done = {}

    def start(words=WORDS, **controls):
        key = json.dumps((controls, words))
        if key not in done:
            work = tmp_path_factory.mktemp("work")
            ctx = make_tree(work, random_model, {"controls": {**CONTROLS, **controls}}, words)
            [job] = worker.jobs(ctx)
            done[key] = Trained(ctx, work, run_warm(work, job.script, TOKEN))
        return done[key]

    return start


def test_a_job(train):
    found = train()
    print(found.output())
    print((found.work / RUN / "finetune.yaml").read_text())
    print((found.work / ARTIFACTS / "packing.json").read_text())
    print((found.work / ARTIFACTS / "training.jsonl").read_text())
    evidence = found.evidence()
    assert evidence.reasons == []
    print(evidence.results[0])
    assert 0
