"""Real jobs on preferences: a script as scaffolded, TRL and PEFT as installed, a tiny Llama with random weights."""

import json
import math
import shutil

import pytest

from ckgit.experiment.results import ACCURACIES, CHOSEN, MARGINS, REJECTED
from ckgit.workers.trl import worker
from tests.workers.trl.jobs import ARTIFACTS, RUN, TOKEN, Trained, python
from tests.workers.trl.preferences import LETTERS, make_tree
from tests.workers.trl.test_jobs import STOCK

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory, random_model, run_warm):
    work = tmp_path_factory.mktemp("work")
    ctx = make_tree(work, random_model, controls={"epochs": 2, "lora_rank": 4, "validation_split": "test", "keep_best": True, "lr": 0.01})
    [job] = worker.jobs(ctx)
    return Trained(ctx, work, run_warm(work, job.script, TOKEN))


def test_a_job_leaves_rewards_and_what_is_evaluated(trained):
    assert trained.code == 0, trained.output()
    evidence = trained.evidence()
    assert evidence.reasons == []
    (result,) = evidence.results
    first, last = result.losses[0], result.losses[-1]
    assert {*first.metrics} == {"tokens", "grad_norm", "accuracy", MARGINS, ACCURACIES, CHOSEN, REJECTED}
    assert (first.loss, first.metrics[MARGINS]) == (pytest.approx(math.log(2), abs=1e-6), 0)
    assert last.metrics[MARGINS] > 0.5
    assert last.metrics[MARGINS] == pytest.approx(last.metrics[CHOSEN] - last.metrics[REJECTED], abs=1e-5)
    assert (result.steps, result.tokens_seen) == (6, 2 * 2 * sum(len(word) + 1 for word in LETTERS))  # both answers, and ends of turns
    assert [point.step for point in result.validation] == [3, 6]
    assert result.validation[-1].metrics[MARGINS] > 0
    assert [each.path.rpartition("/")[2] for each in result.checkpoints] == ["best", "epoch_0", "epoch_1"]
    assert max(result.own["merged_by"]) < 1e-5
    assert (result.tokens["train"].rows, result.tokens["capitalization"].rows) == (9, 3)
    progress = worker.progress(trained.context, trained.job, trained.work, trained.output())
    assert (progress.step, progress.steps, progress.note) == (6, 6, f"margin {last.metrics[MARGINS]:.3g}")


@pytest.mark.parametrize(("name", "old", "why"), [
    ("training.jsonl", b'"rewards/margins": 0.0, ', "training.jsonl shows no rewards/margins at step 1"),
    ("validation.jsonl", b'"rewards/accuracies"', "validation.jsonl shows no rewards/accuracies at step 3"),
    ("training.jsonl", b'"loss": 0.693', "the loss is 2.3000 at step 1"),
])  # fmt: skip
def test_a_log_that_is_not_of_such_a_training_does_not_count(trained, name, old, why):
    files = trained.evidence().files
    (path,) = (path for path in files if path.endswith(f"/{name}"))
    assert old in files[path]
    new = {b'"rewards/accuracies"': b'"other"', b'"loss": 0.693': b'"loss": 2.3, "then": 0.693'}.get(old, b"")
    with pytest.raises(ValueError, match=f"run run: {why}"):
        worker.results(trained.context, trained.job, trained.attempt, {**files, path: files[path].replace(old, new)})


def test_the_command_that_its_configuration_names_repeats_the_training_to_the_bit(trained, tmp_path):
    from safetensors.torch import load_file

    work = tmp_path / "work"
    shutil.copytree(trained.work, work, symlinks=True)
    shutil.rmtree(work / ARTIFACTS / "epoch_1")
    python(work, STOCK, f"{RUN}/finetune.yaml", "0")
    name = "adapter_model.safetensors"
    one, other = (load_file(path) for path in (trained.work / ARTIFACTS / "epoch_1/adapter" / name, work / ARTIFACTS / name))
    assert one.keys() == other.keys()
    assert len(one) > 10
    assert [each for each in one if not one[each].equal(other[each])] == []


PROBES = """
import json, shutil
from pathlib import Path
from safetensors.torch import load_file
from ckgit.workers.rendering import RenderError
from ckgit.workers.trl import prepare, train, trainer
from ckgit.workers.trl.preferences.trainer import PreferenceTrainer

run = Path(sys.argv[1])
artifacts = run / "artifacts"
text, rules = (run / "finetune.yaml").read_text(), (run / "rows.yaml").read_text()
found = {}


def made(rows, *changes, held_out=()):
    changed = text if held_out else text.replace("eval_strategy: \\"epoch\\"", "eval_strategy: \\"no\\"")
    for old, new in changes:
        assert old in changed, old
        changed = changed.replace(old, new)
    (run / "changed.yaml").write_text(changed)
    return trainer.make_trainer(run / "changed.yaml", rows, held_out, None, PreferenceTrainer)


def probe(name, function):
    try:
        found[name] = function() or "accepted"
    except Exception as error:
        found[name] = f"{type(error).__name__}: {error}"


prepare.main(run)
rows, held_out = (trainer.read_rows(artifacts / "rows" / f"{name}.jsonl") for name in ("train", "validation"))
probe("as scaffolded", lambda: trainer.check_handed(made(rows, held_out=held_out), rows, held_out))
probe("cut", lambda: trainer.check_handed(made(rows, ("max_length: null", "max_length: 12")), rows))
left_out = [("drop_last: false", "drop_last: true"), ("train_batch_size: 4", "train_batch_size: 3")]
probe("rows left out", lambda: trainer.check_handed(made(rows, *left_out), rows))
swapped = [{**row, "chosen_ids": row["rejected_ids"], "rejected_ids": row["chosen_ids"]} for row in rows]
probe("swapped", lambda: trainer.check_handed(made(swapped), rows))
shorter = [{**row, "rejected_ids": row["rejected_ids"][:-1]} for row in rows]
probe("end of a turn lost", lambda: trainer.check_handed(made(shorter), rows))


def losses(*changes, held_out=()):
    (artifacts / "training.jsonl").unlink(missing_ok=True)
    trains = made(rows, *changes, held_out=held_out)
    trains.train()
    weights = {name: each.clone() for name, each in trains.model.state_dict().items() if "lora" in name}
    return [json.loads(line) for line in (artifacts / "training.jsonl").read_text().splitlines()], weights


(validated, one), (plain, other) = losses(held_out=held_out), losses()
found["validation"] = [validated == plain, all(bool((one[name] == other[name]).all()) for name in one), len(one) > 10]
halves = [("train_batch_size: 4", "train_batch_size: 2"), ("gradient_accumulation_steps: 1", "gradient_accumulation_steps: 2")]
found["accumulated"] = max(abs(one["loss"] - other["loss"]) for one, other in zip(plain, losses(*halves)[0], strict=True))
(run / "rows.yaml").write_text(rules.replace("max_seq_len: null", "max_seq_len: 14"))
probe("too long", lambda: str(prepare.main(run)))
shutil.copytree("models/tiny", "models/dropping")
config = json.loads(Path("models/dropping/config.json").read_bytes())
Path("models/dropping/config.json").write_text(json.dumps({**config, "attention_dropout": 0.1}))
probe("dropout", lambda: made(rows, ("models/tiny", "models/dropping")))
del PreferenceTrainer._prepare_dataset
probe("stock", lambda: made(rows))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory, random_model):
    work = tmp_path_factory.mktemp("work")
    pairs = {
        "train": [*({"prompt": word, "chosen": word.upper(), "rejected": word} for word in LETTERS[:7]),
                  {"prompt": "longer", "chosen": "L", "rejected": "longer"}],
        "test": [{"prompt": word, "chosen": word.upper(), "rejected": word} for word in LETTERS[7:]],
    }  # fmt: skip
    make_tree(work, random_model, pairs=pairs, controls={"lora_rank": 4, "validation_split": "test"})
    return json.loads(python(work, PROBES, RUN).splitlines()[-1])


OTHERS = "PromptsDifferError: of 8 rows, {} do not reach the model as they were rendered; it is handed {} others"


@pytest.mark.parametrize(
    ("trap", "said"),
    [
        ("as scaffolded", "accepted"),
        ("cut", OTHERS.format(8, 8)),
        ("swapped", OTHERS.format(8, 8)),
        ("end of a turn lost", OTHERS.format(8, 8)),
        ("rows left out", OTHERS.format(2, 0)),
        ("dropout", "CannotTrainError: the model has dropout of its own (attention_dropout: 0.1), and a reward"),
        ("stock", "KeyError: 'chosen'"),  # which is why its preparation is left out
        ("too long", "RenderError: experiments/capital/data/pairs.rows: train row 7 with its rejected answer has 16 tokens, more than max"),
    ],
)
def test_what_would_train_other_tokens_is_found(found, trap, said):
    assert found[trap].startswith(said), found[trap]


def test_a_validation_changes_no_byte_and_an_accumulation_no_step(found):
    assert found["validation"] == [True, True, True]
    assert found["accumulated"] < 1e-5
