"""What happens is told to all who listen, as typed events; the lines of JSON are those of the schema."""

from __future__ import annotations

import json

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.outputs.events import EngineEvent, Noted
from ckgit.experiment.schemas import EventLine
from ckgit.orchestrators.engine.events import Events
from tests.orchestrators.bench import Bench


class Listener:
    def __init__(self, *, progress: bool = False, fails: bool = False) -> None:
        self.progress, self.fails = progress, fails
        self.heard: list[EngineEvent] = []

    def __call__(self, event: EngineEvent) -> None:
        if self.fails:
            raise BrokenPipeError("nobody reads")
        self.heard.append(event)


def test_one_that_fails_is_left_out_and_stops_nothing() -> None:
    broken, whole = Listener(progress=True, fails=True), Listener()
    events = Events(broken, whole)
    assert events.progress
    for text in ("one", "two"):
        events.emit(Noted(experiment="demo", text=text))
    told, one, two = whole.heard
    assert isinstance(told, Noted)
    assert told.text == "Listener gets no more events: BrokenPipeError: nobody reads"
    assert [each.model_dump(exclude={"time"}) for each in (one, two)] == [
        {"event": "noted", "experiment": "demo", "text": text} for text in ("one", "two")
    ]
    assert one.time
    assert not events.progress


def test_advance_writes_its_events_as_lines_of_json(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    done = bench.ckgit("advance", "demo", "--events")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    for line in done.stdout.splitlines():
        EventLine.model_validate_json(line)
    kinds = [each["event"] for each in documents]
    assert (kinds[0], kinds[-1]) == ("committed", "finished")
    assert documents[0]["records"] == "submit"
    assert {job for each in documents if each["event"] == "job-ended" for job in each["jobs"]} >= {"rank4/finetune", "rank8/finetune"}
    assert all(each["exit_code"] == 0 for each in documents if each["event"] == "job-ended")
    assert (documents[-1]["code"], documents[-1]["lifecycle_state"]) == (0, "trained")
    assert "train demo: scaffolded -> trained" in done.stderr  # the terminal hears it all the same


def test_an_error_is_the_last_event(bench: Bench) -> None:
    bench.fail("rank4/finetune")
    done = bench.ckgit("advance", "demo", "--to", "trained", "--events", check=False)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["event"], last["code"]) == (Exit.JOBS_FAILED, "finished", Exit.JOBS_FAILED)
    assert last["next"] == ["ckgit why demo", "ckgit retry demo", "ckgit advance demo --accept-missing"]
    gone = bench.ckgit("advance", "nobody", "--events", check=False)
    [refused] = map(json.loads, gone.stdout.splitlines())
    assert (gone.returncode, refused["event"], refused["code"]) == (Exit.USAGE, "refused", Exit.USAGE)
    assert refused["next"] == ["ckgit list", "ckgit design nobody"]


def test_one_output_at_a_time(bench: Bench) -> None:
    for other in ("--dry-run", "--json"):
        done = bench.ckgit("advance", "demo", "--events", other, check=False)
        assert done.returncode == Exit.USAGE
        assert f"--events and {other}" in done.stderr
    assert bench.snapshot.state is State.DESIGNED
