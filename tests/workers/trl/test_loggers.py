"""TensorBoard and W&B beside our own log: off by default, kept on the machine, and without effect on a byte that is trained."""

import importlib.util

import pytest

from ckgit.errors import CkgitError, Exit
from ckgit.experiment.cluster import Cluster, RenderedProfile
from ckgit.formats.plain_json import read_json
from ckgit.workers import installed
from ckgit.workers.torchtune import worker as torchtune
from ckgit.workers.trl import worker
from tests.workers import designs
from tests.workers.designs import write_tree
from tests.workers.trl.jobs import ARTIFACTS, RUN, TOKEN, Trained, make_tree

BOTH = Cluster(loggers=("tensorboard", "wandb"))
CONTROLS = {"batch_size": 5, "epochs": 2, "lora_dropout": 0.1}


def context(cluster, **design):
    return designs.context(tools={"preparation": "trl"}, **design)._replace(cluster=cluster)


def test_they_stand_in_the_script_alone_and_are_no_part_of_what_is_trained():
    with_them, without = context(BOTH), context(Cluster())
    [job] = worker.jobs(with_them)
    files, others = worker.scaffold(with_them), worker.scaffold(without)
    assert [path for path in files if files[path] != others[path]] == [job.script]
    script = files[job.script].decode()
    assert "--logger=tensorboard --logger=wandb" in " ".join(script.replace("\\\n", "").split())
    assert "--extra=trl,loggers" in script
    assert worker.made_from(with_them, job, files.get) == worker.made_from(without, job, others.get)
    assert read_json(RenderedProfile.of("local", BOTH).dump())["profile"] == {"loggers": ["tensorboard", "wandb"]}


def test_a_trainer_that_does_not_write_them_is_refused():
    ctx = designs.context()._replace(cluster=BOTH)
    [problem] = torchtune.check(ctx)
    assert problem.message.startswith("cluster profile local has loggers, which torchtune's jobs do not write")
    assert worker.check(context(BOTH)) == []


def test_one_that_is_not_installed_is_refused_before_submission(monkeypatch, tmp_path):
    monkeypatch.setattr(installed, "_is_there", lambda module: module != "wandb")
    ctx = context(BOTH)
    with pytest.raises(CkgitError, match="need wandb, which this installation of ckgit does not have") as caught:
        worker.ready(ctx, worker.jobs(ctx)[0], tmp_path)
    assert caught.value.code is Exit.TOOL_MISSING
    assert caught.value.next.startswith('pip install "ckgit[trl,loggers]"')


@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, BOTH.loggers)), reason="ckgit[loggers] is not installed")
def test_they_write_what_was_logged_and_change_no_byte(tmp_path, random_model, run_warm):
    trained = []
    for cluster in (Cluster(), BOTH):
        work = tmp_path / str(len(trained))
        ctx = make_tree(work, random_model, {"controls": CONTROLS})._replace(cluster=cluster)
        write_tree(ctx, dict(worker.scaffold(ctx)), work, {})
        trained.append(Trained(ctx, work, run_warm(work, f"{RUN}/finetune.slurm", TOKEN)))
        assert trained[-1].code == 0, trained[-1].output()
    plain, logged = (each.evidence() for each in trained)
    assert logged.reasons == []
    assert logged.results[0].losses == plain.results[0].losses
    assert logged.results[0].checkpoints == plain.results[0].checkpoints
    assert logged.files.keys() == plain.files.keys()
    artifacts = trained[1].work / ARTIFACTS
    [events] = (artifacts / "tensorboard").iterdir()
    assert losses_of(events) == pytest.approx([point.loss for point in logged.results[0].losses])
    [run] = (artifacts / "wandb").glob("offline-run-*/run-*.wandb")
    assert run.stat().st_size > 1000
    assert not [path for path in (trained[0].work / ARTIFACTS).iterdir() if path.name in ("tensorboard", "wandb", "runs")]


def losses_of(events):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(events))
    read.Reload()
    return [point.value for point in read.Scalars("train/loss")]
