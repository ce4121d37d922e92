"""A training that is killed anywhere goes on, inside an epoch too, and ends with the bytes of one that was not."""

from __future__ import annotations

import json
import os

import pytest

from tests.workers.trl import preferences
from tests.workers.trl.jobs import ARTIFACTS, LEFT, RUN, make_tree, python

pytestmark = [pytest.mark.slow, pytest.mark.long]
KILLS = 20 if os.environ.get("CKGIT_LONG_TESTS") else 2  # of each design; every second one is killed once more
CONTROLS = {"batch_size": 2, "epochs": 2, "save_every_n_steps": 2, "lora_rank": 4, "num_warmup_steps": 2}
STOPPING = {"early_stopping_patience": 1, "early_stopping_threshold": 100}  # at the second measurement, inside the first epoch
DESIGNS = {
    "lora with dropout": {"lora_dropout": 0.2, "epochs": 3},
    "dora": {"method": "dora", "log_every_n_steps": 3},
    "full, rows in order, validated": {"method": "full", "shuffle": False, "validation_split": "test", "keep_best": True},
    "accumulation, clipped": {"batch_size": 1, "gradient_accumulation_steps": 2, "clip_grad_norm": 0.5, "lr_scheduler": "linear"},
    "stopped early": {"validation_split": "test", "validate_every_n_steps": 2, "keep_best": True, **STOPPING},
    "packed": {"packing_length": 30, "batch_size": 1, "gradient_accumulation_steps": 2, "lora_dropout": 0.1, "save_every_n_steps": 1},
    "preferences": {"objective": "dpo", "lr": 0.001},
}
# Each start is a fork of one process, so that torch is imported once. What it does is counted, and at one count it is killed; where a file
# is written just then, half of it is there.
STARTS = LEFT + """
import json, os, random, shutil
from pathlib import Path
import torch
import transformers.models.llama.modeling_llama
from ckgit.workers.trl import callbacks, merge, prepare, train
from ckgit.workers.trl.outputs import state

run, kills, designs = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
artifacts = run / "artifacts"
EVENTS = [(torch, "save"), (torch.optim.AdamW, "step"), (callbacks.Recorder, "on_log"), (state, "_digest"), (merge, "_logits")]
EVENTS += [(shutil, "rmtree"), (shutil, "copyfile"), (Path, "replace"), (Path, "unlink"), (Path, "write_text")]


def start(kill_at=0):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0

    def counted(owner, name):
        stock = getattr(owner, name)

        def call(*words, **named):
            nonlocal seen
            seen += 1
            if seen == kill_at:
                if name == "save":
                    Path(words[1]).write_bytes(b"half")
                os._exit(9)
            return stock(*words, **named)

        setattr(owner, name, call)

    for owner, name in EVENTS:
        counted(owner, name)
    os.environ["CKGIT_JOB"] = "job-1"
    code = 1
    try:
        code = train.train(run, prepare.main(run))
        with open("events", "w") as file:
            file.write(str(seen))
    finally:
        os._exit(code)


def told(name, otherwise):
    file = artifacts / name
    return json.loads(file.read_bytes()) if file.exists() else otherwise


def killed(design, number, events, whole):
    shutil.rmtree(artifacts)
    choice = random.Random(f"{design} {number}")
    starts = []
    for kill_at in (choice.randint(events // 3, events), choice.randint(1, events) if number % 2 else 0, 0):
        if not starts or starts[-1]["code"]:
            saved, before = told("state.json", {}).get("step", 0), told("resumed.json", [])
            code = start(kill_at)
            starts.append({"kill_at": kill_at, "code": code, "saved": saved, "before": before, "resumed": told("resumed.json", [])})
    found = left()
    return {"starts": starts, "differ": sorted(name for name in {*whole, *found} if whole.get(name) != found.get(name))}


top = Path.cwd()
for design in designs:
    os.chdir(top / design)
    assert start() == 0, design
    whole, events = left(), int(Path("events").read_text())
    tries = [killed(design, number, events, whole) for number in range(kills)]
    Path("told.json").write_text(json.dumps({"events": events, "left": len(whole), "tries": tries}))
"""


@pytest.fixture(scope="module")
def top(tmp_path_factory, random_model):
    """A folder with a work tree for each design, in which `told.json` says what became of its starts."""
    folder = tmp_path_factory.mktemp("kills")
    for name, controls in DESIGNS.items():
        (folder / name).mkdir()
        if "objective" in controls:
            preferences.make_tree(folder / name, random_model, controls={**CONTROLS, **controls})
        else:
            make_tree(folder / name, random_model, {"controls": {**CONTROLS, **controls}})
    python(folder, STARTS, RUN, str(KILLS), *DESIGNS)
    return folder


@pytest.mark.parametrize("name", DESIGNS)
def test_kills_change_no_byte_and_what_was_saved_is_gone_on_with(top, name):
    told = json.loads((top / name / "told.json").read_bytes())
    assert told["events"] > 50
    assert told["left"] > 20
    assert len(told["tries"]) == KILLS
    saved = 0
    for found in told["tries"]:
        *kills, last = found["starts"]
        assert found["differ"] == [], found
        assert {each["code"] for each in kills} == {9}, found
        assert last["code"] == 0, found
        assert last["resumed"] == [*last["before"], *([last["saved"]] if last["saved"] else [])], found
        saved += bool(last["saved"])
    assert saved, told  # else nothing of this is shown
    assert not list((top / name / ARTIFACTS).glob("checkpoint-*"))
