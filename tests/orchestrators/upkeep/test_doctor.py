"""What is not as it should be is told with what mends it; nothing is written, and one broken check hides no other."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from ckgit.lab.lab import Lab
from ckgit.orchestrators.upkeep.doctor import checkup, machine
from ckgit.orchestrators.upkeep.doctor.point import Check, Level, Point
from tests.by_hand import commit_by_hand
from tests.conftest import run_git
from tests.damage import lose, spoil
from tests.orchestrators.bench import Bench
from tests.orchestrators.upkeep.test_clean import files


def checked(bench: Bench, code: int = 0) -> dict[str, list[dict[str, Any]]]:
    """What each check found, by its name."""
    done = bench.ckgit("doctor", "--json", check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    document = json.loads(done.stdout)
    assert document["healthy"] == (code == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for each in document["checks"]:
        found.setdefault(each["check"], []).append(each)
        assert (each["level"] == "ok") == (each["mend"] == ""), each
    assert {check.name for check in checkup.CHECKS} == found.keys()
    return found


def worst(found: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[str, str]]:
    """Level and what mends it, by check, of those that are not all right."""
    return {name: (each["level"], each["mend"]) for name, some in found.items() for each in some if each["level"] != "ok"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch is asked in one test alone: it takes seconds."""
    monkeypatch.setattr(machine, "_ASK_TORCH", "print('2.13.0 none 0')")


def test_of_a_lab_that_is_fit_everything_is_ok_and_nothing_is_written(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    bench.ckgit("hooks", "install")
    before = files(bench.folder)
    assert worst(checked(bench)) == {}
    assert files(bench.folder) == before
    text = bench.ckgit("doctor").stdout
    assert text.endswith("0 errors, 0 warnings\n")
    assert " of what was found out of commits, in " in text
    assert "ok       git        git version " in text


def test_each_fault_of_a_lab_is_told_with_what_mends_it(bench: Bench) -> None:
    bench.advance(State.TRAINED)
    config = bench.folder / "ckgit.toml"
    config.write_text('authority = "origin"\n' + config.read_text())
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=The remote decides")
    shutil.rmtree(bench.folder / "models/tiny")
    half = bench.work.with_name(".removed-0123456789ab-1")
    half.mkdir()
    lock = bench.folder / ".git/index.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    found = checked(bench, Exit.TOOL_MISSING)
    assert worst({name: some for name, some in found.items() if name != "left files"}) == {
        "hooks": ("warning", "ckgit hooks install"),
        "authority": ("error", "git remote add origin URL"),
        "models": ("warning", "ckgit models add tiny PATH, with the folder that has them now"),
    }
    mends = [each["mend"] for each in found["left files"]]
    assert mends == ["ckgit clean demo --work", f"rm {lock}, when no git runs"]
    lock.unlink()
    run_git(bench.folder, "revert", "--no-edit", "HEAD")
    bench.ckgit("clean", "demo", "--work", "--yes")
    assert not half.exists()


def test_work_trees_and_jobs_that_nobody_knows_are_found_and_their_commands_mend_it(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    run_git(bench.folder, "update-ref", "refs/heads/exp/demo", "exp/demo~1")
    found = checked(bench)
    tokens = sorted(each["mend"].split()[4] for each in found["jobs"])
    assert len(tokens) == 2
    for token in tokens:
        bench.ckgit("cancel", "demo", "--job", token)
    assert [each["level"] for each in checked(bench)["work trees"]] == ["ok"]  # somebody may be about to submit there
    commit_by_hand(bench.folder, "notes.md", "mine")
    found = checked(bench)
    assert [each["level"] for each in found["jobs"]] == ["ok"]
    assert [each["mend"] for each in found["work trees"]] == ["ckgit clean demo --work"]


@pytest.mark.parametrize("harm", [lose, spoil, None])
def test_jobs_whose_ledger_cannot_be_read_are_not_said_to_be_in_none(bench: Bench, harm: Callable[[Path, str], str] | None) -> None:
    """To end them is no mend: they may be good ones."""
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    if harm:
        harm(bench.folder, "exp/demo:experiments/demo/jobs.json")
    else:
        commit_by_hand(bench.folder, "jobs.json", "{")
    [point] = checked(bench, Exit.TOOL_MISSING)["jobs"]
    assert point["text"].startswith("the ledger of demo cannot be read; it may list those that may run: ckgit.")
    assert "running" in point["text"]
    assert (point["level"], point["mend"].partition(" says")[0]) == ("error", "ckgit status demo")
    for command in ("status", "advance", *(("cancel",) if harm else ())):
        assert "exp/demo:experiments/demo/jobs.json: " in bench.ckgit(command, "demo", check=False).stderr, command


def test_the_list_does_not_say_either_that_they_are_in_none(bench: Bench) -> None:
    bench.hold()
    bench.advance(State.TRAINED, wait=False)
    commit_by_hand(bench.folder, "notes.md", "mine")  # it looks for jobs where a branch is not as ckgit left it
    lose(bench.folder, "exp/demo:experiments/demo/jobs.json")
    assert "2 jobs of it may still run: ckgit status demo" in bench.ckgit("list").stdout


def test_a_configuration_that_cannot_be_read_is_an_error_and_hides_nothing(bench: Bench) -> None:
    config = bench.folder / "ckgit.toml"
    config.write_text(config.read_text() + '\n[clusters.away]\nscheduler = "pbs"\n')
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=A scheduler that is not there")
    found = checked(bench, Exit.TOOL_MISSING)
    assert "there is no scheduler 'pbs'" in found["ckgit.toml"][-1]["text"]
    assert found["git"][0]["level"] == "ok"
    assert found["left files"][0]["level"] == "ok"


def test_who_works_here_and_which_python(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_LEAST_GIT", (99, 0))
    monkeypatch.setattr(machine, "_LEAST_PYTHON", (99, 0))
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for key in ("user.name", "user.email"):
        run_git(bench.folder, "config", "--local", key, "")
    found = checked(bench, Exit.TOOL_MISSING)
    assert [each["mend"] for each in (*found["git"], *found["python"])] == [
        "install git 99.0 or newer",
        'git config --global user.name "Your Name" && git config --global user.email you@example.org',
        "install ckgit with Python 99.0 or newer",
    ]


def test_a_package_that_the_pins_exclude_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    known = machine.version
    monkeypatch.setattr(machine, "version", lambda name: "0.0.1" if name == "torchtune" else known(name))
    assert worst(checked(bench, Exit.TOOL_MISSING))["versions"] == ("error", 'pip install "ckgit[run]"')


def test_a_trainer_that_is_not_here_is_an_error_where_an_experiment_has_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found = checked(bench)
    assert [each["text"] for each in found["trainers"]] == ["torchtune is here", "trl is here"]
    known = machine.find_spec
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name in ("trl", "peft") else known(name))
    lacking = 'trl is not here, and no design needs it here (trl, peft is not here): pip install "ckgit[trl]" brings it'
    assert [each["text"] for each in checked(bench)["trainers"]] == ["torchtune is here", lacking]
    summary = bench.snapshot.summary_bytes().decode().replace("preparation: tiny-trainer", "preparation: trl")
    commit_by_hand(bench.folder, "experiment_summary.md", summary)
    assert [each["text"] for each in checked(bench)["trainers"]] == ["torchtune is here", lacking]  # set-up lines may bring it
    config = bench.folder / "ckgit.toml"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if not line.startswith("setup = ")))
    run_git(bench.folder, "commit", "--quiet", "--all", "--message=Nothing is set up")
    [_, error] = checked(bench, Exit.TOOL_MISSING)["trainers"]
    assert error["text"] == "trl, which demo has, cannot train here: trl, peft is not here"
    assert (error["level"], error["mend"]) == ("error", 'pip install "ckgit[trl]"')


@pytest.mark.parametrize(
    ("seen", "level", "text"),
    [("2.13.0 12.6 1", "ok", "1 of NVIDIA H200; torch sees 1"), ("2.13.0 none 0", "error", "there are 1 GPUs, and torch sees none")],
)
def test_a_gpu_that_torch_does_not_see_is_an_error(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: str, level: str, text: str
) -> None:
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(machine, "_ASK_TORCH", f"print({seen!r})")
    [point] = checked(bench, 0 if level == "ok" else Exit.TOOL_MISSING)["gpu"]
    assert (point["level"], text in point["text"]) == (level, True), point


def broken(_lab: Lab) -> Iterator[Point]:
    yield Point("so far")
    raise RuntimeError("surprise")


def hanging(_lab: Lab) -> Iterator[Point]:
    threading.Event().wait(60)
    yield Point("never")


def test_a_check_that_breaks_or_hangs_hides_no_other(bench: Bench) -> None:
    told: list[str] = []
    checks = [Check("one", broken), Check("two", hanging, seconds=0.2), Check("three", lambda _: [Point("fine")])]
    found = [(each.check, each.point.level, each.point.text) for each in checkup.checkup(bench.lab, told.append, checks)]
    assert found == [
        ("one", Level.OK, "so far"),
        ("one", Level.ERROR, "the check itself broke: RuntimeError: surprise"),
        ("two", Level.WARNING, "no answer within 0 s"),
        ("three", Level.OK, "fine"),
    ]


def test_what_others_named_steers_no_terminal(bench: Bench) -> None:
    half = bench.lab.lab_folders()[0] / "demo" / ".half\x1b[31m"
    half.mkdir(parents=True)
    out = bench.ckgit("doctor").stdout
    assert "\x1b" not in out
    assert ".half\\x1b[31m" in out
