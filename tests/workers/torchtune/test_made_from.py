"""What decides a training: the number of its processes does, too."""
from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.design.steps import planned_steps
from tests.workers.designs import context


def test_another_number_of_gpus_is_another_training():
    def made(gpus):
        ctx = context(compute={"training": {"gpus": gpus}}, controls={"method": "full", "device": "cuda", "batch_size": 1})
        job = worker.jobs(ctx)[0]
        return planned_steps(ctx, ctx.plan.run(job.run)), worker.made_from(ctx, job, lambda _: None)

    (steps2, two), (steps4, four) = made(2), made(4)
    assert steps2 != steps4  # other batches, other weights
    assert two != four
