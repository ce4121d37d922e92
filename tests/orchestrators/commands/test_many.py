"""Several experiments followed by one process."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from ckgit.cli.shared.subscribers import lines_of
from ckgit.errors import Exit
from ckgit.experiment.outputs.events import EngineEvent
from ckgit.experiment.state import State
from ckgit.lab.lab import Lab
from ckgit.lab.snapshot.take import take_snapshot
from ckgit.orchestrators.commands.many import advance_together
from ckgit.orchestrators.engine.options import AdvanceOptions
from ckgit.orchestrators.engine.results import AdvanceResult
from tests.orchestrators.bench import Bench, Heard, design_demo

NAMES = ["demo", "other"]


@pytest.fixture
def two(designed: Callable[..., Bench]) -> Bench:
    bench = designed()
    experiment = {"name": "other", "question": "Does it help again?", "date": "2026-11-23"}
    design_demo(bench.lab, {"experiment": experiment, "variables": {"lora_rank": [2]}}, name="other")
    bench.heard.named = True
    return bench


def states(lab: Lab) -> list[State]:
    return [take_snapshot(lab, name).state for name in NAMES]


def test_both_come_to_their_reports_and_each_line_names_its_experiment(two: Bench) -> None:
    ended = advance_together(two.lab, NAMES, AdvanceOptions(to=State.ANALYZED), two.heard)
    assert [(name, type(each), each.code) for name, each in ended.items()] == [(name, AdvanceResult, Exit.DONE) for name in NAMES]
    assert states(two.lab) == [State.ANALYZED, State.ANALYZED]
    assert len(two.executions()) == 5 + 3
    assert all(line.startswith(("demo: ", "other: ")) for line in two.heard.said)
    # by turns: neither waits for the other's end
    first = {name: next(n for n, line in enumerate(two.heard.said) if line.startswith(f"{name}: scaffold")) for name in NAMES}
    last = {name: max(n for n, line in enumerate(two.heard.said) if line.startswith(f"{name}: ")) for name in NAMES}
    assert max(first.values()) < min(last.values())


def test_what_stops_one_stops_no_other(two: Bench) -> None:
    two.fail("rank4/finetune")  # of both: the second experiment has no such run
    done = two.ckgit("advance", "demo", "missing", "other", "--to", "trained", "--json", check=False)
    assert done.returncode == Exit.JOBS_FAILED
    demo, missing, other = json.loads(done.stdout)["experiments"]
    assert (demo["experiment"], demo["code_name"]) == ("demo", "jobs_failed")
    assert (missing["experiment"], missing["error"]["code"]) == ("missing", Exit.USAGE)
    assert (other["experiment"], other["lifecycle_state"]) == ("other", "trained")


def test_an_interrupt_detaches_from_all(two: Bench) -> None:
    two.hold()
    process = two.start("advance", *NAMES, "--to", "trained")
    two.until(lambda: len(two.executions()) == 2)  # as many as there are slots
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    two.go()
    assert process.returncode == Exit.INTERRUPTED, said
    # one is interrupted in its own turn, where it does not wait
    assert all(f"detached from {name}; its jobs go on" in said or f"ckgit: {name}: interrupted" in said for name in NAMES), said
    assert advance_together(two.lab, NAMES, AdvanceOptions(to=State.TRAINED), two.heard)["other"].code is Exit.DONE
    assert len(two.executions()) == 3


@pytest.mark.parametrize("line", [": queued", " submit "])  # while it looks, which tells of the jobs, and before it looks
def test_an_interrupt_in_the_turn_of_one_reaches_the_others(two: Bench, line: str) -> None:
    class Interrupted(Heard):
        def emit(self, event: EngineEvent) -> None:
            super().emit(event)
            if event.experiment == "demo" and any(line in f": {text}" for text in lines_of(event)):
                raise KeyboardInterrupt

    ended = advance_together(two.lab, NAMES, AdvanceOptions(to=State.TRAINED), Interrupted())
    assert [each.code for each in ended.values()] == [Exit.INTERRUPTED, Exit.INTERRUPTED]


def test_patterns_states_and_all_stand_for_names(two: Bench) -> None:
    two.ckgit("advance", "other", "--to", "scaffolded")
    done = two.ckgit("advance", "d*", "o*", "--state", "scaffolded", "--to", "trained")
    assert states(two.lab) == [State.DESIGNED, State.TRAINED], done.stderr
    two.ckgit("advance", "--all", "--to", "evaluated")
    assert states(two.lab) == [State.EVALUATED, State.EVALUATED]
    two.ckgit("advance", "exp/*")
    assert states(two.lab) == [State.ANALYZED, State.ANALYZED]
    done = two.ckgit("advance", "--all")
    assert (done.returncode, done.stdout, "nothing to do" in done.stderr) == (0, "", True)
    assert json.loads(two.ckgit("advance", "--all", "--json").stdout)["experiments"] == []
    done = two.ckgit("advance", "x*", check=False)
    assert (done.returncode, "no experiment is called x*" in done.stderr) == (Exit.USAGE, True)
    assert two.ckgit("advance", "--all", "demo", check=False).returncode == Exit.USAGE


def test_retry_and_cancel_take_those_that_have_anything(two: Bench) -> None:
    two.fail("rank4/finetune")
    two.ckgit("advance", "--all", "--to", "trained", check=False)
    assert states(two.lab) == [State.SCAFFOLDED, State.TRAINED]
    two.mend("rank4/finetune")
    done = two.ckgit("retry", "*")
    assert (states(two.lab), done.returncode) == ([State.TRAINED, State.TRAINED], 0)
    two.hold()
    assert two.ckgit("advance", "--all", "--no-wait", check=False).returncode == Exit.IN_FLIGHT
    done = two.ckgit("cancel", "--all")
    assert done.stdout.count("cancelled") == len(NAMES)
    assert two.ckgit("cancel", "--all").stdout == ""
    two.go()


def test_the_exit_code_does_not_depend_on_the_order(two: Bench) -> None:
    two.fail("rank4/finetune")
    two.ckgit("advance", "--all", "--to", "trained", check=False)
    two.hold()
    for names in (NAMES, NAMES[::-1], ["missing", *NAMES], [*NAMES, "missing"]):
        done = two.ckgit("advance", *names, "--no-wait", check=False)
        assert done.returncode == Exit.JOBS_FAILED, done.stderr
        assert "experiment missing" in done.stderr or "missing" not in names
    two.go()


def test_quiet_says_nothing_where_nothing_happens(two: Bench) -> None:
    for words in (["--all"], ["demo"]):
        two.hold()
        done = two.ckgit("advance", *words, "--quiet", "--no-wait", "--to", "trained", check=False)
        assert "scaffold demo" in done.stderr or "submit demo" in done.stderr or words == ["demo"]
        done = two.ckgit("advance", *words, "--quiet", "--no-wait", "--to", "trained", check=False)
        assert (done.returncode, done.stdout, done.stderr) == (Exit.IN_FLIGHT, "", "")
    two.go()
    done = two.ckgit("advance", "--all", "--quiet", "--to", "analyzed")
    assert "analyze demo" in done.stderr
    assert "other is analyzed" in done.stdout
    done = two.ckgit("advance", "--all", "--quiet", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = two.ckgit("advance", "missing", "--quiet", check=False)
    assert "there is no experiment missing" in done.stderr


def test_calls_that_overlap_do_nothing_twice(two: Bench) -> None:
    calls = [two.start("advance", "--all", "--quiet", "--to", "analyzed") for _ in range(3)]
    for call in calls:
        _, told = call.communicate(timeout=120)
        assert call.returncode in (Exit.DONE, Exit.BRANCH_MOVED), told
    assert two.ckgit("advance", "--all", "--to", "analyzed").returncode == 0  # who came second left the rest to others
    assert len(two.executions()) == len(set(two.executions())) == 5 + 3
    assert states(two.lab) == [State.ANALYZED, State.ANALYZED]
