from ckgit.analysis.tables import MOST_ROWS, status_blocks
from ckgit.experiment.design.model import Stage
from ckgit.experiment.jobs import FailureClass, Phase
from ckgit.formats.markdown import table, with_ends
from ckgit.formats.numbers import duration
from tests.analysis.build import attempt, context, jobs, ledger


def test_each_job_has_its_latest_attempt() -> None:
    here = context()
    trained, failed, *cells = jobs(here)
    attempts = [
        attempt(trained, job_id="17", ended="2026-11-23T20:10:00Z", log="experiments/cap_lora/rank4/slurm-17.out"),
        attempt(failed, Phase.FAILED, failure=FailureClass.LOST, reason="gone"),
        attempt(failed, Phase.FAILED, failure=FailureClass.OUT_OF_MEMORY, reason="needs 40 G | has 20 G", number=2),
    ]
    blocks = status_blocks(here, ledger(*attempts, missing=(failed.name, cells[2].name)))
    assert blocks["fine-tuning"].splitlines() == [
        "## Fine-tuning",
        "",
        "1 of 2 done, 1 accepted as missing.",
        "",
        "| run | status | attempt | job | ended | log or reason |",
        "| --- | --- | --- | --- | --- | --- |",
        "| rank4 | done | 1 | 17 | 2026-11-23T20:10:00Z | experiments/cap_lora/rank4/slurm-17.out |",
        "| rank8 | accepted as missing (out-of-memory) | 2 | – | – | needs 40 G \\| has 20 G |",  # noqa: RUF001
    ]
    assert "0 of 5 done, 4 not submitted, 1 accepted as missing." in blocks["evaluation"]


def test_before_the_first_submission_every_job_is_listed() -> None:
    blocks = status_blocks(context(), None)
    assert blocks["fine-tuning"].count("not submitted |") == 2
    assert blocks["evaluation"].count("not submitted |") == 5


def test_a_stage_without_jobs_has_no_block() -> None:
    only_control = context(variables={}, experiment={"name": "x", "question": "q", "date": "2026-11-23"})
    assert set(status_blocks(only_control, None)) == {"evaluation"}


def test_a_long_table_lists_what_is_not_done() -> None:
    here = context(variables={"seed": list(range(MOST_ROWS + 50))}, experiment={"name": "x", "question": "q", "date": "2026-11-23"})
    training = [job for job in jobs(here) if job.stage is Stage.TRAINING]
    block = status_blocks(here, ledger(*map(attempt, training[1:])))["fine-tuning"]
    assert [line.split(" | ")[:2] for line in block.splitlines() if line.startswith("| seed")] == [["| seed0", "not submitted"]]
    assert block.endswith(f"{MOST_ROWS + 49} further jobs are not listed here.")


def test_foreign_text_cannot_leave_its_cell() -> None:
    shown = table(["a"], [["one | two\n| three <script> \x1b[31m \\|"]])
    assert shown.splitlines()[2] == "| one \\| two \\| three &lt;script> [31m \\\\\\| |"
    assert len(shown.splitlines()) == 3


def test_a_value_has_the_decimals_of_its_interval() -> None:
    assert with_ends(0.54, 0.44264, 0.63439) == "0.540 [0.443, 0.634]"
    assert with_ends(1.0, 0.20655, 1.0) == "1.000 [0.207, 1.000]"
    assert with_ends(0.97, 0.96789, 0.97199) == "0.9700 [0.9679, 0.9720]"
    assert with_ends(12.3456, 9.9, 14.7) == "12.3 [9.9, 14.7]"
    assert with_ends(1234.5, 1100.0, 1369.0) == "1234 [1100, 1369]"
    assert with_ends(1.5e-9, 1.1e-9, 1.9e-9) == "1.5e-09 [1.1e-09, 1.9e-09]"
    assert with_ends(0.0, -0.0866, 0.0866) == "0.000 [-0.087, 0.087]"
    assert with_ends(-0.0001, -0.2, 0.2) == "0.000 [-0.200, 0.200]"


def test_an_interval_without_width_is_not_shown() -> None:
    assert with_ends(0.5, None, None) == "0.5"
    assert with_ends(1.0, 1.0, 1.0) == "1"


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 7.4, 59.4, 83, 3661)] == ["0 s", "7 s", "59 s", "1:23", "1:01:01"]
