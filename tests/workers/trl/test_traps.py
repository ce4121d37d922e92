"""What TRL and PEFT do without a word is found: each is done to them here, in one process of its own."""

import json

import pytest

from tests.workers.trl.jobs import RUN, make_tree, python

pytestmark = pytest.mark.slow
PROBES = """
import json, shutil, traceback
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
from ckgit.workers.trl import callbacks, merge, prepare, train, trainer

run = Path(sys.argv[1])
artifacts = run / "artifacts"
text = (run / "finetune.yaml").read_text()
found = {}


def probe(name):
    def note(function):
        try:
            found[name] = function() or "accepted"
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return note


def made(rows, held_out=(), **changes):
    changed = text
    for old, new in changes.values():
        assert old in changed, old
        changed = changed.replace(old, new)
    config = run / "changed.yaml"
    config.write_text(changed)
    return trainer.make_trainer(config, rows, held_out)


prepare.main(run)
rows = trainer.read_rows(artifacts / "rows/train.jsonl")
length = ("max_length: null", "max_length: 10")
unskipped = ("dataset_kwargs: {skip_prepare_dataset: true}", "dataset_kwargs: {}")


@probe("as scaffolded")
def _():
    whole = made(rows)
    before = torch.get_rng_state()
    trainer.check_handed(whole, rows)
    assert torch.equal(before, torch.get_rng_state())


@probe("cut at max_length")
def _():
    trainer.check_handed(made(rows, length=length, unskipped=unskipped), rows)


@probe("a mask in place of labels")
def _():
    masked = [{"input_ids": row["input_ids"], "completion_mask": [int(label >= 0) for label in row["labels"]]} for row in rows]
    trainer.check_handed(made(masked, unskipped=unskipped), rows)


@probe("all labels masked")
def _():
    masked = [{**row, "labels": [-100] * len(row["labels"])} for row in rows]
    trainer.check_handed(made(masked), rows)


@probe("rows left out")
def _():
    trainer.check_handed(made(rows, last=("dataloader_drop_last: false", "dataloader_drop_last: true")), rows)


@probe("bf16 where nothing is said of it")
def _():
    return str(made(rows, numbers=("bf16: false", "seed: 0")).args.bf16)


@probe("bf16 as scaffolded")
def _():
    return str(made(rows).args.bf16)


def ends(owner, name, error):
    def found(*words, **named):
        raise error("found")
    stock = getattr(owner, name)
    setattr(owner, name, found)
    try:
        return str(train.train(run, prepare.main(run)))
    finally:
        setattr(owner, name, stock)


@probe("a job whose rows do not reach the model")
def _():
    return ends(trainer, "check_handed", trainer.PromptsDifferError)


@probe("a job whose merged model is another")
def _():
    return ends(merge, "_share", merge.MergedOtherwiseError)


@probe("a job that saves what is no number")
def _():
    return ends(merge, "_refuse_not_finite", callbacks.NotFiniteError)


shutil.rmtree(artifacts)
prepare.main(run)
base = merge.Base(Path("models/tiny"), torch.float32, torch.device("cpu"))
made(rows).train()
(checkpoint,) = artifacts.glob("checkpoint-*")
shutil.copytree(checkpoint, artifacts / "kept")


def merged(change):
    for folder in (checkpoint, artifacts / "epoch_0"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(artifacts / "kept", checkpoint)
    change()
    return str(list(merge.make_folders([(checkpoint, artifacts / "epoch_0")], base, [row["input_ids"] for row in rows]))[0] < 1e-5)


@probe("merged as it is")
def _():
    return merged(lambda: None)


@probe("a weight that is no number")
def _():
    def change():
        weights = load_file(checkpoint / "adapter_model.safetensors")
        next(iter(weights.values()))[0] = float("nan")
        save_file(weights, checkpoint / "adapter_model.safetensors")
    return merged(change)


@probe("merged otherwise")
def _():
    from peft.tuners.lora import LoraModel
    stock = LoraModel.merge_and_unload
    def otherwise(self, *args, **kwargs):
        model = stock(self, *args, **kwargs)
        model.model.layers[0].mlp.down_proj.weight.data *= 1.5
        return model
    LoraModel.merge_and_unload = otherwise
    try:
        return merged(lambda: None)
    finally:
        LoraModel.merge_and_unload = stock


@probe("a folder that lacks weights")
def _():
    (artifacts / "lacking").mkdir()
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(f"models/tiny/{name}", artifacts / "lacking")
    weights = load_file(next(Path("models/tiny").glob("*.safetensors")))
    weights.pop("model.layers.0.mlp.down_proj.weight")
    save_file(weights, artifacts / "lacking/model.safetensors", metadata={"format": "pt"})
    base.load(artifacts / "lacking")


@probe("saved")
def _():
    left = {}
    for save in (None, "merged", "adapter"):
        shutil.rmtree(artifacts / "epoch_0", ignore_errors=True)
        shares = list(merge.make_folders([(artifacts / "kept", artifacts / "epoch_0")], base, [row["input_ids"] for row in rows], save))
        names = (path.relative_to(artifacts / "epoch_0") for path in (artifacts / "epoch_0").rglob("*.safetensors"))
        left[str(save)] = [sorted(map(str, names)), shares == [None]]
    (config,) = (artifacts / "epoch_0").glob("adapter_config.json")
    return left | {"base": json.loads(config.read_bytes())["base_model_name_or_path"]}


@probe("an adapter of DoRA alone")
def _():
    from peft import LoraConfig, get_peft_model
    model = get_peft_model(base.load(), LoraConfig(use_dora=True, target_modules=["q_proj", "v_proj"]))
    for name, weight in model.named_parameters():
        if "magnitude" in name:
            weight.data *= 1.5
    model.save_pretrained(artifacts / "dora")
    list(merge.make_folders([(artifacts / "dora", artifacts / "of_dora")], base, [row["input_ids"] for row in rows], "adapter"))


@probe("a module to train as a whole that is not there")
def _():
    made(rows, whole=("lora_modules_to_save: null", "lora_modules_to_save: [embed_tokens, nothing]"))


shutil.copytree("models/tiny", "models/dropping")
config = json.loads(Path("models/dropping/config.json").read_bytes())
Path("models/dropping/config.json").write_text(json.dumps({**config, "attention_dropout": 0.1}))
dropping = ("models/tiny", "models/dropping")


@probe("dropout of the model and a validation")
def _():
    made(rows, rows[:2], model=dropping)


@probe("dropout of the model alone")
def _():
    made(rows, model=dropping)


print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory, random_model):
    work = tmp_path_factory.mktemp("work")
    make_tree(work, random_model, {"controls": {"batch_size": 4, "lora_rank": 4}})
    return json.loads(python(work, PROBES, RUN).splitlines()[-1])


OTHERS = "PromptsDifferError: of 9 rows, {} do not reach the model as they were rendered; it is handed {} others"


@pytest.mark.parametrize(
    ("trap", "said"),
    [
        ("as scaffolded", "accepted"),
        ("cut at max_length", OTHERS.format(9, 9)),
        ("a mask in place of labels", OTHERS.format(9, 9)),
        ("all labels masked", OTHERS.format(9, 9)),
        ("rows left out", OTHERS.format(1, 0)),
        ("bf16 where nothing is said of it", "True"),  # on a CPU, too
        ("bf16 as scaffolded", "False"),
        ("a job whose rows do not reach the model", "66"),
        ("a job whose merged model is another", "67"),
        ("a job that saves what is no number", "70"),
        ("merged as it is", "True"),
        ("a weight that is no number", "NotFiniteError: epoch_0: model.layers.0."),
        ("merged otherwise", "MergedOtherwiseError: epoch_0: the logits of the merged model differ from those of adapter and base by 0."),
        ("an adapter of DoRA alone", "accepted"),  # loaded as it is evaluated, with its magnitudes
        ("a module to train as a whole that is not there", "CannotTrainError: the model has no module nothing that could be trained as a"),
        ("dropout of the model alone", "accepted"),
        ("dropout of the model and a validation", "CannotTrainError: the model has dropout of its own (attention_dropout: 0.1), and "),
        ("a folder that lacks weights", "MergedOtherwiseError: experiments/capital/run/artifacts/lacking has not the weights of the model"),
    ],
)
def test_what_is_done_without_a_word_is_found(found, trap, said):
    assert found[trap].startswith(said), found[trap]


def test_a_checkpoint_is_what_is_to_be_saved_and_an_adapter_alone_says_beside_which_model(found):
    """Loaded as it is evaluated, each has the logits of the adapter that was trained; the job ends otherwise."""
    merged, adapter = "model.safetensors", "adapter_model.safetensors"
    assert found["saved"] == {
        "None": [[f"adapter/{adapter}", merged], False],
        "merged": [[merged], False],
        "adapter": [[adapter], True],
        "base": "models/tiny",
    }
