import io
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckgit.workers.torchtune import worker
from ckgit.workers.torchtune.outputs.logs import ProgressLine, last_progress, loss_points
from ckgit.workers.training.outputs.logs import read_bounded, tokens_seen
from tests.workers.designs import context

LOG = b"""\
Step 1 | loss:1.6401251554489136 lr:3e-05 tokens_per_second_per_gpu:98.2 \n\
Step 2 | loss:6.05e-06 lr:0.0 tokens_per_second_per_gpu:1e3 \n\
"""


def points(content):
    return [(point.step, point.loss, point.lr) for point in loss_points(io.BytesIO(content))]


def test_steps_with_loss_and_learning_rate():
    assert points(LOG) == [(1, 1.6401251554489136, 3e-05), (2, 6.05e-06, 0.0)]


@given(st.integers(0, len(LOG)))
def test_a_log_that_is_cut_anywhere_gives_what_is_there(end):
    whole = points(LOG)
    found = points(LOG[:end])
    assert len(found) <= 2
    assert [step for step, _, _ in found] == [step for step, _, _ in whole][: len(found)]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"Step ", b"1 | loss:", b"nan", b"\r", b"\n", b"\0", b"9|9|Loss: ", b"\xff", *LOG.split()]),
        )
    )
)
def test_any_bytes_are_read(pieces):
    content = b"".join(pieces)
    steps = [point.step for point in loss_points(io.BytesIO(content))]
    assert steps == sorted(set(steps))
    last_progress(content)


def test_what_is_no_line_of_the_log_is_passed_over():
    noise = b"\xff\xfe\x00 | loss:1\nStep x | loss:1\nStep 3 | lr:1\nStep 4 | loss:oops lr:1\n"
    assert points(noise + LOG.replace(b"\n", b"\r\n")) == points(LOG)


def test_nan_is_a_loss_and_no_learning_rate():
    [(step, loss, lr)] = points(b"Step 5 | loss:nan lr:inf \n")
    assert (step, lr) == (5, None)
    assert math.isnan(loss)


def test_of_a_step_that_is_there_twice_the_last_counts():
    assert points(b"Step 1 | loss:2.0 lr:1 \nStep 1 | loss:1.0 lr:1 \n") == [(1, 1.0, 1.0)]


def test_a_huge_log_takes_little_memory(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as stream:
        stream.write(LOG)
        stream.truncate(300_000_000)  # zeros, one line
    tracemalloc.start()
    try:
        with path.open("rb") as stream:
            assert len(loss_points(stream)) == 2
        content = read_bounded(path, 1000)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert content is not None
    assert content.startswith(LOG)
    assert b"[ckgit: 299999000 bytes left out]" in content


def test_the_progress_line_is_read_from_its_last_drawing():
    drawn = b"1|36|Loss: 0.5:  97%\r1|37|Loss: 6.05e-06: 100%|\xe2\x96\x88| 37/37\r1|37|Loss: 0.25: 100%"
    assert last_progress(drawn) == ProgressLine(37, 0.25)
    assert last_progress(b"nothing yet") is None


ENDS = [("50.0it/s]", 50.0), ("4.00s/it]", 0.25), ("?it/s]", None), ("0.00it/s]", None), ("2.5it/s", None), ("\r1| 9.0it/s]", None)]


@pytest.mark.parametrize(("end", "rate"), ENDS)
def test_the_rate_is_that_of_the_last_progress_line(end, rate):
    drawn = f"2|6|Loss: 0.5: 14%|█   | 5/37 [00:00<00:00, 7.0it/s]\r2|7|Loss: 0.5: 19%|██  | 7/37 [00:01<00:05, {end}".encode()
    assert last_progress(drawn) == ProgressLine(7, 0.5, rate)


def test_progress_knows_the_planned_steps(tmp_path):
    ctx = context(controls={"batch_size": 3, "epochs": 2})
    [job] = worker.jobs(ctx)
    seen = worker.progress(ctx, job, tmp_path, "1|2|Loss: 0.75: 33%")
    assert seen is not None
    assert (seen.step, seen.steps, seen.loss) == (2, 6, 0.75)
    assert worker.progress(ctx, job, tmp_path, "Loading") is None


COUNTED = b"Step 2 | loss:2.0 lr:1 tokens:30 \nStep 4 | loss:1.0 lr:1 tokens:12 \n"


@pytest.mark.parametrize(
    ("content", "steps", "seen"),
    [
        (COUNTED, 4, 42),
        (COUNTED, 5, None),  # the last step is in no line
        (COUNTED.replace(b" tokens:30", b""), 4, None),  # a training that an older recipe began
        (COUNTED.replace(b"tokens:30", b"tokens:nan"), 4, None),
        (COUNTED.replace(b"tokens:30", b"tokens:-30"), 4, None),
        (LOG, 2, None),
        (b"", 0, None),
    ],
)
def test_tokens_are_known_where_every_step_is_counted(content, steps, seen):
    assert tokens_seen(loss_points(io.BytesIO(content)), steps) == seen
