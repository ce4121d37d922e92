"""A training that stops early, as TRL makes it: where it stops, what it leaves, and that one that was killed forgets no patience."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckgit.experiment.jobs import Attempt, Phase
from ckgit.workers.trl import worker
from tests.workers.trl.jobs import ARTIFACTS, LEFT, RUN, TOKEN, make_tree, python

pytestmark = pytest.mark.slow
CONTROLS = {
    "batch_size": 2, "epochs": 4, "lr": 0.01, "lora_rank": 4, "save_every_n_steps": 2,
    "lr_scheduler": "reduce_lr_on_plateau", "plateau_factor": 0.5, "plateau_patience": 0,
    "validation_split": "test", "validate_every_n_steps": 2, "keep_best": True, "early_stopping_patience": 2,
}  # fmt: skip
# Each start is a fork of one process. One is killed as soon as it has saved a state, and goes on: once for each state.
STARTS = LEFT + """
import json, os, shutil
from pathlib import Path
from ckgit.workers.trl import callbacks, prepare, train

run = Path(sys.argv[1])
artifacts = run / "artifacts"
os.environ["CKGIT_JOB"] = "job-1"


def start(kill_at):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    stock, saved = callbacks.Saver.on_save, []

    def on_save(self, args, state, control, **named):
        stock(self, args, state, control, **named)
        saved.append(state.global_step)
        Path("saved").write_text(json.dumps(saved))
        if state.global_step == kill_at:
            os._exit(9)

    callbacks.Saver.on_save = on_save
    code = 1
    try:
        code = train.train(run, prepare.main(run))
    finally:
        os._exit(code)


assert start(0) == 0
whole, saved, resumed = left(), json.loads(Path("saved").read_text()), []
for step in saved:
    shutil.rmtree(artifacts)
    assert (start(step), start(0)) == (9, 0)
    assert left() == whole, (step, {name for name in whole if left().get(name) != whole[name]}, left().keys() ^ whole.keys())
    resumed += json.loads((artifacts / "resumed.json").read_text())
print(json.dumps({"saved": saved, "resumed": resumed}))
"""


class Stopped:
    """A training that stopped early, and what is told of it."""

    def __init__(self, work: Any, context: Any, told: Any) -> None:
        self.told, self.context = told, context
        [self.job] = worker.jobs(context)
        places = [path for path in (work / ARTIFACTS).iterdir() if path.is_file()]
        self.files = {f"{RUN}/{path.name}": path.read_bytes() for path in places}
        self.folders = sorted(path.name for path in (work / ARTIFACTS).iterdir() if path.is_dir())
        self.attempt = Attempt(
            job=self.job.name, stage=self.job.stage, number=1, token=TOKEN, script_sha256="", phase=Phase.DONE,
            submitted="2026-11-23T00:00:00Z", started="2026-11-23T00:00:00Z", ended="2026-11-23T00:01:00Z", job_id="4711",
        )  # fmt: skip

    def result(self, **changed: bytes) -> Any:
        """What is read of its files, some of which are others."""
        files = self.files | {f"{RUN}/{name}": content for name, content in changed.items()}
        [result] = worker.results(self.context, self.job, self.attempt, files)
        return result


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, random_model):
    work = tmp_path_factory.mktemp("work")
    context = make_tree(work, random_model, {"controls": CONTROLS})
    return Stopped(work, context, json.loads(python(work, STARTS, RUN).splitlines()[-1]))


def test_it_has_the_steps_until_patience_was_exhausted_and_says_why(stopped):
    result = stopped.result()
    losses = [point.loss for point in result.validation]
    best = min(range(len(losses)), key=losses.__getitem__)
    assert len(losses) == best + 3  # of which the last two did not fall
    assert result.steps == 2 * len(losses) < result.planned_steps == 20
    assert [point.step for point in result.losses] == list(range(1, result.steps + 1))
    epochs, low = f"{result.steps / 5:.4g}", f"{losses[best]:.4g}"
    assert result.ended == (
        f"after {epochs} of 4 epochs the validation loss had not fallen for 2 measurements; it was lowest, {low}, at step {2 * best + 2}"
    )


def test_it_leaves_the_best_and_the_last_and_no_epoch(stopped):
    best, last = stopped.result().checkpoints
    low = min(stopped.result().validation, key=lambda point: point.loss)
    assert (best.path, best.step, best.best) == (f"{ARTIFACTS}/best", low.step, True)
    assert (last.path, last.step, last.best, last.epoch) == (f"{ARTIFACTS}/last", stopped.result().steps, False, None)
    assert best.weights != last.weights
    assert stopped.folders == ["best", "last", "rows"]


def test_one_that_was_killed_at_any_state_stops_at_the_same_step_with_the_same_bytes(stopped):
    """TRL's own early stopping forgets how long it has waited; one that was killed when it had stopped takes no further step."""
    saved = stopped.told["saved"]
    assert stopped.told["resumed"] == saved
    assert saved[-1] == stopped.result().steps
    assert {2, 4, 5} <= set(saved)


def test_the_rate_falls_with_the_loss_and_one_that_was_killed_forgets_none_of_it(stopped):
    """The bytes above are equal where the kill was after a fall, too: its schedule's state is saved."""
    result, rate, low = stopped.result(), CONTROLS["lr"], float("inf")
    expected = []
    for point in result.validation:
        expected += [rate, rate]
        rate *= 1 if point.loss < low else 0.5
        low = min(low, point.loss)
    assert [point.lr for point in result.losses] == expected
    assert expected[-1] < CONTROLS["lr"]


def test_a_log_that_ends_early_is_no_early_stop(stopped):
    steps = stopped.result().steps
    validation, training = (stopped.files[f"{RUN}/{name}.jsonl"].splitlines(keepends=True) for name in ("validation", "training"))
    with pytest.raises(ValueError, match=rf"training\.jsonl shows {steps} losses up to step {steps}; 20 up to step 20 were planned"):
        stopped.result(**{"validation.jsonl": b"".join(validation[:-1])})
    fallen = json.dumps(json.loads(validation[-1]) | {"loss": 0.01}).encode()
    with pytest.raises(ValueError, match="20 up to step 20 were planned"):
        stopped.result(**{"validation.jsonl": b"".join([*validation[:-1], fallen])})
    with pytest.raises(ValueError, match=rf"shows {steps - 1} losses up to step {steps - 1}; {steps} up to step {steps} were planned"):
        stopped.result(**{"training.jsonl": b"".join(training[:-1])})
    later = json.dumps({"step": steps + 2, "loss": 0.01}).encode()
    with pytest.raises(ValueError, match=rf"validation\.jsonl shows {steps // 2 + 1} losses; {steps // 2} were planned until step {steps}"):
        stopped.result(**{"validation.jsonl": b"".join([*validation, later])})


def test_another_step_than_the_last_is_not_the_last(stopped):
    listed = json.loads(stopped.files[f"{RUN}/checkpoints.json"])
    with pytest.raises(ValueError, match=rf"training ended at step {stopped.result().steps}, and step 2 is kept as the last"):
        stopped.result(**{"checkpoints.json": json.dumps([listed[0], listed[1] | {"step": 2}]).encode()})
