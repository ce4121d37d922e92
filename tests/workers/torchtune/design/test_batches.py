"""Another division of the same rows: what an optimizer sees, step by step, as torchtune's recipes feed it."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ckgit.experiment.jobs import Batch
from ckgit.workers.torchtune.design.batches import Division, halved, over


def seen(division):
    """The rows of each optimizer step: the sampler, the loader that drops the rest, and gradients that an epoch leaves over."""
    batch, steps, gathered = division.batch, [], []
    for epoch in range(division.epochs):
        per_process = -(-division.rows // batch.processes)
        order = [(epoch, position % division.rows) for position in range(per_process * batch.processes)]
        mine = [order[rank :: batch.processes] for rank in range(batch.processes)]
        for number in range(per_process // batch.batch_size):
            for rows in mine:
                gathered += rows[number * batch.batch_size : (number + 1) * batch.batch_size]
            if (number + 1) % batch.gradient_accumulation_steps == 0:
                steps.append(sorted(gathered))
                gathered = []
            if (number + 1) // batch.gradient_accumulation_steps == batch.max_steps_per_epoch:
                break
    return steps


divisions = st.builds(
    Division,
    rows=st.integers(1, 80),
    epochs=st.integers(1, 3),
    batch=st.builds(
        Batch,
        batch_size=st.integers(1, 8),
        gradient_accumulation_steps=st.integers(1, 4),
        processes=st.integers(1, 4),
        max_steps_per_epoch=st.none() | st.integers(1, 10),
    ),
)


@given(divisions)
def test_half_the_batch_gives_each_optimizer_step_the_same_rows(division):
    assume(division.steps)
    try:
        batch = halved(division)
    except ValueError:
        assert division.batch.batch_size % 2 or division.carried
        return
    assert 2 * batch.batch_size == division.batch.batch_size
    assert seen(division._replace(batch=batch)) == seen(division)


@given(divisions, st.integers(2, 6))
def test_other_gpus_give_each_optimizer_step_the_same_rows(division, gpus):
    assume(division.steps)
    try:
        batch = over(division, gpus)
    except ValueError:
        return
    assert batch.batch_size == division.batch.batch_size
    assert seen(division._replace(batch=batch)) == seen(division)


def test_a_row_more_than_whole_batches_is_cut_off_where_a_smaller_batch_would_take_it_in():
    # 41 batches of 2 instead of 20 of 4: the last one would go into the next epoch's first step
    division = Division(82, 2, Batch(batch_size=4, gradient_accumulation_steps=1))
    assert halved(division) == Batch(batch_size=2, gradient_accumulation_steps=2, max_steps_per_epoch=20)
    assert halved(division._replace(epochs=1)) == Batch(batch_size=2, gradient_accumulation_steps=2)
    assert halved(division._replace(rows=81)) == Batch(batch_size=2, gradient_accumulation_steps=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: halved(Division(80, 2, Batch(batch_size=1, gradient_accumulation_steps=4))), "batch_size 1 cannot be halved"),
        (lambda: halved(Division(80, 2, Batch(batch_size=6, gradient_accumulation_steps=1))), ""),
        (lambda: halved(Division(80, 2, Batch(batch_size=3, gradient_accumulation_steps=1))), "batch_size 3 cannot be halved"),
        (lambda: halved(Division(22, 2, Batch(batch_size=4, gradient_accumulation_steps=2))), "in the middle of an accumulation"),
        (lambda: over(Division(80, 1, Batch(batch_size=4, gradient_accumulation_steps=1, processes=2)), 3), "make no whole batches"),
        (lambda: over(Division(80, 1, Batch(batch_size=4, gradient_accumulation_steps=1, processes=2)), 1), "another recipe"),
        (lambda: over(Division(79, 1, Batch(batch_size=4, gradient_accumulation_steps=2, processes=2)), 4), "some rows twice"),
    ],
)
def test_what_cannot_be_had_is_refused(change, words):
    if not words:
        assert change().batch_size == 3
        return
    with pytest.raises(ValueError, match=words):
        change()
