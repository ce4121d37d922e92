"""Parameters that torchtune alone has: under its name in a design, at their places in its configuration."""

import inspect

import pytest
from pydantic import ValidationError

from ckgit.experiment.checks.messages import findings
from ckgit.experiment.checks.problems import problems
from ckgit.formats.yaml.document import read_yaml
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.config import _OPTIMIZERS, _SCHEDULES
from ckgit.workers.torchtune.design.own import LossArguments, OptimizerArguments, ScheduleArguments
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters
from tests.workers.designs import context

RUN = "experiments/capital/run"
OWN = {"optimizer": {"betas": [0.9, 0.95]}, "loss": {"num_output_chunks": 4}, "cudnn_deterministic_mode": 1}


def finetune(**controls):
    return read_yaml(worker.scaffold(context(controls=controls))[f"{RUN}/finetune.yaml"].decode()).value


def test_what_torchtune_alone_has_is_written_at_its_place():
    written = finetune(torchtune=OWN, lr=0.01)
    assert written["optimizer"] == {"_component_": "torch.optim.AdamW", "lr": 0.01, "weight_decay": 0.01, "betas": [0.9, 0.95]}
    assert written["loss"]["num_output_chunks"] == 4
    assert written["cudnn_deterministic_mode"] == 1
    assert "betas" not in finetune()["optimizer"]
    ctx = context(controls={"torchtune": OWN})
    setup = read_yaml(worker.scaffold(ctx)[f"{RUN}/setup_finetune.yaml"].decode()).value
    assert setup["parameters"]["torchtune.optimizer.betas"] == {"source": "design", "value": [0.9, 0.95]}
    plain = context()
    assert worker.made_from(ctx, worker.jobs(ctx)[0], lambda _: None) != worker.made_from(plain, worker.jobs(plain)[0], lambda _: None)


def test_one_of_them_is_varied():
    ctx = context(runs=[], controls={"optimizer": "sgd"}, variables={"torchtune.optimizer.momentum": [0.5, 0.9]})
    assert problems(ctx.summary) == []
    assert [run.name for run in ctx.plan.runs] == ["momentum0.5", "momentum0.9"]
    adam = ctx.summary.model_copy(update={"controls": context().summary.controls})
    [problem] = problems(adam)
    assert problem.message == "torchtune.optimizer.momentum means nothing in a run with optimizer: adamw"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dampening": 0.1}, "dampening means nothing without torchtune.optimizer.momentum"),
        ({"nesterov": True}, "nesterov means nothing without torchtune.optimizer.momentum"),
        ({"nesterov": True, "momentum": 0}, "nesterov means nothing with torchtune.optimizer.momentum: 0"),
        ({"dampening": 0.1, "momentum": 0.9, "nesterov": True}, "dampening means nothing with torchtune.optimizer.nesterov: true"),
        ({"foreach": True, "fused": True}, "foreach means nothing with torchtune.optimizer.fused: true"),
        ({"nesterov": True, "momentum": 0.9}, ""),
        ({"dampening": 0.1, "momentum": 0.9, "foreach": True}, ""),
    ],
)
def test_what_means_nothing_beside_another_argument_is_refused(given, said):
    found = [problem.message for problem in problems(context(controls={"optimizer": "sgd", "torchtune": {"optimizer": given}}).summary)]
    assert found == ([f"torchtune.optimizer.{said}"] if said else [])


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"model": {}}, "model is not passed on: ckgit renders it from the model card"),
        ({"optimizer": {"lr": 1}}, "lr is not passed on: write lr, beside this section"),
        ({"optimizer": {"_component_": "os.system"}}, "_component_ is not passed on: optimizer decides it"),
        ({"optimizer": {"beta": [0.9, 0.95]}}, "unknown key beta: did you mean betas?"),
        ({"batch_size": 4}, "batch_size is not passed on: write batch_size, beside this section"),
    ],
)
def test_what_ckgit_decides_is_refused(own, said):
    with pytest.raises(ValidationError) as caught:
        TorchtuneParameters.model_validate({"torchtune": own}, strict=False)
    [(_, message)] = findings(caught.value, TorchtuneParameters, {"torchtune": own})
    assert message == said


def test_the_components_take_what_they_are_given():
    """As torch and torchtune are installed."""
    from torchtune.config._utils import _get_component_from_path
    from torchtune.modules.loss import CEWithChunkedOutputLoss

    taken = {name for path in _OPTIMIZERS.values() for name in inspect.signature(_get_component_from_path(path)).parameters}
    assert {*OptimizerArguments.model_fields} <= taken
    assert {*ScheduleArguments.model_fields} <= {*inspect.signature(_get_component_from_path(_SCHEDULES["cosine"])).parameters}
    assert {*LossArguments.model_fields} <= {*inspect.signature(CEWithChunkedOutputLoss).parameters}
