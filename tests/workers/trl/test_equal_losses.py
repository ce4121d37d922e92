"""torchtune and TRL take the same steps, from equal initial matrices and with rows in one order; and TRL, however it divides a batch."""

from __future__ import annotations

import io
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ckgit.examples import smollm2
from ckgit.experiment.results import LossPoint
from ckgit.workers.torchtune.outputs.logs import loss_points
from ckgit.workers.trl.outputs.log import loss_points as json_points
from tests.whole import MODELS, tiny_llama
from tests.workers.trl.jobs import ARTIFACTS, RUN, make_tree, python

pytestmark = pytest.mark.slow
SMOLLM2 = MODELS / "SmolLM2-135M-Instruct"
LETTERS = itertools.islice(itertools.product("abcdefgh", repeat=3), 148)
ROWS = [{"input": "".join(word), "output": "".join(word).upper()} for word in LETTERS]
CONTROLS = {"batch_size": 4, "epochs": 2, "lora_rank": 8, "shuffle": False, "num_warmup_steps": 5, "lora_alpha": 16}
TORCHTUNE = """
del sys.modules["torchao"]
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torchtune.models.convert_weights import tune_to_peft_adapter_weights
from torchtune.modules.peft import get_adapter_state_dict
from ckgit.workers.torchtune.lora_single_device import LoRASingleDevice

config = OmegaConf.load(sys.argv[1] + "/finetune.yaml")
recipe = LoRASingleDevice(cfg=config)
recipe.setup(cfg=config)
shape = config.model
sizes = {"num_heads": shape.num_heads, "num_kv_heads": shape.num_kv_heads, "dim": shape.embed_dim}
matrices = {name: each.clone() for name, each in get_adapter_state_dict(recipe._model.state_dict()).items()}
initial = tune_to_peft_adapter_weights(matrices, **sizes)
save_file({name: each.contiguous() for name, each in initial.items()}, sys.argv[2])
recipe.train()
recipe.cleanup()
"""
TRL = """
from pathlib import Path
from peft import set_peft_model_state_dict
from safetensors.torch import load_file
from ckgit.workers.trl import prepare, trainer

run = Path(sys.argv[1])
prepare.main(run)
rows = trainer.read_rows(run / "artifacts/rows/train.jsonl")
trains = trainer.make_trainer(run / "finetune.yaml", rows)
told = set_peft_model_state_dict(trains.model, load_file(sys.argv[2]))
assert not told.unexpected_keys and not [name for name in told.missing_keys if "lora" in name], told
trains.train()
"""


DIVIDED = """
import os
from pathlib import Path
from ckgit.workers.trl import prepare, train

top = Path.cwd()
for name in sys.argv[2:]:
    os.chdir(top / name)
    run = Path(sys.argv[1])
    train.take_steps(run, prepare.main(run))
"""


def trained_by_both(folder: Path, model: Path, controls: dict[str, Any], rows: list[dict[str, str]]) -> dict[str, list[LossPoint]]:
    """The losses of each tool, from one beginning."""
    words = {"train": rows, "test": rows[:2]}
    for tool, program in (("torchtune", TORCHTUNE), ("trl", TRL)):
        work = folder / tool
        work.mkdir()
        make_tree(work, model, {"controls": controls}, words, tool)
        python(work, program, RUN, str(folder / "initial.safetensors"))
    return {
        "torchtune": loss_points(io.BytesIO((folder / "torchtune" / ARTIFACTS / "training.log").read_bytes())),
        "trl": json_points((folder / "trl" / ARTIFACTS / "training.jsonl").read_bytes()),
    }


def difference(points: dict[str, list[LossPoint]]) -> float:
    """The largest between two losses."""
    return max(abs(one.loss - other.loss) for one, other in zip(points["trl"], points["torchtune"], strict=True))


@pytest.mark.skipif(not (SMOLLM2.exists() or os.environ.get("CKGIT_LONG_TESTS")), reason="SmolLM2 is fetched and made in a minute")
def test_the_losses_of_both_are_equal_over_8_steps_of_a_real_model(tmp_path: Path) -> None:
    if not SMOLLM2.exists():
        smollm2.make(SMOLLM2)
    controls = {**CONTROLS, "batch_size": 8, "epochs": 1, "num_warmup_steps": 2}
    points = trained_by_both(tmp_path, SMOLLM2, controls, ROWS[:64])
    assert len(points["trl"]) == 8
    assert points["trl"][0].loss - points["trl"][-1].loss > 0.5
    assert difference(points) < 1e-4, difference(points)


def test_however_a_batch_is_divided_the_losses_are_the_same(tmp_path: Path, random_model: Path) -> None:
    words = {"train": ROWS[:24], "test": ROWS[:2]}
    sizes = {"whole": (8, 1), "halves": (4, 2), "quarters": (2, 4)}
    for name, (batch, accumulation) in sizes.items():
        (tmp_path / name).mkdir()
        controls = {"batch_size": batch, "gradient_accumulation_steps": accumulation, "lr": 0.02, "lora_rank": 4, "epochs": 2}
        make_tree(tmp_path / name, random_model, {"controls": controls}, words)
    python(tmp_path, DIVIDED, RUN, *sizes)
    losses = {name: [each.loss for each in json_points((tmp_path / name / ARTIFACTS / "training.jsonl").read_bytes())] for name in sizes}
    assert len(losses["whole"]) == 6
    assert losses["whole"][0] - losses["whole"][-1] > 0.1
    for name in ("halves", "quarters"):
        assert losses[name] == pytest.approx(losses["whole"], abs=2e-6)


def test_the_losses_of_both_are_equal_over_74_steps(tmp_path: Path) -> None:
    points = trained_by_both(tmp_path, tiny_llama(), CONTROLS, ROWS)
    losses = {tool: [point.loss for point in found] for tool, found in points.items()}
    assert len(losses["trl"]) == len(losses["torchtune"]) == 74
    assert losses["trl"][0] - losses["trl"][-1] > 1  # it learns
    assert difference(points) < 1e-5
    tokens = {tool: [point.metrics["tokens"] for point in found] for tool, found in points.items()}
    assert tokens["trl"] == tokens["torchtune"], json.dumps(tokens)
