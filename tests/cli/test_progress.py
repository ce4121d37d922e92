"""How running jobs are told: in words, and as a terminal of any width draws them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from rich.cells import cell_len

from ckgit.cli.output.live import Screen
from ckgit.cli.output.progress import headline, lines
from ckgit.experiment.outputs.events import JobProgress, OverallProgress

TRAINING = JobProgress(
    job="lr1e-4_rank16/finetune", elapsed=130, step=12_340, steps=20_000, loss=0.04321, rate=12.34, seconds_left=1520.7, note=""
)
EVALUATION = JobProgress(job="base/eval/capitalization_base", elapsed=30, step=12, steps=100, rate=0.25, seconds_left=352, note="samples")
LOADING = JobProgress(job="lr1e-5_rank16/finetune", elapsed=7, loading=True)
WHOLE = OverallProgress(done=3, failed=0, total=9, seconds_left=250, jobs=(TRAINING, EVALUATION, LOADING))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """`drawn(columns, rows)`: the lines of an experiment on a terminal of that size, without colours."""

    def draw(columns: int, rows: int = 24, **experiments: OverallProgress) -> list[str]:
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(rows))
        return Screen().drawn(experiments or {"demo": WHOLE}, named=bool(experiments))

    return draw


def test_the_whole_in_a_line() -> None:
    assert headline(WHOLE) == "3 of 9 jobs done, about 4:10 left"
    assert headline(OverallProgress(done=0, failed=1, total=1)) == "0 of 1 job done, 1 failed"


def test_each_running_job_in_a_line() -> None:
    assert lines(WHOLE) == [
        "lr1e-4_rank16/finetune         12340/20000     loss 0.04321  12.3/s    25:20 left",
        "base/eval/capitalization_base  12/100 samples                4 s each  5:52 left",
        "lr1e-5_rank16/finetune         loading 0:07",
    ]


def test_a_narrow_line_has_no_rate_and_then_no_loss() -> None:
    told = {room: lines(WHOLE, room)[0] for room in (81, 71, 57)}
    assert {room: ("/s" in line, "loss" in line, "left" in line) for room, line in told.items()} == {
        81: (True, True, True),
        71: (False, True, True),
        57: (False, False, True),
    }


def test_a_job_that_has_made_its_last_step_is_finishing() -> None:
    ended = WHOLE.model_copy(update={"jobs": (TRAINING.model_copy(update={"step": 20_000}),)})
    assert lines(ended) == ["lr1e-4_rank16/finetune  20000/20000  loss 0.04321  finishing"]


def test_what_steers_a_terminal_is_written_out() -> None:
    odd = WHOLE.model_copy(update={"jobs": (EVALUATION.model_copy(update={"note": "\x1b[31mrows\n"}),)})
    assert "12/100 \\x1b[31mrows\\n" in lines(odd)[0]


def test_at_80_columns_everything_is_there(drawn) -> None:
    head, training, evaluation, loading = drawn(80)
    assert head == "3 of 9 jobs done, about 4:10 left"
    assert "finetune" in training
    assert "12340/20000" in training
    assert training.endswith("25:20 left")
    assert "12/100 samples" in evaluation
    assert loading.rstrip().endswith("loading 0:07")
    assert max(map(cell_len, (training, evaluation, loading))) < 80


def test_a_name_keeps_both_its_ends(drawn) -> None:
    assert drawn(80)[1].startswith("lr1e-4_…finetune  ━━━━")


@pytest.mark.parametrize("columns", range(20, 200, 7))
def test_a_line_never_wraps(drawn, columns: int) -> None:
    found = drawn(columns)
    assert len(found) == 4
    assert max(map(cell_len, found)) < columns


def test_narrow_terminals_lose_the_bar_before_the_rate_before_the_loss_and_never_the_step(drawn) -> None:
    seen = {columns: "\n".join(drawn(columns)) for columns in (110, 80, 60, 45)}
    assert {
        columns: ("━" in text, "12.3/s" in text, "loss" in text, "12340/" in text, "25:20 left" in text) for columns, text in seen.items()
    } == {
        110: (True, True, True, True, True),
        80: (True, True, True, True, True),
        60: (False, False, True, True, True),
        45: (False, False, False, True, True),
    }


def test_as_many_lines_as_fit_and_how_many_more(drawn) -> None:
    many = WHOLE.model_copy(update={"jobs": tuple(LOADING.model_copy(update={"job": f"run{n}/finetune"}) for n in range(50))})
    found = drawn(80, 10, demo=many)
    assert len(found) == 8
    assert found[-1] == "and 44 more lines"


def test_several_experiments_are_told_apart(drawn) -> None:
    found = drawn(80, one=WHOLE, two=WHOLE)
    assert [line for line in found if "jobs" in line] == [f"{name}: 3 of 9 jobs done, about 4:10 left" for name in ("one", "two")]


def test_rich_is_not_imported_by_what_follows_no_job() -> None:
    modules = "ckgit.cli.status ckgit.cli.advance ckgit.cli.list ckgit.cli.retry ckgit.orchestrators.commands.advance"
    code = f"import sys; [__import__(name) for name in {modules!r}.split()]; print('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
