"""Real jobs on packed rows: scripts as scaffolded, TRL and PEFT as installed, a tiny Llama with random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.jobs import FailureClass
from ckgit.workers.training.outputs.codes import ROWS_REFUSED, TOKENS_DIFFER
from ckgit.workers.trl import worker
from ckgit.workers.trl.outputs.log import LOG_NAME
from ckgit.workers.trl.outputs.packing import PACKING
from tests.workers.designs import WORDS
from tests.workers.trl.jobs import ARTIFACTS, LEFT, RUN, TOKEN, Trained, make_tree, python

pytestmark = pytest.mark.slow
# Nine rows of 14 tokens each make five sequences, and three that are held out make two.
CONTROLS = {"batch_size": 2, "epochs": 2, "lora_rank": 4, "lr": 0.01, "packing_length": 40, "validation_split": "test", "warmup_ratio": 0.3}
ROW = 14
Train = Callable[..., Trained]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory, random_model: Path, run_warm: Callable[..., int]) -> Train:
    """`train(**controls)`: scaffold it, run its script; once for each design."""
    done: dict[str, Trained] = {}

    def start(words: Any = WORDS, **controls: Any) -> Trained:
        key = json.dumps((controls, words))
        if key not in done:
            work = tmp_path_factory.mktemp("work")
            ctx = make_tree(work, random_model, {"controls": {**CONTROLS, **controls}}, words)
            [job] = worker.jobs(ctx)
            done[key] = Trained(ctx, work, run_warm(work, job.script, TOKEN))
        return done[key]

    return start


@pytest.fixture(scope="module")
def packed(train: Train) -> Trained:
    found = train()
    assert found.code == 0, found.output()
    return found


def test_the_job_says_what_was_packed_and_its_steps_follow_from_that(packed: Trained) -> None:
    evidence = packed.evidence()
    assert evidence.reasons == []
    [result] = evidence.results
    rows = {"rows": 9, "tokens": 9 * ROW, "sequences": 5, "lengths": [{str(ROW): 9}]}
    held_out = {"rows": 3, "tokens": 3 * ROW, "sequences": 2, "lengths": [{str(ROW): 3}]}
    told = json.loads(evidence.files[f"{RUN}/{PACKING}"])
    assert told == {"packing_length": 40, "train": rows, "validation": held_out}
    assert (result.steps, len(result.losses), [point.step for point in result.validation]) == (6, 6, [3, 6])
    assert [point.metrics["tokens_read"] for point in result.losses[:3]].count(2 * ROW * 2) >= 1
    assert sum(point.metrics["tokens_read"] for point in result.losses) == 2 * 9 * ROW
    assert result.tokens_seen == 2 * sum(len(row["output"]) + 1 for row in WORDS["train"])
    assert [point.lr for point in result.losses[:3]] == pytest.approx([0.0, 0.005, 0.01])  # two of six steps are warm-up
    assert result.own["packed"] == {"rows": 9, "tokens": 9 * ROW, "sequences": 5, "packing_length": 40}
    assert worker.report(result).startswith("9 rows were packed into 5 sequences of 40 tokens, 63% full. Merged models differ ")
    (again,) = worker.results(packed.context, packed.job, packed.attempt, evidence.files)
    assert again.model_copy(update={"seconds": 0}) == result.model_copy(update={"seconds": 0})


def test_a_running_job_tells_its_steps_once_its_rows_are_packed(packed: Trained, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(packed.work, work, symlinks=True)
    found = worker.progress(packed.context, packed.job, work, "")
    assert found
    assert (found.step, found.steps) == (6, 6)
    (work / ARTIFACTS / PACKING).unlink()
    found = worker.progress(packed.context, packed.job, work, "")
    assert found
    assert (found.step, found.steps) == (6, 0)


FORGED = {
    "sequences": ({"sequences": 4}, "train: it has 4 sequences, and its rows are packed into 5"),
    "rows": ({"rows": 8}, "train: it has 8 rows, and design counted 9"),
    "rows and lengths": ({"rows": 8, "lengths": [{"14": 8}], "sequences": 4, "tokens": 112}, "train: it has 8 rows, and design counted 9"),
    "lengths of fewer rows": ({"lengths": [{"14": 8}]}, "lists the lengths of 8 rows in groups that 9 rows do not make"),
    "other groups": ({"lengths": [{"14": 4}, {"14": 5}]}, "lists the lengths of 9 rows in groups that 9 rows do not make"),
    "a row that is too long": ({"lengths": [{"14": 8, "41": 1}]}, "has a row of 41 tokens, and none is longer than packing_length 40"),
    "longer rows": ({"lengths": [{"14": 8, "15": 1}]}, "has 126 tokens, and its lengths come to 127"),
    "longer rows and their sum": ({"lengths": [{"13": 9}], "tokens": 117, "sequences": 3}, "says that 252 tokens were read in 2 epochs"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_was_packed_cannot_be_told_otherwise(packed: Trained, name: str) -> None:
    changed, why = FORGED[name]
    files = dict(packed.evidence().files)
    told = json.loads(files[f"{RUN}/{PACKING}"])
    files[f"{RUN}/{PACKING}"] = json.dumps({**told, "train": {**told["train"], **changed}}).encode()
    if name == "longer rows and their sum":  # then the log must be of other steps, too
        lines = files[f"{RUN}/{LOG_NAME}"].splitlines(keepends=True)
        merged = [json.loads(line) for line in lines]
        files[f"{RUN}/{LOG_NAME}"] = b"".join(
            json.dumps({**merged[2 * at], "step": at + 1, "tokens_read": 63}).encode() + b"\n" for at in range(2)
        ) + b"".join(json.dumps({**merged[at], "step": at + 1, "tokens_read": 63}).encode() + b"\n" for at in range(2, 4))
        validation = files[f"{RUN}/validation.jsonl"].replace(b'"step": 3', b'"step": 2').replace(b'"step": 6', b'"step": 4')
        files[f"{RUN}/validation.jsonl"] = validation
    with pytest.raises(ValueError, match=why):
        worker.results(packed.context, packed.job, packed.attempt, files)


def test_a_record_of_another_design_is_none(packed: Trained) -> None:
    files = packed.evidence().files
    name, told = f"{RUN}/{PACKING}", json.loads(packed.evidence().files[f"{RUN}/{PACKING}"])
    for changed, why in (
        ({"packing_length": 48}, "is of sequences of 48 tokens; packing_length 40 was planned"),
        ({"validation": None}, "has no rows that are held out"),
        ({"validation": {**told["validation"], "rows": 4, "lengths": [{"14": 4}], "tokens": 56}}, "validation: it has 4 rows, and design"),
        ({"more": 1}, "cannot be read"),
    ):
        with pytest.raises(ValueError, match=why):
            worker.results(packed.context, packed.job, packed.attempt, {**files, name: json.dumps({**told, **changed}).encode()})
    without = {path: content for path, content in files.items() if path != name}
    with pytest.raises(ValueError, match=r"packing\.json is missing, which says how many sequences"):
        worker.results(packed.context, packed.job, packed.attempt, without)


def test_a_row_that_is_longer_than_a_sequence_ends_the_job_and_is_named(train: Train) -> None:
    """TRL would cut it without a word."""
    words = {**WORDS, "test": [*WORDS["test"], {"input": "longest", "output": "LONGEST"}]}
    found = train(words, packing_length=16)
    assert found.code == ROWS_REFUSED
    [reason] = found.evidence().reasons
    assert reason == "data/words.json: test row 3 has 18 tokens, more than packing_length 16: 'longest'"
    assert not (found.work / ARTIFACTS / LOG_NAME).exists()


def test_what_takes_more_steps_than_rows_are_packed_into_ends_the_job(train: Train) -> None:
    """A design cannot tell: each row could be a sequence."""
    found = train(log_every_n_steps=7)
    assert found.code == ROWS_REFUSED
    [reason] = found.evidence().reasons
    why = "log_every_n_steps is 7, but training takes 6 steps: its log would hold no loss"
    assert reason == f"9 rows were packed into 5 sequences, and {why}"


KILLED = LEFT + """
import json, os
from pathlib import Path
from ckgit.workers.trl import callbacks, prepare, train
from ckgit.workers.trl.outputs import packing as record

run = Path(sys.argv[1])
artifacts = run / "artifacts"
os.environ["CKGIT_JOB"] = "job-1"
stock = callbacks.Saver.on_step_end


def start(kill_at):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == kill_at:
            os._exit(9)
        stock(self, args, state, control, **kwargs)

    callbacks.Saver.on_step_end = on_step_end
    os._exit(train.train(run, prepare.main(run)))


codes = [start(0)]
whole = left()
import shutil
shutil.rmtree(artifacts)
codes += [start(6), start(0)]
resumed = json.loads((artifacts / "resumed.json").read_bytes())
differ = sorted(name for name in {*whole, *left()} if whole.get(name) != left().get(name))
shutil.rmtree(artifacts)
step = prepare.main(run)
told = json.loads((artifacts / record.PACKING).read_bytes())
told["train"]["sequences"] += 1
(artifacts / record.PACKING).write_text(json.dumps(told))
codes.append(train.train(run, step))
print("FOUND" + json.dumps({"codes": codes, "resumed": resumed, "left": len(whole), "differ": differ}))
"""


def test_one_that_is_killed_in_an_epoch_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, random_model: Path) -> None:
    """And where TRL packs otherwise than was counted, nothing is trained."""
    controls = {**CONTROLS, "batch_size": 1, "save_every_n_steps": 2, "lora_dropout": 0.1, "validation_split": None}
    make_tree(tmp_path, random_model, {"controls": {name: value for name, value in controls.items() if value is not None}})
    found = json.loads(python(tmp_path, KILLED, RUN).rpartition("FOUND")[2])
    assert found["codes"] == [0, 9, 0, TOKENS_DIFFER]
    assert found["resumed"] == [5]
    assert found["differ"] == []
    assert found["left"] > 20


def test_a_model_whose_rows_see_each_other_is_not_trained(tmp_path: Path, run_warm: Callable[..., int]) -> None:
    import torch
    import transformers

    from ckgit.examples.tiny_model import ARCHITECTURE, byte_tokenizer

    tokenizer, folder = byte_tokenizer(), tmp_path / "opt"
    sizes = ARCHITECTURE.model_dump(exclude={"rope_theta", "rope_scaling"}, exclude_none=True)
    tokens = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(1)
    config = transformers.OPTConfig(ffn_dim=128, dropout=0.0, word_embed_proj_dim=sizes["hidden_size"], **sizes, **tokens)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    work = tmp_path / "work"
    ctx = make_tree(work, folder, {"controls": {**CONTROLS, "lora_target_modules": ["q_proj", "v_proj"], "dtype": "bf16"}})
    [job] = worker.jobs(ctx)
    found = Trained(ctx, work, run_warm(work, job.script, TOKEN))
    assert found.code == ROWS_REFUSED, found.output()
    evidence = found.evidence()
    assert evidence.failure is FailureClass.ERROR
    [reason] = evidence.reasons
    assert reason.startswith("packed rows are not trained as rows by themselves are: of model OPT (opt) with sdpa attention, the logits")
    assert reason.endswith("; leave packing_length out")
    assert not (work / ARTIFACTS / LOG_NAME).exists()
