"""No barrier where none is needed: evaluations of one run while another trains. On a local scheduler that is told to overlap."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.jobs import Phase
from ckgit.orchestrators.commands.cancel import cancel
from ckgit.orchestrators.engine.options import Selection
from ckgit.orchestrators.engine.partial_view import open_partially
from ckgit.schedulers.local import scheduler as local
from tests.orchestrators.bench import Bench


@pytest.fixture
def overlapping(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(local, "scheduler", local.scheduler._replace(overlaps=True))
    limit(bench, slots=4)
    bench.advance(State.SCAFFOLDED)
    return bench


def limit(bench: Bench, **values: int) -> None:
    """Change the profile, as its user does: in a commit on the default branch."""
    config = bench.folder / "ckgit.toml"
    kept = [line for line in config.read_text().splitlines() if line.split(" = ")[0] not in values]
    config.write_text("\n".join([*kept, *(f"{key} = {value}" for key, value in values.items())]) + "\n")
    subprocess.run(["git", "commit", "-qam", "limits"], cwd=bench.folder, check=True)


@contextmanager
def advancing(bench: Bench, to: State) -> Iterator[list[Exit]]:
    """An `advance` that waits, while the test goes on."""
    codes: list[Exit] = []
    thread = threading.Thread(target=lambda: codes.append(bench.advance(to).code))
    thread.start()
    try:
        yield codes
    finally:
        for file in bench.steer.glob("hold*"):
            file.unlink()
        thread.join(30)


def done(bench: Bench, job: str) -> bool:
    attempt = bench.ledger.latest(job)
    return attempt is not None and attempt.phase is Phase.DONE


def ran(bench: Bench, job: str) -> bool:
    return any(f".{job.replace('/', '.')}." in token for token in bench.executions())


def test_a_trained_run_is_evaluated_while_another_trains(overlapping: Bench) -> None:
    overlapping.hold("rank8/finetune")
    with advancing(overlapping, State.ANALYZED) as codes:
        overlapping.until(lambda: ran(overlapping, "rank4/eval/capitalization_epoch0"))
        assert ran(overlapping, "base/eval/capitalization_base")  # a control waits for no training
        assert overlapping.snapshot.state is State.SCAFFOLDED
        assert not done(overlapping, "rank8/finetune")
        assert done(overlapping, "rank4/finetune")
        assert not ran(overlapping, "rank8/eval/capitalization_epoch0")
        overlapping.go("rank8/finetune")
    assert codes == [Exit.DONE]
    assert overlapping.snapshot.state is State.ANALYZED
    assert overlapping.history()[:3] == ["design", "scaffold", "submit"]
    assert [event for event in overlapping.history() if event != "submit"] == ["design", "scaffold", "train", "evaluate", "analyze"]
    assert len(set(overlapping.executions())) == len(overlapping.executions()) == 5


def test_in_strict_order_no_evaluation_starts_before_all_training_is_done(overlapping: Bench) -> None:
    overlapping.advance(State.TRAINED, sequential=True)
    assert not any("eval" in token for token in overlapping.executions())


def test_a_failure_is_committed_while_others_run_and_does_not_hold_up_their_evaluations(overlapping: Bench) -> None:
    overlapping.fail("rank4/finetune")
    overlapping.hold("rank8/finetune")
    with advancing(overlapping, State.ANALYZED) as codes:
        overlapping.until(lambda: "fail" in overlapping.history())
        assert overlapping.latest("rank4/finetune").phase is Phase.FAILED
        overlapping.go("rank8/finetune")
        overlapping.until(lambda: ran(overlapping, "rank8/eval/capitalization_epoch0"))
    assert codes == [Exit.JOBS_FAILED]
    assert overlapping.snapshot.state is State.SCAFFOLDED


def test_an_evaluation_that_failed_ahead_of_its_stage_does_not_keep_training_from_passing(overlapping: Bench) -> None:
    overlapping.fail("base/eval/capitalization_base")
    assert overlapping.advance(State.ANALYZED).code is Exit.JOBS_FAILED
    assert overlapping.snapshot.state is State.TRAINED
    assert "fail" in overlapping.history()[overlapping.history().index("train") :]
    assert done(overlapping, "rank4/finetune")


def test_cancel_ends_evaluations_that_run_ahead_of_their_stage(overlapping: Bench) -> None:
    overlapping.hold("base/eval/capitalization_base")
    overlapping.hold("rank8/finetune")
    overlapping.advance(wait=False)
    overlapping.until(lambda: ran(overlapping, "base/eval/capitalization_base"))
    cancel(open_partially(overlapping.lab, "demo"), Selection(job="base/eval/capitalization_base"), overlapping.heard)
    assert overlapping.latest("base/eval/capitalization_base").phase is Phase.CANCELLED
    overlapping.go("rank8/finetune")


def test_no_more_jobs_are_handed_over_than_the_profile_allows_and_a_higher_limit_holds_at_once(overlapping: Bench) -> None:
    limit(overlapping, max_submit=1)
    overlapping.hold()
    with advancing(overlapping, State.TRAINED) as codes:
        overlapping.until(lambda: len(overlapping.executions()) == 1)
        overlapping.until(lambda: any("max_submit is 1" in line for line in overlapping.heard.said))
        assert len(overlapping.executions()) == 1
        limit(overlapping, max_submit=3)
        overlapping.until(lambda: len(overlapping.executions()) == 3)
        overlapping.go()
    assert codes == [Exit.DONE]
