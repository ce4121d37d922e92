"""A person's own configuration over the lab's: their jobs get it, and no script on the branch has it, so that others go on with theirs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from ckgit.errors import Exit
from ckgit.experiment.design.model import State
from tests.orchestrators.bench import Bench

PERSONAL = {"account": "ada-pays", "partition": "ada-part", "qos": "ada-qos", "constraint": "ada-nodes", "gpu_type": "ada-gpu"}
PERSONAL |= {"mail_user": "ada@ada-mail.org", "mail_type": "ADA"}


def own(*setup: str, name: str = "local", **keys: str) -> Path:
    """Write the own configuration of whose XDG_CONFIG_HOME it is."""
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "ckgit" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    values = {**keys, "setup": list(setup)} if setup else keys
    file.write_text("\n".join([f"[clusters.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]))
    return file


def mark(bench: Bench, who: str) -> str:
    """A set-up line that leaves a trace of each job."""
    return f"echo {who} >>{bench.steer}/who"


def who(bench: Bench) -> list[str]:
    file = bench.steer / "who"
    return file.read_text().split() if file.exists() else []


def committed(bench: Bench, word: str) -> set[str]:
    """Files of the branch, as any of its commits has them, in which a word stands."""
    command = ["git", "log", "--format=", "--name-only", f"-S{word}", "main..exp/demo"]
    done = subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, check=True)
    return {Path(path).name for path in done.stdout.split()}


def log(bench: Bench) -> list[str]:
    return (bench.snapshot.read("experiments/demo/run-experiment.log") or b"").decode().splitlines()


def another_person(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob")


class Killed(Exception):  # noqa: N818 - what became of the process
    pass


def killed(_: object) -> None:
    raise Killed


def test_own_keys_are_on_the_record_alone_and_reach_the_jobs(bench: Bench) -> None:
    own(mark(bench, "secretly-ada"), "export ADA=1", **PERSONAL)
    bench.advance(State.TRAINED)
    assert who(bench) == ["secretly-ada", "secretly-ada"]
    for word in PERSONAL.values():
        assert committed(bench, word) == {"run-experiment.log"}, word
    for word in ("secretly-ada", "export ADA"):
        assert committed(bench, word) == set(), word
    lines = f"{mark(bench, 'secretly-ada')}\nexport ADA=1\n".encode()
    said = f"2 set-up lines (SHA-256 {hashlib.sha256(lines).hexdigest()})"
    (line,) = [line for line in log(bench) if " OWN " in line]
    assert "account ada-pays, partition ada-part" in line
    assert said in line
    submit = subprocess.run(["git", "log", "--format=%b", "exp/demo"], cwd=bench.folder, capture_output=True, text=True, check=True).stdout
    assert "- from the own configuration of who submits: account ada-pays, " in submit
    assert said in submit


def test_set_up_lines_are_for_their_person_alone_to_read(bench: Bench) -> None:
    own("export HF_TOKEN=hf_0123456789abcdefghijklmnopqrstuvwxyz")
    bench.advance(State.TRAINED)
    files = list(bench.work.glob(".ckgit/jobs/*/setup"))
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert committed(bench, "hf_0123456789") == set()


def test_another_person_goes_on_with_their_own(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own(mark(bench, "ada"), account="ada-pays")
    bench.advance(State.TRAINED)
    another_person(monkeypatch, tmp_path / "bob")
    own(mark(bench, "bob"), account="bob-pays")
    done = bench.ckgit("advance", "demo")
    assert "has changed" not in done.stdout + done.stderr
    assert bench.snapshot.state is State.EVALUATED
    assert who(bench) == ["ada"] * 2 + ["bob"] * 3
    assert [line.partition("account ")[2].partition(",")[0] for line in log(bench) if " OWN " in line] == ["ada-pays", "bob-pays"]


def test_a_retry_by_another_person_has_their_lines(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own(mark(bench, "ada"))
    bench.fail("rank4/finetune")
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    bench.mend("rank4/finetune")
    before = bench.latest("rank4/finetune").script_sha256
    another_person(monkeypatch, tmp_path / "bob")
    own(mark(bench, "bob"), account="bob-pays")
    assert bench.ckgit("retry", "demo").returncode == 0
    assert (who(bench)[2:], bench.latest("rank4/finetune").script_sha256) == (["bob"], before)
    assert "from the own configuration of who submits: account bob-pays, 1 set-up line (SHA-256 " in log(bench)[-3] + log(bench)[-2]


def test_who_hands_over_what_another_has_committed_does_so_with_their_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own(mark(bench, "ada"))
    bench.advance(State.SCAFFOLDED)
    with monkeypatch.context() as dying:
        dying.setattr("ckgit.orchestrators.run.monitor.monitor.Monitor.hand_over", killed)
        with pytest.raises(Killed):
            bench.advance(State.TRAINED)
    another_person(monkeypatch, tmp_path / "bob")
    own(mark(bench, "bob"))
    bench.advance(State.TRAINED)
    assert who(bench) == ["bob", "bob"]


def test_a_failing_line_is_named_and_whose_it_is(bench: Bench) -> None:
    file = own("true", "module load nosuch", account="ada-pays")
    assert bench.advance(State.TRAINED).code is Exit.JOBS_FAILED
    assert bench.latest("rank4/finetune").exit_code == 69
    said = bench.ckgit("why", "demo").stdout
    assert f"'s own configuration ({file}) failed (exit code 127): module load nosuch" in " ".join(said.split())


def test_a_profile_of_ones_own_is_scaffolded_without_its_personal_keys(bench: Bench) -> None:
    own(mark(bench, "ada"), name="mine", work_root=".ckgit/elsewhere", **PERSONAL)
    bench.advance(State.SCAFFOLDED)
    bench.ckgit("advance", "demo", "--cluster", "mine")
    assert bench.ledger.cluster == "mine"
    assert who(bench) == ["ada", "ada"]
    assert committed(bench, "ada-pays") == {"run-experiment.log"}
    assert committed(bench, "echo ada") == set()


def test_the_same_profile_is_as_it_was_whatever_ones_own_says(bench: Bench) -> None:
    bench.advance(State.SCAFFOLDED)
    tip = bench.snapshot.tip
    own(mark(bench, "ada"), account="ada-pays")
    shown = bench.ckgit("advance", "demo", "--cluster", "local", "--dry-run").stdout
    assert "account ada-pays" in shown
    assert "as its profile is now" not in shown
    assert bench.snapshot.tip == tip


def test_a_copy_of_the_labs_lines_is_not_run_twice(bench: Bench) -> None:
    bench.set_up(mark(bench, "lab"))
    lines = bench.lab.cluster().setup
    own(*lines, mark(bench, "ada"))
    bench.advance(State.TRAINED)
    assert sorted(who(bench)) == ["ada", "ada", "lab", "lab"]
