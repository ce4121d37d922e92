"""A training that stopped early: the ledger says so, people are told, and verification holds it against what the job left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ckgit.experiment.design.model import State
from ckgit.experiment.outputs.findings import Finding
from tests.orchestrators.bench import Bench
from tests.orchestrators.review.lies import Liar, Told

JOB = "rank4/finetune"
SAID = "stopped early at step 2 of 3: the loss fell no more"


@pytest.fixture
def stopped(bench: Bench) -> Bench:
    (bench.steer / f"early-{JOB.replace('/', '-')}").touch()
    bench.advance(State.TRAINED)
    return bench


def verified(bench: Bench) -> list[Finding]:
    said = json.loads(bench.ckgit("verify", "demo", "--json", check=False).stdout)
    found = [Finding.model_validate_json(json.dumps(each)) for each in said["experiments"][0]["findings"]]
    return [each for each in found if each.path.endswith("jobs.json")]


def tell_otherwise(bench: Bench, job: str, **changed: Any) -> None:
    """Write the branch again, with another attempt in its ledger."""
    liar = Liar(bench.folder)

    def change(_: int, commit: str, told: Told) -> Told:
        if told.event != "train":
            return told
        ledger = json.loads(liar.read(commit, "jobs.json"))
        [attempt] = [each for each in ledger["attempts"] if each["job"] == job]
        attempt.update(changed)
        for name in [name for name, value in changed.items() if value is None]:
            del attempt[name]
        content = (json.dumps(ledger, indent=2) + "\n").encode()
        return told._replace(tree=liar.tree(commit, {f"{liar.folder}/jobs.json": content}))

    liar.tell(change)


def test_the_ledger_says_at_which_step_of_how_many_and_why(stopped: Bench) -> None:
    attempt = stopped.latest(JOB)
    assert (attempt.phase, attempt.failure, attempt.reason) == ("done", None, SAID)
    assert stopped.latest("rank8/finetune").reason is None
    assert verified(stopped) == []


def test_people_are_told(stopped: Bench, tmp_path: Path) -> None:
    assert f"\n  {JOB} {SAID}\n" in stopped.ckgit("status", "demo").stdout
    document = json.loads(stopped.ckgit("status", "demo", "--json").stdout)
    assert (document["stopped_early"], document["failed"]) == ({JOB: SAID}, [])
    stopped.ckgit("dashboard", "--output", str(tmp_path / "pages"))
    [page] = [path.read_text() for path in (tmp_path / "pages").rglob("*.html") if path.name != "index.html"]
    assert f">{JOB} {SAID}<" in page


def test_what_the_ledger_says_of_it_is_held_against_what_the_job_left(stopped: Bench) -> None:
    tell_otherwise(stopped, JOB, reason=SAID.replace("2 of 3", "1 of 3"))
    [found] = verified(stopped)
    assert (found.rule, found.is_error) == ("ledger", True)
    assert f"of {JOB} it says 'stopped early at step 1 of 3: the loss fell no more', and what that left shows {SAID}" in found.message


def test_one_that_has_all_of_its_steps_did_not_stop(stopped: Bench) -> None:
    tell_otherwise(stopped, "rank8/finetune", reason=SAID)
    assert any("and what that left shows no early stop" in found.message for found in verified(stopped) if found.is_error)


def test_where_it_was_not_recorded_that_is_noted(stopped: Bench) -> None:
    tell_otherwise(stopped, JOB, reason=None)
    [found] = verified(stopped)
    assert (found.is_error, found.message) == (False, f"that {JOB} {SAID} was not recorded then")
