"""Steps and rows of several processes, held against the sampler by which the trainer shares rows out."""

from itertools import chain

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ckgit.experiment.jobs import Batch
from ckgit.workers.trl import worker
from ckgit.workers.trl.design.batches import another
from ckgit.workers.trl.design.steps import RowSteps
from ckgit.workers.trl.design.world import World
from tests.workers.designs import card, context


def seen(rows, batch):
    """The rows of each optimizer step of an epoch, as accelerate and transformers divide them."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    order = BatchSampler(range(rows), batch.batch_size, drop_last=False)
    if batch.processes == 1:
        rounds = list(order)
    else:
        shares = [list(BatchSamplerShard(order, batch.processes, rank)) for rank in range(batch.processes)]
        rounds = [list(chain(*each)) for each in zip(*shares, strict=True)]
    every = batch.gradient_accumulation_steps
    return [sorted(chain(*rounds[start : start + every])) for start in range(0, len(rounds), every)]


def designed(batch, cards=(), **more):
    controls = {"batch_size": batch.batch_size, "gradient_accumulation_steps": batch.gradient_accumulation_steps, "device": "cuda", **more}
    ctx = context(cards=cards, tools={"preparation": "trl"}, controls=controls, compute={"training": {"gpus": batch.processes}})
    return ctx, ctx.plan.run("run")


batches = st.builds(
    Batch,
    batch_size=st.integers(1, 6),
    gradient_accumulation_steps=st.integers(1, 4),
    processes=st.integers(1, 4),
    max_steps_per_epoch=st.none(),
)


@given(st.integers(1, 60), batches)
def test_steps_and_rows_are_those_that_the_trainer_takes(rows, batch):
    steps = seen(rows, batch)
    divided = RowSteps.of(designed(batch)[1], rows, batch.processes)
    assert (divided.per_epoch, divided.seen) == (len(steps), sum(map(len, steps)))
    assert len(steps[0]) == min(divided.step_rows, divided.seen)


@given(st.integers(1, 60), batches, st.none() | st.integers(0, 6), st.booleans())
def test_another_attempt_gives_each_optimizer_step_the_same_rows(rows, batch, gpus, starved):
    assume(gpus or starved)
    try:
        new = another(designed(batch)[1], rows, World(batch.processes), None, gpus=gpus, starved=starved)
    except ValueError:
        return
    assert seen(rows, new or batch) == seen(rows, batch)


@pytest.mark.parametrize(
    ("batch", "gpus", "found"),
    [
        ((2, 2, 2), 4, (2, 1, 4)),
        ((2, 2, 2), 1, (2, 4, 1)),
        ((4, 4, 1), 4, (4, 1, 4)),
        ((2, 2, 2), 3, "the 8 rows of a step make no whole batches of 2 on 3 GPUs"),
        ((3, 2, 2), 4, "its processes train on some rows twice to be equally long, and these would be others"),
    ],
)
def test_other_gpus_keep_the_total_batch_where_they_can(batch, gpus, found):
    def made(sizes):
        return Batch(batch_size=sizes[0], gradient_accumulation_steps=sizes[1], processes=sizes[2], max_steps_per_epoch=None)

    run = designed(made(batch))[1]
    if isinstance(found, str):
        with pytest.raises(ValueError, match=found):
            another(run, 16, World(batch[2]), None, gpus=gpus, starved=False)
    else:
        assert another(run, 16, World(batch[2]), None, gpus=gpus, starved=False) == made(found)
        assert another(run, 16, World(batch[2]), made(found), gpus=batch[2], starved=False) is None


def test_what_is_shared_by_fsdp_or_by_nodes_stays_so():
    run = designed(Batch(batch_size=2, gradient_accumulation_steps=2, processes=4), sharding="fsdp")[1]
    with pytest.raises(ValueError, match="sharding: fsdp shares the model among several GPUs"):
        another(run, 16, World(4), None, gpus=1, starved=False)
    with pytest.raises(ValueError, match="1 GPUs cannot be shared alike by 2 nodes"):
        another(run, 16, World(4, 2), None, gpus=1, starved=False)


def test_a_retry_on_other_gpus_is_rendered_so():
    ctx, _ = designed(Batch(batch_size=1, gradient_accumulation_steps=1, processes=2), max_samples=8)
    [job] = worker.jobs(ctx)
    assert "--processes=2" in worker.scaffold(ctx)[job.script].decode()
    batch = worker.batch(ctx, job, None, gpus=1, starved=False)
    assert batch == Batch(batch_size=1, gradient_accumulation_steps=2)
    alone = ctx._replace(plan=worker.with_batch(ctx.plan, "run", batch))
    script = worker.scaffold(alone)[job.script].decode()
    assert "--processes" not in script
    assert "#SBATCH --gpus=1\n" in script
    assert worker.steps(alone, alone.plan.run("run")) == worker.steps(ctx, ctx.plan.run("run"))


def test_an_estimate_counts_the_rows_of_all_processes_and_what_they_share():
    def guess(gpus, **more):
        batch = Batch(batch_size=1, gradient_accumulation_steps=1, processes=gpus)
        ctx, run = designed(batch, (card(parameters=10**12),), method="full", **more)
        measured = ctx.summary.recorded.data["words"].model_copy(update={"mean": {"train": 900.0}, "longest": {"train": 900}})
        recorded = ctx.summary.recorded.model_copy(update={"data": {"words": measured}})
        return worker.estimate(ctx._replace(summary=ctx.summary.model_copy(update={"recorded": recorded})), run)

    assert guess(2).memory == guess(1).memory > 1.9 * guess(2, sharding="fsdp").memory
    alone, two = (guess(gpus).seconds - guess(gpus, max_samples=1).seconds for gpus in (1, 2))
    assert 0.4 < two / alone < 0.6
