"""Any bytes give what is there."""

import math

from hypothesis import given
from hypothesis import strategies as st

from ckgit.workers.trl.outputs.log import loss_points

LINES = b"""\
{"step": 2, "loss": 0.5, "lr": 0.0003, "grad_norm": 1.5, "tokens": 18}
{"step": 1, "loss": NaN, "lr": 0.0, "grad_norm": NaN}
{"step": 2, "loss": 0.25}
{"step": 3}
{"step": "4", "loss": 1.0}
{"step": 5, "loss": true}
[1]
{"step": 6, "lo"""


def test_lines_come_by_step_in_full_precision():
    first, second = loss_points(LINES)
    assert (first.step, math.isnan(first.loss), first.lr, first.metrics) == (1, True, 0.0, {})
    assert (second.step, second.loss, second.lr) == (2, 0.25, None)
    [point] = loss_points(LINES.splitlines()[0])
    assert point.metrics == {"grad_norm": 1.5, "tokens": 18.0}
    assert [point.loss for point in loss_points(b'{"step": 1, "loss": 0.1000000014901161}')] == [0.1000000014901161]


@given(st.binary())
def test_no_bytes_are_refused(content):
    loss_points(content)
