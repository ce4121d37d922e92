"""A ckgit with other defaults looks at an experiment, judges it and goes on with it: what was scaffolded holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from ckgit.cli import group
from ckgit.errors import Exit
from ckgit.experiment.design.model import Generation, State
from ckgit.orchestrators.engine.experiment import open_experiment
from ckgit.orchestrators.queries import settings
from ckgit.orchestrators.queries.show import describe, run_document
from ckgit.orchestrators.queries.so_far import so_far
from ckgit.workers.torchtune.design.parameters import TorchtuneParameters
from tests.by_hand import commit_by_hand
from tests.orchestrators.bench import Bench

REAL = {"tools": {"preparation": "torchtune", "evaluation": "inspect-ai"}, "controls": {"device": "cpu", "dtype": "fp32"}}


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have other defaults from now on, as another version of ckgit may."""

    def change(**more: Any) -> None:
        for name, value in {"lr": 0.5, "prompt": "Say {input}", "batch_size": 2, **more}.items():
            monkeypatch.setitem(TorchtuneParameters.defaults, name, value)
        monkeypatch.setattr(settings, "generation", lambda *_: Generation(max_tokens=7, temperature=1.0))

    return change


def shown(bench: Bench, run: str) -> dict[str, Any]:
    details = describe(open_experiment(bench.lab, "demo"), run)
    [found] = run_document(details, so_far(details.view, run, details.results)).model_dump(mode="json")["runs"]
    return dict(found)


@pytest.mark.parametrize("by_cb9ae22", [False, True], ids=["", "scaffolded before defaults were kept"])
def test_show_prints_what_was_scaffolded(designed: Callable[..., Bench], others: Callable[..., None], *, by_cb9ae22: bool) -> None:
    bench = designed(**REAL)
    bench.advance(State.SCAFFOLDED)
    if by_cb9ae22:
        commit_by_hand(bench.folder, "defaults.json", None)
    others()
    run = shown(bench, "rank4")
    assert run["parameters"]["lr"] == {"value": 0.0003, "source": "default"}
    assert run["parameters"]["lora_rank"] == {"value": 4, "source": "run"}
    assert run["parameters"]["template_date"] == {"value": "2026-11-23", "source": "default"}
    [cell] = run["cells"][:1]
    assert (cell["prompt"], cell["generation"]) == ("{input}", {"max_connections": 2, "max_tokens": 128, "temperature": 0.0})
    text = CliRunner().invoke(group, ["-C", str(bench.folder), "show", "demo", "rank4"]).stdout
    assert ["lr", "0.0003", "default"] in [line.split() for line in text.splitlines()]
    assert "0.5" not in text


def test_a_design_that_is_not_scaffolded_shows_what_it_would_be(bench: Bench, others: Callable[..., None]) -> None:
    others()
    assert shown(bench, "rank4")["parameters"]["lr"] == {"value": 0.5, "source": "default"}


def test_what_a_retry_changed_is_shown(designed: Callable[..., Bench]) -> None:
    bench = designed(**REAL)
    bench.advance(State.SCAFFOLDED)
    text = (bench.snapshot.read("experiments/demo/rank4/setup_finetune.yaml") or b"").decode()
    assert "{source: default, value: 4}" in text
    commit_by_hand(bench.folder, "rank4/setup_finetune.yaml", text.replace("{source: default, value: 4}", "{source: retry, value: 2}"))
    assert shown(bench, "rank4")["parameters"]["batch_size"] == {"value": 2, "source": "retry"}


@pytest.mark.parametrize(
    ("old", "new"), [("split: ", "split: 7 #"), ("max_connections: 2", "max_connections: {}"), ("args:", "args: 7 #")]
)
def test_an_evaluation_whose_file_was_changed_into_no_such_thing_is_shown_as_planned(
    designed: Callable[..., Bench], old: str, new: str
) -> None:
    bench = designed(**REAL)
    bench.advance(State.SCAFFOLDED)
    file = "rank4/eval/capitalization_epoch0.yaml"
    text = (bench.snapshot.read(f"experiments/demo/{file}") or b"").decode()
    assert old in text
    commit_by_hand(bench.folder, file, text.replace(old, new))
    [cell] = shown(bench, "rank4")["cells"]
    assert (cell["split"], cell["generation"]["max_tokens"]) == ("test", 128)


def test_jobs_that_were_scaffolded_are_judged_by_what_they_were_scaffolded_with(bench: Bench, others: Callable[..., None]) -> None:
    bench.advance(State.SCAFFOLDED)
    others(epochs=3)
    assert bench.advance(State.ANALYZED).code is Exit.DONE
    cells = [cell["epoch"] for cell in shown(bench, "rank4")["cells"]]
    assert cells == [0]
    assert shown(bench, "rank4")["parameters"]["lr"]["value"] == 0.0003
    assert shown(bench, "base")["parameters"]["prompt"]["value"] == "{input}"


def test_revise_takes_the_defaults_of_the_ckgit_that_goes_on(bench: Bench, others: Callable[..., None]) -> None:
    bench.advance(State.SCAFFOLDED)
    assert "experiments/demo/defaults.json" in bench.snapshot.list("experiments/demo")
    others()
    bench.ckgit("revise", "demo")
    assert "experiments/demo/defaults.json" not in bench.snapshot.list("experiments/demo")
    bench.advance(State.SCAFFOLDED)
    assert shown(bench, "rank4")["parameters"]["lr"]["value"] == 0.5
