"""What every command prints with `--json`: one document of its schema, and nothing beside it (jobs are bash)."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click
import pytest

from ckgit.cli import group
from ckgit.cli.errors import guarded
from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.experiment.schemas import MODELS, PRINTED
from ckgit.formats.advice import commands
from tests.by_hand import commit_by_hand
from tests.cli.test_models import make_model
from tests.orchestrators.bench import DESIGN, Bench, design_demo

SCHEMAS = Path(__file__).parents[2] / "schemas"
# In tests/forges/github, where there is a GitHub to ask.
OF_CI = {("ci approvals", "approvals-document"), ("ci may-start", "may-start-document"), ("ci comment", "comment-document")}
Call = Callable[..., Any]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
HASHES = {"commit", "hand", "left", "rewritten", "design_hash"}
# What had other names, or other forms, in some documents.
OLD = {"tip", "date", "digest", "lifecycle", "sentence", "from", "to"}


REVIEWS = (
    ("reproduce demo base", "reproduce"),
    ("reproduce demo base --dry-run", "plan"),
    ("verify demo --deep", "verify"),
    ("verify --rules", "rules"),
    ("report demo", "report"),
    ("results", "rows"),
    ("sql SELECT(1)", "rows"),
    ("compare demo/rank4 demo/base", "compare"),
    ("dashboard", "dashboard"),
)


_LATER = ("doctor", "archive demo", "delete demo --dry-run", "delete demo", "delete demo --undo", "clean", "clean demo --all --dry-run")
LATER = tuple((line, line.split()[0]) for line in _LATER)


def all_commands(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for child in command.list_commands(context):
        found = command.get_command(context, child)
        assert found
        yield from all_commands(found, f"{name} {child}".strip())


def check(document: Any, schema: str) -> None:
    """Against the model, and where there is somebody else to ask, against the committed schema."""
    MODELS[schema][0].model_validate_json(json.dumps(document))
    if importlib.util.find_spec("jsonschema"):
        import jsonschema

        jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text())).validate(document)


def things(document: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each thing in a document that has a name: where it is, what it is a part of, and its name."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield place, document, name
            yield from things(value, f"{place}/{name}")
    elif isinstance(document, list):
        for value in document:
            yield from things(value, place)


@pytest.fixture
def call(bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """`call("advance demo", code, schema)`: the document that a command prints with `--json`, after it was looked at."""
    seen: set[tuple[str, str]] = set()

    def run(line: str, schema: str, code: int = 0) -> Any:
        argv = ["-C", str(bench.folder), *line.split(), "--json"]

        def invoke() -> Any:
            with group.make_context("ckgit", list(argv)) as context:
                return group.invoke(context)

        capsys.readouterr()
        assert guarded(invoke, argv) == code, capsys.readouterr()
        out, err = capsys.readouterr()
        printed, other = (err, out) if schema == "error-document" else (out, err)
        assert other == "", line
        document = json.loads(printed)
        check(document, schema)
        name = max((name for name in PRINTED if f"{line} ".startswith(f"{name} ")), key=len)
        assert schema in (*PRINTED[name], "error-document")
        seen.add((name, schema))
        return document

    run.seen = seen  # type: ignore[attr-defined]
    monkeypatch.chdir(bench.folder)
    return run


def test_every_command_with_json_has_a_schema_that_is_committed() -> None:
    found = {name for name, command in all_commands(group) if any(param.name == "as_json" for param in command.params)}
    assert "models add" in found
    assert found == set(PRINTED)
    assert {schema for printed in PRINTED.values() for schema in printed} | {"error-document"} == {
        name for name in MODELS if name.endswith("-document")
    }
    assert {path.stem for path in SCHEMAS.iterdir()} == set(MODELS)


def of_another_project(call: Call, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "experiment_summary.yaml").write_text("experiment: {name: other, type: old}\n")
    yield call(f"import cruijff {tmp_path}", "import-document")
    yield call(f"import cruijff {tmp_path} --output {tmp_path / 'other.yaml'}", "import-document")


def of_tasks(call: Call) -> Iterator[Any]:
    for more in (" --dry-run", ""):
        yield call(f"task new own --template numeric --experiment demo{more}", "new-task-document")
    yield call("task check own --experiment demo", "task-check-document", Exit.USAGE)  # its outputs are no numbers
    yield call("task list", "tasks-document")


def of_a_model(call: Call, tmp_path: Path) -> Iterator[Any]:
    make_model(tmp_path / "copy")
    yield call(f"models add other {tmp_path / 'copy'} --dry-run", "model-document")
    yield call(f"models add other {tmp_path / 'copy'}", "model-document")
    yield call("models show other", "show-model-document")


def of_data(call: Call, tmp_path: Path) -> Iterator[Any]:
    """Documents on data of the lab."""
    yield call("data show data/words.json --rows 1", "data-document")
    (tmp_path / "more.csv").write_text("text,label\na,1\n")
    yield from (call(f"data add {tmp_path / 'more.csv'}{more}", "added-data-document") for more in (" --dry-run", ""))


def of_a_whole_experiment(bench: Bench, call: Call, tmp_path: Path) -> Iterator[Any]:
    """Every document that there is."""
    yield call(f"init {tmp_path / 'new'} --dry-run", "init-document")
    yield call(f"init {tmp_path / 'new'}", "init-document")
    yield from of_a_model(call, tmp_path)
    yield from chain(of_another_project(call, tmp_path), of_tasks(call), of_data(call, tmp_path))
    lists = {"models list": "models", "hooks status": "hooks", "schema": "schemas", "worker": "workers"}
    yield from (call(name, f"{kind}-document") for name, kind in lists.items())
    design = tmp_path / "design.yaml"
    document = {key: value for key, value in DESIGN.items() if key != "schema_version"}
    design.write_text(json.dumps(document))
    yield call(f"validate {design}", "validate-document")
    yield call("validate demo", "validate-document")
    for name in ("design", "design-experiment"):
        yield call(f"{name} {name}-1 --from {design} --dry-run", "design-document")
        yield call(f"{name} {name}-1 --from {design}", "design-document")
    yield call("revise demo --set variables.lora_rank=[4]", "design-document")
    design.write_text("{")
    yield call(f"validate {design}", "validate-document", Exit.INVALID_DESIGN)
    yield call("list", "list-document")
    yield call("worker scaffold-tiny-trainer demo", "preview-document")
    yield call("advance demo --dry-run", "plan-document")
    yield from (call(f"{name} demo", f"{name}-document") for name in ("status", "log", "show", "why"))
    yield call("scaffold-experiment demo --dry-run", "plan-document")
    yield call("scaffold-experiment demo", "outcome-document")
    yield call("worker run-tiny-trainer demo --dry-run", "plan-document")
    bench.hold()
    yield call("run-experiment demo --no-wait", "outcome-document", Exit.IN_FLIGHT)
    for name in ("status", "why"):
        yield call(f"{name} demo", f"{name}-document")
    yield from (call(f"cancel demo{more}", f"{kind}-document") for more, kind in ((" --dry-run", "plan"), ("", "outcome")))
    bench.go()
    bench.fail("rank4/finetune")
    yield call("retry demo --dry-run", "plan-document")
    yield call("retry demo", "outcome-document", Exit.JOBS_FAILED)
    for name in ("status", "why"):
        yield call(f"{name} demo", f"{name}-document")
    yield call("advance demo nobody", "outcomes-document", Exit.JOBS_FAILED)
    yield from (call(f"{name} nobody design-1", "outcomes-document", Exit.USAGE) for name in ("cancel", "retry"))
    bench.mend("rank4/finetune")
    yield call("advance demo --accept-missing", "outcome-document")
    yield call("worker run-tiny-evaluator demo", "outcome-document")
    yield call("run-experiment demo --dry-run", "error-document", Exit.ILLEGAL_TRANSITION)
    yield call("analyze-experiment demo --dry-run", "plan-document")
    yield call("analyze-experiment demo", "outcome-document")
    yield from (call(line, f"{schema}-document") for line, schema in (*REVIEWS, *LATER))
    yield call("advance design-experiment-1 --to analyzed", "outcome-document")
    yield call("bisect design-experiment-1/rank4 rank8", "bisect-document")
    commit_by_hand(bench.folder, "run-experiment.log", "mine")
    yield from (call(f"{name} demo", f"{name}-document", Exit.NOT_VERIFIED) for name in ("verify", "review"))
    yield from (call(f"{name} demo", f"{name}-document") for name in ("status", "log", "show", "why"))
    ends = {"show demo rank4": "show-run", "close demo --dry-run --because no": "plan", "close demo --because no": "outcome"}
    yield from (call(line, f"{kind}-document") for line, kind in {**ends, "show demo": "show", "list": "list"}.items())
    yield call("run-experiment design-1 --dry-run", "error-document", Exit.ILLEGAL_TRANSITION)


@pytest.mark.slow
def test_each_is_of_its_schema_and_calls_each_thing_by_its_one_name(bench: Bench, call: Call, tmp_path: Path) -> None:
    documents = list(of_a_whole_experiment(bench, call, tmp_path))
    unseen = {(name, schema) for name, schemas in PRINTED.items() for schema in schemas} - call.seen  # type: ignore[attr-defined]
    assert unseen == {("run-experiment", "plan-document"), *OF_CI}
    known = {experiment.value for experiment in State}
    for document in documents:
        assert isinstance(document, dict)
        for place, part, name in things(document):
            value, where = part[name], f"{place}/{name}: {part[name]!r}"
            inside = any(each in place for each in ("/design", "/card", "/results", "/claims"))  # files of theirs, as they stand
            assert inside or name not in OLD, where
            if name in HASHES and value is not None and not inside:
                assert re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value), where
            if name == "code":
                assert type(value) is int, where
            if name == "lifecycle_state":
                assert value in known, where
            if name == "experiment" and not inside:
                assert isinstance(value, str), where
            if isinstance(value, str) and TIME.match(value):
                assert re.fullmatch(rf"{TIME.pattern}(Z|\+00:00)", value), where
            if name == "next":
                assert value == commands(part["advice"]), where
            if name == "state":  # what is left, in words
                assert "what" in part, where


def test_an_error_is_alone_on_its_stream_and_what_was_noted_is_in_it(bench: Bench, call: Call) -> None:
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + "# not committed\n")
    document = call("status nobody", "error-document", Exit.USAGE)
    assert document["error"]["next"] == ["ckgit list", "ckgit design nobody"]
    assert len(document["notes"]) == 1
    assert "ckgit.toml" in document["notes"][0]
    assert "ckgit.toml" in call("list", "list-document")["notes"][0]
    done = bench.ckgit("advance", "demo", "--to", "trained", "--json")
    assert (done.stderr, json.loads(done.stdout)["lifecycle_state"]) == ("", "trained")
    lines = bench.ckgit("status", "demo").stderr.splitlines()
    assert len(lines) == 1


@pytest.mark.parametrize("names", [["demo"], ["demo", "other"]])
def test_an_interrupt_is_told_by_a_document_alone(bench: Bench, names: list[str]) -> None:
    changes = {"experiment": {"name": "other", "question": "Again?", "date": "2026-11-23"}}
    design_demo(bench.lab, changes, name="other")
    bench.hold()
    process = bench.start("advance", *names, "--to", "trained", "--json")
    bench.until(lambda: len(bench.executions()) == 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    bench.go()
    assert process.returncode == Exit.INTERRUPTED
    assert out == "" if names == ["demo"] else err == ""
    document = json.loads(out or err)
    check(document, "outcomes-document" if out else "error-document")
    for each in document["experiments"] if out else [document]:
        assert each["error"]["code"] == Exit.INTERRUPTED
        assert each["error"]["next"][0].startswith("ckgit advance ")


@pytest.mark.parametrize("words", [["list"], ["status", "demo"]])
def test_people_do_not_wait_for_what_only_programs_want(bench: Bench, words: list[str]) -> None:
    code = f"import sys; from ckgit.cli import group; group.main({['-C', str(bench.folder), *words]!r}, standalone_mode=False)"
    tell = "; print(*(name for name in sys.modules if name.startswith(('ckgit.experiment.outputs', 'pydantic'))), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code + tell], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"


def test_a_design_tells_what_it_is_expected_to_take(call: Call, bench: Bench, tmp_path: Path) -> None:
    design = tmp_path / "design.yaml"
    design.write_text(json.dumps({key: value for key, value in DESIGN.items() if key != "schema_version"}))
    found = call(f"design more --from {design}", "design-document")["estimate"]
    told = [(run["run"], run["training_seconds"] is not None, run["evaluation_seconds"] is not None) for run in found["runs"]]
    assert told == [("rank4", True, True), ("rank8", True, True), ("base", False, True)]
    parts = [run[part] or 0 for run in found["runs"] for part in ("training_seconds", "evaluation_seconds")]
    assert found["seconds"] == pytest.approx(sum(parts))
    assert found["sources"]
    bench.advance(State.ANALYZED)
    report = call("show demo", "show-document")["report"]
    assert bench.snapshot.read(report)
    assert call("show more", "show-document")["report"] is None


@pytest.mark.parametrize(("zone", "sign"), [("Asia/Kolkata", "+05:30"), ("America/Lima", "-05:00"), ("UTC", "+00:00")])
def test_people_read_the_time_of_their_machine_and_programs_that_of_greenwich(bench: Bench, zone: str, sign: str) -> None:
    def there(*command: str, zone: str = zone) -> str:
        done = subprocess.run(command, cwd=bench.folder, env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def ckgit(*words: str) -> str:
        return there(*bench.command(*words))

    bench.advance(State.TRAINED)
    told = json.loads(ckgit("list", "--json"))["experiments"][0]["time"]
    assert told == json.loads(ckgit("log", "demo", "--json"))["commits"][-1]["time"]
    assert {json.loads(ckgit(name, "demo", "--json"))["time"] for name in ("status", "show")} == {told}
    git = ["git", "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d %H:%M", "exp/demo"]
    assert told.startswith(there(*git, zone="UTC").replace(" ", "T"))
    local = f"{there(*git)} {sign}"
    assert local in ckgit("list")
    assert local in ckgit("log", "demo")
    assert f" of {local}, last event: train)" in ckgit("status", "demo")
    assert ckgit("show", "demo", "rank4").count(f" {sign} ") == 2  # started and ended
